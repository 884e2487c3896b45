/**
 * `npm run bench [part…] [--json] [--quick|--full] [--runtime bun,node,deno]`: how fast and how
 * large catga is, each figure beside the floor that was measured in the same run. `--full` takes
 * cases as large as the goals name them, of which the bench else takes a part.
 *
 * Parts: codec, local, tracing, metrics, cache, mediator, embedded, nats, redis, edge, streams,
 * memory, start, handoff, balance, state, scale; all without a name. A line is
 * `name runtime ops/s p50 p99 n floor ratio`; what is no rate says its unit. A goal that is missed
 * is printed behind its line and fails nothing, for speed is no test; a case that crashes makes the
 * exit code 1, after the others have run.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Child, type RuntimeName } from "./child.ts";
import type { Figure } from "./figure.ts";
import { casesOf, isPart, type Part, PARTS } from "./plan.ts";
import { heading, line } from "./table.ts";

interface Wish {
  readonly parts: readonly Part[];
  readonly runtimes: readonly RuntimeName[];
  readonly asJson: boolean;
  /** `--quick`, `--full`. */
  readonly effort: readonly string[];
}

const RUNTIMES: readonly RuntimeName[] = ["bun", "node", "deno"];

process.exitCode = await run(parse(process.argv.slice(2)));

async function run({ parts, runtimes, asJson, effort }: Wish): Promise<number> {
  let crashes = 0;
  if (!asJson) console.log(heading());
  for (const part of parts) {
    for (const { file, args } of casesOf(part)) {
      for (const runtime of runtimes) {
        const child = new Child({ runtime, file, args: [...args, ...effort] });
        try {
          for await (const figure of figuresOf(child)) {
            console.log(asJson ? JSON.stringify(figure) : line(figure));
          }
        } catch (error) {
          crashes++;
          console.error((error as Error).message);
        }
      }
    }
  }
  return crashes === 0 ? 0 : 1;
}

/** Ends with the child; when the bench is interrupted, the child's stdin ends, and so does it. */
async function* figuresOf(child: Child): AsyncIterable<Figure> {
  await using ended = child;
  for (let said = await ended.next(); said !== undefined; said = await ended.next()) {
    yield said as Figure;
  }
}

function parse(args: readonly string[]): Wish {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      full: { type: "boolean", default: false },
      runtime: { type: "string", default: "bun,node" },
    },
  });
  const runtimes = values.runtime.split(",");
  const parts = positionals.length === 0 ? PARTS : positionals;
  const { json: asJson } = values;
  const effort = (["quick", "full"] as const).filter((name) => values[name]);
  if (!parts.every(isPart)) refuse("part", parts, PARTS);
  if (!runtimes.every(isRuntime)) refuse("runtime", runtimes, RUNTIMES);
  return { parts, runtimes, asJson, effort: effort.map((name) => `--${name}`) };
}

function isRuntime(name: string): name is RuntimeName {
  return (RUNTIMES as readonly string[]).includes(name);
}

function refuse(what: string, given: readonly string[], known: readonly string[]): never {
  const wrong = given.find((name) => !known.includes(name));
  console.error(`Cannot measure ${what} "${wrong}": write one of ${known.join(", ")}`);
  process.exit(2);
}
