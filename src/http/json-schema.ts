/**
 * What a schema says of itself: Standard JSON Schema, which zod, valibot and arktype have. A schema
 * without it, or of something that JSON has no word for, says nothing.
 */
import { type AnyDef, describeMessage, type Schema } from "../index.ts";

/** A JSON Schema of draft 2020-12, as OpenAPI 3.1 has it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

interface Standard {
  readonly vendor: string;
  readonly jsonSchema?: {
    readonly input: (options: { readonly target: string }) => JsonSchema;
    readonly output: (options: { readonly target: string }) => JsonSchema;
  };
}

/** What a schema takes (`input`) or makes of it (`output`), or `undefined`. */
export function jsonSchemaOf(
  schema: Schema<unknown> | undefined,
  side: "input" | "output",
): JsonSchema | undefined {
  if (schema === undefined) return undefined;
  const standard: Standard = schema["~standard"];
  try {
    const { $schema: _, ...found } = standard.jsonSchema![side]({ target: "draft-2020-12" });
    return found;
  } catch {
    return undefined;
  }
}

/** The fields of a payload that a query string can name, each with its schema. */
export type Fields = ReadonlyMap<string, JsonSchema>;

const FIELDS = new WeakMap<AnyDef, Fields>();

/** Those of a message. */
export function fieldsOf(def: AnyDef): Fields {
  let fields = FIELDS.get(def);
  if (fields === undefined) {
    const schema = jsonSchemaOf(describeMessage(def).input, "input");
    const { properties } = (schema ?? {}) as { readonly properties?: Record<string, JsonSchema> };
    FIELDS.set(def, (fields = new Map(Object.entries(properties ?? {}))));
  }
  return fields;
}
