/**
 * What a child process of the bench says to the one that started it. A file of its own, so that a
 * process whose memory is measured loads nothing for the sake of being measured.
 */
import process from "node:process";

/** One line to the parent. */
export function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Resolves when the parent wants this process to end, or is gone. */
export function askedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    process.stdin.once("end", resolve);
    process.stdin.once("close", resolve);
    process.stdin.resume();
  });
}
