/** Plain data as one text, whatever the order in which its properties were set. */

/** JSON with the properties of each object in the order of their names; of plain data only. */
export function canonical(value: unknown): string {
  return JSON.stringify(ordered(value)) ?? "null";
}

function ordered(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(ordered);
  const fields = value as Readonly<Record<string, unknown>>;
  const result: Record<string, unknown> = {};
  for (const name of Object.keys(fields).sort()) result[name] = ordered(fields[name]);
  return result;
}
