/** Checks what came from outside against a table of its fields. */

/** The type of each field; `whole` is a whole number from 0 on, `?` also lets null pass. */
export type Shape = Readonly<Record<string, FieldType | `${FieldType}?`>>;

type FieldType = "string" | "number" | "boolean" | "object" | "list" | "whole";

/** True for an object whose fields are as `shape` has them; others are not looked at. */
export function hasShape(value: unknown, shape: Shape): boolean {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  return Object.entries(shape).every(([name, type]) => {
    const field = fields[name];
    if (field === null) return type.endsWith("?");
    if (type === "whole") return isWhole(field);
    return type === "list" ? Array.isArray(field) : typeof field === type.replace("?", "");
  });
}

/** True for a whole number from 0 on. */
export function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
