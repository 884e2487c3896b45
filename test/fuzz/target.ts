/** What is fuzzed: a subject, inputs for it, and what has to hold whatever comes in. */
import * as fc from "fast-check";
import { isCatgaError } from "../../src/index.ts";

/** A subject that is there, and may be given back. */
export interface Opened<S> {
  readonly subject: S;
  close?(): Promise<void>;
}

/** See the file's header. */
export interface Plan<S, I> {
  readonly name: string;
  readonly inputs: fc.Arbitrary<I>;
  open(): Opened<S> | Promise<Opened<S>>;
  /** The subject with a bug in it, which has to be found. */
  plant(subject: S): S;
  /** Throws when something does not hold. */
  check(subject: S, input: I): void | Promise<void>;
}

/** A target as it is run; `beat` is called before each input. */
export interface Target {
  readonly name: string;
  open(mode: "as it is" | "planted", beat: (input: unknown) => void): Promise<Running>;
}

/** A target that is open. */
export interface Running {
  readonly property: fc.IAsyncProperty<[unknown]>;
  close(): Promise<void>;
}

/** A fuzzed program is not what it was. */
export class Finding extends Error {
  override readonly name = "Finding";
}

/** @throws {Finding} */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Finding(what);
}

/** Makes a target of its parts. */
export function targetOf<S, I>(plan: Plan<S, I>): Target {
  return {
    name: plan.name,
    async open(mode, beat) {
      const opened = await plan.open();
      const subject = mode === "planted" ? plan.plant(opened.subject) : opened.subject;
      const inputs: fc.Arbitrary<unknown> = plan.inputs;
      const property = fc.asyncProperty(inputs, async (input) => {
        beat(input);
        await plan.check(subject, input as I);
        checkPrototypes();
      });
      return { property, close: async () => opened.close?.() };
    },
  };
}

/** Texts of errors that the engine throws when code is wrong, and nobody else. */
const ENGINES =
  /^Cannot (?:read|set|destructure|convert|access|create|assign|delete|define|mix|call|spread)\b/;

/** What `run` returns, or nothing when it refuses as its documentation says. */
export function refusing<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    checkRefusal(error);
    return undefined;
  }
}

/** @throws {Finding} for an error that no door of the house documents */
export function checkRefusal(error: unknown): void {
  if (isCatgaError(error)) return;
  const isOurs = error instanceof TypeError || error instanceof RangeError;
  if (isOurs && error.message.startsWith("Cannot ") && !ENGINES.test(error.message)) return;
  throw new Finding(`it threw ${String(error)}`, { cause: error });
}

/** Nobody has got at what all objects inherit. */
function checkPrototypes(): void {
  const polluted = [Object.prototype, Array.prototype, Function.prototype].some(
    (prototype) => Object.keys(prototype).length > 0,
  );
  holds(!polluted && !("polluted" in {}), "a prototype was changed");
}
