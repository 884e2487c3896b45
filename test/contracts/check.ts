/**
 * A contract is a list of checks: plain programs over `node:assert`, without a test framework, so
 * that every driver passes the same ones on every runtime.
 */

/** One rule of a contract; `run` rejects when the fixture breaks it. */
export interface Check<F> {
  /** A sentence, to be true or false. */
  readonly name: string;
  run(fixture: F): Promise<void>;
}

/** Something to run under a name: a check with its fixture, for any test runner. */
export interface Case {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** What a fixture has opened, it closes. */
export interface Closable {
  close(): Promise<void>;
}

/** Each check with a fixture of its own, which is closed whatever comes of the check. */
export function casesOf<F extends Closable>(
  driver: string,
  checks: readonly Check<F>[],
  open: () => Promise<F>,
): Case[] {
  return checks.map((check) => ({
    name: `${driver}: ${check.name}`,
    async run() {
      const fixture = await open();
      try {
        await check.run(fixture);
      } finally {
        await fixture.close();
      }
    },
  }));
}
