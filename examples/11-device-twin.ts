/**
 * A twin for each device: what it reported last, and what it should do. Reports come in masses and
 * are stored behind their answers; what somebody has set is stored before they hear that it is.
 *
 * `npx bun examples/11-device-twin.ts` prints:
 *
 *     attic: set to 21 °C, stored
 *     4 devices sent 4000 reports
 *     everything stops, and starts again
 *     attic: 1000 reports, last 18.9 °C, should be 21 °C
 *     attic asks what to do: heat
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { sqlite } from "../src/drivers/sqlite/index.ts";
import { Cluster, command, defineEntity, query } from "../src/index.ts";

interface Twin {
  readonly reports: number;
  readonly celsius: number;
  readonly wanted: number;
}

const Device = defineEntity("device", {
  messages: {
    report: command<{ celsius: number }, "heat" | "rest">(),
    set: command<{ wanted: number }>(),
    twin: query<void, Twin>(),
  },
  // A thousand reports cost one write a second. A node that dies takes the last second along: the
  // next report says more than the lost ones.
  persistence: "write-behind",
  state: () => ({ reports: 0, celsius: 0, wanted: 18 }),
  handlers: {
    report({ state }, { celsius }) {
      state.reports++;
      state.celsius = celsius;
      return celsius < state.wanted ? "heat" : "rest";
    },
    async set(context, { wanted }) {
      context.state.wanted = wanted;
      // Nobody would say this again.
      await context.save();
    },
    twin: ({ state }) => state,
  },
});

const folder = mkdtempSync(join(tmpdir(), "twin-"));
const store = sqlite({ file: join(folder, "twins.db") });
const start = () => Cluster.start({ name: basename(folder), store, entities: [Device] });

let cluster = await start();
const device = (id: string) => cluster.entity("device", id);
await device("attic").send({ type: "set", wanted: 21 });
console.log("attic: set to 21 °C, stored");
const ids = ["attic", "cellar", "hall", "yard"];
for (let n = 0; n < 1_000; n++) {
  const reports = ids.map((id) => device(id).send({ type: "report", celsius: 18 + (n % 10) / 10 }));
  await Promise.all(reports);
}
console.log(`${ids.length} devices sent ${ids.length * 1_000} reports`);
await cluster.stop();

console.log("everything stops, and starts again");
cluster = await start();
const { reports, celsius, wanted } = await device("attic").send({ type: "twin" });
console.log(`attic: ${reports} reports, last ${celsius} °C, should be ${wanted} °C`);
console.log(`attic asks what to do: ${await device("attic").send({ type: "report", celsius })}`);
await cluster.stop();
rmSync(folder, { recursive: true });
