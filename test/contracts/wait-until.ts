/** Waits for conditions of other processes and sockets, whose time no test can own. */

const POLL_MS = 2;

/** How long to wait, and what to say when it was in vain. */
export interface WaitOptions {
  /** @default 5000 */
  readonly timeoutMs?: number;
  /** What the world looks like; asked only when the condition does not come true. */
  readonly describe?: () => unknown;
}

/** Resolves when `holds` does; rejects with `condition` and a description when it never does. */
export async function waitUntil(
  condition: string,
  holds: () => boolean | Promise<boolean>,
  { timeoutMs = 5_000, describe }: WaitOptions = {},
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() >= endMs) {
      const world = describe === undefined ? "" : `; there is ${JSON.stringify(describe())}`;
      throw new Error(`Not true within ${timeoutMs} ms: ${condition}${world}`);
    }
    await new Promise<void>((resolve) => void setTimeout(resolve, POLL_MS));
  }
}
