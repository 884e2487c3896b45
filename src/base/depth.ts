/** How deeply data is nested: what walks through it needs a stack of that many frames. */

/**
 * True when `value` has objects nested beyond `levels`, on the first way to each of them. It knows
 * the containers that state may be made of; what else there is has nothing nested in it.
 */
export function isDeeperThan(
  levels: number,
  value: unknown,
  seen: Set<object> = new Set(),
): boolean {
  if (typeof value !== "object" || value === null || seen.has(value)) return false;
  if (levels === 0) return true;
  seen.add(value);
  for (const inner of partsOf(value)) if (isDeeperThan(levels - 1, inner, seen)) return true;
  return false;
}

function partsOf(value: object): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return [...value].flat();
  return ArrayBuffer.isView(value) ? [] : Object.values(value);
}
