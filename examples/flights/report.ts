/** What the demo says, part by part, from top to bottom of the screen. */
import type { Changes } from "./changes.ts";
import type { Settlement } from "./fleet.ts";
import type { Ready } from "./lines.ts";
import type { Tally } from "./replay.ts";
import { type Column, grouped, type Screen } from "./screen.ts";
import { type BusyAirport, isClean, type Verdict } from "./verdict.ts";

/** A replay that is over. */
export interface Replayed {
  readonly tally: Tally;
  readonly seconds: number;
}

const RUNTIME_TITLES: Readonly<Record<string, string>> = {
  bun: "Bun",
  node: "Node.js",
  deno: "Deno",
};
const NODE_COLUMNS: readonly Column[] = [
  { title: "node", align: "left" },
  { title: "runtime", align: "left" },
  { title: "edge", align: "left" },
  { title: "pid", align: "right" },
];
const AIRPORT_COLUMNS: readonly Column[] = [
  { title: "airport", align: "left" },
  { title: "departures", align: "right" },
  { title: "arrivals", align: "right" },
  { title: "mean delay", align: "right" },
  { title: "owner", align: "left" },
];
const DIFFERENT_SHOWN_MAX = 12;
const REASON_COLUMNS_MAX = 96;

/** The first line. */
export function showTitle(
  screen: Screen,
  { flights, airports }: { readonly flights: number; readonly airports: number },
): void {
  screen.line();
  screen.line(
    `${screen.bold("catga")}   ${grouped(flights)} flights between ${airports} airports, ` +
      "every airport an entity",
  );
}

/** The broker at which the nodes meet; no word of its password. */
export function showBroker(screen: Screen, transport: string, cluster: string): void {
  const { protocol, host } = new URL(transport);
  const title = protocol.startsWith("redis") ? "Redis" : "NATS";
  screen.line(`broker   ${title} at ${host}, as cluster ${cluster}`);
}

/** The nodes, with where they can be reached. */
export function showNodes(screen: Screen, nodes: readonly Ready[]): void {
  screen.line();
  screen.table(
    NODE_COLUMNS,
    nodes.map(({ node, runtime, url, pid }) => [node, runtimeTitle(runtime), url, String(pid)]),
  );
  screen.line();
}

/** Where the airports live. */
export function showRing(screen: Screen, { isSettled, owners, tookMs }: Settlement): void {
  const counts = new Map<string, number>();
  for (const owner of owners) {
    if (owner !== null) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  }
  const each = [...counts.values()];
  const share = `${Math.min(...each)} to ${Math.max(...each)} airports per node`;
  screen.line(
    isSettled
      ? `ring     settled in ${grouped(tookMs)} ms, ${share}`
      : screen.bad(`ring     not settled after ${grouped(tookMs)} ms, going on all the same`),
  );
}

/** How fast it went. */
export function showRate(screen: Screen, { tally: { answered }, seconds }: Replayed): void {
  const rate = screen.bold(`${grouped(answered / seconds)} messages per second`);
  screen.line(`rate     ${rate}, ${grouped(answered)} in ${seconds.toFixed(2)} s`);
}

/** A change of the cluster, while flights came in. */
export function showChange(screen: Screen, what: string, tookMs: number, moved: number): void {
  screen.line(`change   ${what}: ${moved} airports moved, settled in ${grouped(tookMs)} ms`);
}

/** What the kill took with it. */
export function showChanges(screen: Screen, { died, sentAgain }: Changes): void {
  if (died.length === 0) return screen.line();
  const named = died.slice(0, DIFFERENT_SHOWN_MAX).join(" ");
  const more = died.length > DIFFERENT_SHOWN_MAX ? " …" : "";
  screen.line(`died     ${died.length} airports in memory: ${named}${more}`);
  screen.line(
    `again    ${grouped(sentAgain)} messages sent once more, to them and what was on its way`,
  );
  screen.line();
}

/** What became of the messages. */
export function showTally(screen: Screen, tally: Tally, verdict: Verdict): void {
  const { sent, answered, retried, unknown, failed, reason } = tally;
  const counts = [
    `${grouped(sent)} sent`,
    `${grouped(answered)} answered`,
    `${grouped(retried)} retried`,
    `${grouped(unknown)} unknown outcome`,
    ...(failed === 0 ? [] : [screen.bad(`${grouped(failed)} failed`)]),
    mustBeNone(screen, verdict.lost, "lost"),
    mustBeNone(screen, verdict.doubled, "doubled"),
  ];
  screen.line(counts.join("   "));
  if (reason !== null) screen.line(screen.dim(`first: ${reason}`.slice(0, REASON_COLUMNS_MAX)));
}

/** The busiest airports as a table. */
export function showBusiest(screen: Screen, airports: readonly BusyAirport[]): void {
  screen.line();
  screen.table(
    AIRPORT_COLUMNS,
    airports.map(({ code, departures, arrivals, delay, owner }) => [
      code,
      grouped(departures),
      grouped(arrivals),
      `${(delay / (departures + arrivals)).toFixed(1)} min`,
      owner,
    ]),
  );
  screen.line();
}

/** The last word on the replay. */
export function showVerdict(screen: Screen, airports: number, verdict: Verdict): void {
  if (isClean(verdict)) {
    screen.line(screen.good(`All ${airports} airports agree with a plain loop over the file.`));
    screen.line();
    return;
  }
  const { different } = verdict;
  const named = different.slice(0, DIFFERENT_SHOWN_MAX).join(" ");
  const more = different.length > DIFFERENT_SHOWN_MAX ? " …" : "";
  const count = `${different.length} of ${airports} airports`;
  screen.line(screen.bad(`${count} differ from a plain loop over the file: ${named}${more}`));
  screen.line();
}

/** Commands that work as long as the demo runs, each at another node where there is one. */
export function showTries(
  screen: Screen,
  nodes: readonly Ready[],
  { airport, flight }: { readonly airport: string; readonly flight: number },
): void {
  const urlOf = (index: number): string => nodes[index % nodes.length]!.url;
  const body = { flight, at: "2001/04/01 06:00", to: "LAX", delay: 7, distance: 1235 };
  const tries: readonly (readonly [string, ...string[]])[] = [
    ["one airport, asked at any node", `curl ${urlOf(0)}/entities/airport/${airport}/totals`],
    [
      "one more flight for it (sent again, it counts as doubled)",
      `curl ${urlOf(1)}/entities/airport/${airport}/departure \\`,
      `  -H 'content-type: application/json' \\`,
      `  -d '${JSON.stringify(body)}'`,
    ],
    ["who owns it", `curl ${urlOf(2)}/cluster/owner/airport/${airport}`],
    ["the nodes", `curl ${urlOf(0)}/cluster/nodes`],
  ];
  screen.line(`${screen.bold("Still serving.")} Try it; Ctrl-C ends it.`);
  for (const [what, ...lines] of tries) {
    screen.line();
    screen.line(screen.dim(`# ${what}`));
    for (const line of lines) screen.line(line);
  }
  screen.line();
}

function mustBeNone(screen: Screen, count: number, what: string): string {
  const text = `${grouped(count)} ${what}`;
  return count === 0 ? screen.good(text) : screen.bad(text);
}

/** `bun 1.4.5` as its makers write it. */
function runtimeTitle(runtime: string): string {
  const [name = "", ...version] = runtime.split(" ");
  return [RUNTIME_TITLES[name] ?? name, ...version].join(" ");
}
