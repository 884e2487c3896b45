/**
 * State as JSON that a human can read: what JSON has no word for is an object with one field that
 * names it, such as `{ "$map": [["a", 1]] }`. It is for the eye: only exports can be read back.
 */
import { Buffer } from "node:buffer";

/** Something as JSON can carry it. */
export function readable(value: unknown, above: readonly object[] = []): unknown {
  if (typeof value === "bigint") return { $bigint: String(value) };
  if (typeof value === "number" && !Number.isFinite(value)) return { $number: String(value) };
  if (typeof value !== "object" || value === null) return value;
  if (above.includes(value)) return { $cycle: above.length - above.indexOf(value) };
  const inside = [...above, value];
  const each = (item: unknown): unknown => readable(item, inside);
  if (Array.isArray(value)) return Array.from(value, each);
  if (value instanceof Map) return { $map: Array.from(value, (pair) => pair.map(each)) };
  if (value instanceof Set) return { $set: Array.from(value, each) };
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? { $date: null } : { $date: value.toISOString() };
  }
  if (value instanceof ArrayBuffer) return { $bytes: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    return { $bytes: Buffer.from(buffer, byteOffset, byteLength).toString("base64") };
  }
  // A pattern, an address.
  if (value instanceof RegExp || value instanceof URL) return { $text: `${value}` };
  const fields = Object.entries(value);
  return Object.fromEntries(fields.map(([name, field]) => [name, each(field)]));
}
