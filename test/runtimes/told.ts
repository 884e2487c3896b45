/** Processes that are told to end: what they say meanwhile, and how they end. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { waitUntil } from "../contracts/wait-until.ts";

/** One of them. */
export interface Told {
  readonly child: ChildProcessWithoutNullStreams;
  said: string;
  exit: readonly [code: number | null, signal: string | null] | undefined;
}

const OPTIONS = { timeoutMs: 20_000 };

/** Starts one; whoever starts it ends it. */
export function tell(binary: string, args: readonly string[]): Told {
  const child = spawn(binary, args);
  const told: Told = { child, said: "", exit: undefined };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => (told.said += String(text)));
  }
  child.once("close", (code, signal) => (told.exit = [code, signal]));
  return told;
}

/** Waits until it has said `word`. */
export function says(told: Told, word: string): Promise<void> {
  const said = (): boolean => told.said.includes(word);
  return waitUntil(`it says "${word}"`, said, { ...OPTIONS, describe: () => told.said });
}

/** Waits until it has ended. */
export function ends(told: Told): Promise<void> {
  const ended = (): boolean => told.exit !== undefined;
  return waitUntil("it ends", ended, { ...OPTIONS, describe: () => told.said });
}
