/**
 * All contracts over all drivers, without a test framework, so that any runtime can say where it
 * differs: `node test/runtimes/run.ts`, and with a word only the checks that have it in their
 * names.
 */
import process from "node:process";
import { inspect } from "node:util";
import { runtimeOf } from "../../src/base/runtime.ts";
import {
  embeddedCases,
  fixedCases,
  memoryCases,
  natsCases,
  redisCases,
} from "../drivers/fixtures.ts";
import { sqliteCases } from "../drivers/sqlite-fixture.ts";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { NatsServer } from "../drivers/nats-server.ts";
import { RedisServer } from "../drivers/redis-server.ts";

const CHECK_MS_MAX = 30_000;

const word = process.argv[2] ?? "";
const servers = brokersAreWanted()
  ? { nats: await NatsServer.start(), redis: await RedisServer.start() }
  : undefined;
const all = [
  ...memoryCases(),
  ...embeddedCases(),
  ...fixedCases(),
  ...sqliteCases(),
  ...(servers === undefined ? [] : natsCases(() => servers.nats.url)),
  ...(servers === undefined ? [] : redisCases(() => servers.redis)),
];
const cases = all.filter(({ name }) => name.includes(word));
let current = "the start";
const failed = new Set<string>();

// What a check leaves behind belongs to it, or to the one before it.
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => report(current, error, event));
}

for (const { name, run } of cases) {
  current = name;
  try {
    await withinLimit(run());
  } catch (error) {
    report(name, error);
  }
}

await servers?.nats.stop();
await servers?.redis.stop();
const { name, version } = runtimeOf();
console.log(`on ${name} ${version}`);
console.log(`${cases.length - failed.size} passed, ${failed.size} failed`);
process.exit(failed.size === 0 && cases.length > 0 ? 0 : 1);

function report(check: string, error: unknown, event = "failed"): void {
  failed.add(check);
  const text = error instanceof Error ? `${error.name}: ${error.message}` : inspect(error);
  console.log(`${event}: ${check}: ${text.slice(0, 600).replaceAll("\n", " | ")}`);
}

async function withinLimit(check: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    const late = new Error(`Not finished within ${CHECK_MS_MAX} ms`);
    timer = setTimeout(() => reject(late), CHECK_MS_MAX);
  });
  try {
    await Promise.race([check, limit]);
  } finally {
    clearTimeout(timer);
  }
}
