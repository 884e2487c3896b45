/** What the log is told: in the shape of pino, where what was thrown stands in `err`. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Logger, command, defineEntity } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

const SRC = join(import.meta.dir, "../../src");

class Boom extends Error {
  override readonly name = "Boom";
}

const Faulty = defineEntity("faulty", {
  messages: { fail: command() },
  state: () => ({}),
  handlers: {
    fail() {
      throw new Boom("the handler's own");
    },
  },
});

/** One text of JSON a line, as pino makes them: of what is in `err` the stack, too. */
function logger(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const write = (fields: object, message: string): void => {
    const { err, ...others } = fields as { readonly err?: unknown };
    const told =
      err instanceof Error ? { type: err.name, message: err.message, stack: err.stack } : err;
    lines.push(JSON.stringify({ ...others, err: told, message }));
  };
  return { lines, log: { debug: write, info: write, warn: write, error: write } };
}

describe("a line of the log", () => {
  test("about a handler that threw has its stack", async () => {
    const { log, lines } = logger();
    await using cluster = await TestCluster.start({ nodes: 1, entities: [Faulty], log });
    const failing = cluster.node("n1").entity(Faulty, "1").send({ type: "fail" });
    const code = failing.catch((error: { code: string }) => error.code);
    expect(await cluster.run(code as Promise<unknown>)).toBe("HANDLER_FAILED");
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const line = told.find(({ message }) => message === "a handler failed");
    expect(line).toMatchObject({ entity: "faulty/1", err: { type: "Boom" } });
    expect((line!["err"] as { stack: string }).stack).toContain("log.test.ts");
  });

  test("has an error nowhere else: as JSON it would be an empty object", () => {
    const files = readdirSync(SRC, { recursive: true, encoding: "utf8" });
    const offences = files
      .filter((file) => file.endsWith(".ts"))
      .filter((file) => {
        const text = readFileSync(join(SRC, file), "utf8");
        return /\blog\??\.\w+\(\s*\{(?:[^}]*,)?\s*error\s*[,}]/.test(text);
      });
    expect(offences).toEqual([]);
  });
});
