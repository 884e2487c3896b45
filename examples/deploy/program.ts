/** What both programs share: their port, their log, and when to stop. */
import process from "node:process";
import type { Logger } from "catga";

/** Where this process answers over HTTP; 0 is any free port. */
export const port: number = Number(process.env["PORT"] || 3000);

/** One JSON text a line. Any logger that is shaped like pino will do. */
export const log: Logger = {
  debug() {},
  info: (fields, message) => write("info", fields, message),
  warn: (fields, message) => write("warn", fields, message),
  error: (fields, message) => write("error", fields, message),
};

/**
 * Resolves when the process is told to stop. As the first process of a container it would not even
 * end by itself: without a handler, SIGTERM means nothing there.
 */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
}

function write(level: string, fields: object, message: string): void {
  const text = JSON.stringify(
    { time: new Date().toISOString(), level, ...fields, message },
    (_, value) => (value instanceof Error ? value.stack : (value as unknown)),
  );
  process.stdout.write(`${text}\n`);
}
