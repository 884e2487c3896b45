/** Handlers with the schemas of their message around them. */
import { CatgaError, cut } from "../base/errors.ts";
import { isThenable } from "../base/thenable.ts";
import { type MessageSpec, Refused } from "../runtime/definition.ts";
import type { MessageOptions } from "./messages.ts";

type Run = MessageSpec["run"];
type Schemas = Pick<MessageOptions, "input" | "reply">;
type Refusal = (issues: string) => Refused;

/** Who handles a message, for errors. */
interface Subject {
  readonly type: string;
  readonly of: (context: object) => string;
}

/** `handler`, given what `input` makes of the payload; its answer is what `reply` makes of it. */
export function checkedRun({ input, reply }: Schemas, handler: Run, { type, of }: Subject): Run {
  if (input === undefined && reply === undefined) return handler;
  return (context, message) => {
    const refusal = (code: "INVALID_PAYLOAD" | "INVALID_REPLY") => (issues: string) =>
      new Refused(new CatgaError(code, { entity: of(context), message: type, issues }));
    const handle = (valid: unknown): unknown =>
      then(handler(context, valid), (value) => check(reply, value, refusal("INVALID_REPLY")));
    if (input === undefined) return handle(message);
    // The tag is no field of the payload, so a schema neither sees nor returns it.
    const { type: _, ...payload } = message as { readonly type: string };
    return then(check(input, payload, refusal("INVALID_PAYLOAD")), (valid) =>
      handle(typeof valid === "object" ? { ...valid, type } : { type }),
    );
  };
}

function check(schema: MessageOptions["input"], value: unknown, refusal: Refusal): unknown {
  if (schema === undefined) return value;
  return then(schema["~standard"].validate(value), (result) => {
    const { issues, value: valid } = result as { issues?: readonly Issue[]; value?: unknown };
    if (issues === undefined) return valid;
    throw refusal(cut(issues.map(describeIssue).join("; ")));
  });
}

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[];
}

function describeIssue({ message, path = [] }: Issue): string {
  const keys = path.map((step) => String(typeof step === "object" ? step.key : step));
  return keys.length === 0 ? message : `${keys.join(".")}: ${message}`;
}

function then(value: unknown, next: (value: unknown) => unknown): unknown {
  return isThenable(value) ? value.then(next) : next(value);
}
