/**
 * What it costs to look: one scrape of a node with 100 message types that have counted 1,000
 * messages, through the gateway but for the socket, and what is left of the rate of sends within
 * the node while somebody scrapes once per second. A round of the contest lasts a second and has
 * one scrape, or, as the floor, none: the same node, code and process, by turns. What the figures
 * of the process cost between scrapes, they cost both.
 */
import { gateway } from "../../src/http/index.ts";
import { Cluster, command, defineEntity } from "../../src/index.ts";
import { atLeast, rateFigure, tookFigure } from "../figure.ts";
import { contest } from "../measure/contest.ts";
import { effort } from "../measure/effort.ts";
import { inFlight } from "../measure/in-flight.ts";
import { say } from "../parent.ts";

const IN_FLIGHT = 256;
const TYPES = 100;
const MESSAGES = 1_000;
const SCRAPES = 50;
/** Of which the first are not counted. */
const WARM_UPS = 10;
const SCRAPE_EVERY_MS = 1_000;

const types = Array.from({ length: TYPES }, (_, n) => `deposit-${n}`);
const ids = Array.from({ length: 1_000 }, (_, n) => `account-${n}`);
const Account = defineEntity("account", {
  messages: Object.fromEntries(
    types.map((type) => [type, command<{ amount: number }, number>()] as const),
  ),
  state: () => ({ balance: 0 }),
  handlers: Object.fromEntries(
    types.map((type) => [
      type,
      ({ state }: { state: { balance: number } }, { amount }: { amount: number }) =>
        (state.balance += amount),
    ]),
  ),
});

const cluster = await Cluster.start({ transport: "memory", entities: [Account] });
const app = gateway(cluster, { expose: [] });

function send(n: number): Promise<unknown> {
  const type = types[n % TYPES]!;
  return cluster.entity("account", ids[n % ids.length]!).send({ type, amount: 1 });
}

async function scrape(): Promise<void> {
  const response = await app.request("/metrics");
  const text = await response.text();
  const isWhole = text.includes(`message="${types[TYPES - 1]!}",outcome="ok"`);
  if (response.status !== 200 || !isWhole) throw new Error(`Cannot scrape: ${response.status}`);
}

for (let n = 0; n < MESSAGES; n++) await send(n);
const tookMs: number[] = [];
for (let n = 0; n < WARM_UPS + SCRAPES; n++) {
  const beganMs = performance.now();
  await scrape();
  if (n >= WARM_UPS) tookMs.push(performance.now() - beganMs);
}
say(tookFigure("scrape, 100 types", tookMs, 10));

const sends = inFlight(IN_FLIGHT, send);
const outcome = await contest(
  {
    subject: async (count, latenciesMs) => {
      await Promise.all([sends(count, latenciesMs), scrape()]);
    },
    floor: sends,
  },
  { ...effort(), roundMs: SCRAPE_EVERY_MS },
);
say(rateFigure("local send, scraped", outcome, [atLeast(outcome.ratio, 0.98, "× floor")]));
await cluster.stop();
