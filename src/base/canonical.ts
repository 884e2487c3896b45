/** Plain data as one text, whatever the order in which its properties were set. */

/** JSON with the properties of each object in the order of their names; of plain data only. */
export function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const fields = Object.entries(value).flatMap(([name, field]) =>
    field === undefined ? [] : [`${JSON.stringify(name)}:${canonical(field)}`],
  );
  return `{${fields.sort().join()}}`;
}
