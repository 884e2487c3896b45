/** Answers that several callers wait for, each with a deadline and a signal of its own. */
import { CatgaError } from "../base/errors.ts";
import { CALL_TIMEOUT_MS } from "../base/limits.ts";
import { copyPlain } from "../base/plain.ts";
import { Call, type Sending } from "./call.ts";
import type { NodeContext } from "./node-context.ts";

/** One of those who wait. */
class Waiting extends Call {
  readonly #context: NodeContext;

  constructor(sending: Sending, context: NodeContext) {
    super(sending, undefined, sending.timeoutMs ?? CALL_TIMEOUT_MS);
    this.#context = context;
    this.deadlineMs = Math.min(this.deadlineMs, context.clock.nowMs() + this.timeoutMs);
    this.executed = "maybe";
    context.wheel.add(this, this.deadlineMs);
    if (sending.signal !== undefined) this.cancelWith(sending.signal);
  }

  protected override settled(): void {
    this.#context.wheel.remove(this);
  }
}

/** What `answer` comes to, as a copy, unless `sending` has to end before. */
export function share(
  answer: Promise<unknown>,
  sending: Sending,
  context: NodeContext,
): Promise<unknown> {
  const waiting = new Waiting(sending, context);
  answer.then(
    (value) => waiting.succeed(copyPlain(value)),
    (error: Error) => {
      const isOurs = error instanceof CatgaError;
      waiting.fail(isOurs ? new CatgaError(error.code, error.details, { cause: error }) : error);
    },
  );
  return waiting.promise();
}
