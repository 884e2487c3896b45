/**
 * Rules of the protocol, each with a patch that takes it out and the seed of a schedule that then
 * violates something. A rule that can be taken out unnoticed is either not needed or not tested.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Kind } from "./plan.ts";
import type { Extent } from "./small.ts";

/** A rule, and how it is taken out. */
interface Patch {
  readonly rule: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

interface Mutation extends Patch {
  readonly kind: Kind;
  /** A schedule that notices. */
  readonly seed: number;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** How many schedules a search tries. */
const TRIES = 1_500;

const MUTATIONS: readonly Mutation[] = [
  {
    rule: "L1 the lease counts from before the send",
    file: "ownership/lease.ts",
    from: "const untilMs = lease.sentMs + times.timeoutMs;",
    to: "const untilMs = lease.sentMs + 400 + times.timeoutMs;",
    kind: "chaos",
    seed: 1383,
  },
  {
    rule: "L3 the lease is checked before each turn",
    file: "runtime/slices.ts",
    from: "if (this.nowMs >= this.leaseUntilMs) return false;",
    to: "",
    kind: "chaos",
    seed: 7,
  },
  {
    rule: "L5 observers wait for the whole lease",
    file: "ownership/lease.ts",
    from: "return leaseMs * (1 + 2 * CLOCK_DRIFT_MAX) + LEASE_GUARD_MS;",
    to: "return leaseMs * 0.6 + 0 * (CLOCK_DRIFT_MAX + LEASE_GUARD_MS);",
    kind: "chaos",
    seed: 33,
  },
  {
    rule: "L5 observers count from receipt",
    file: "runtime/membership.ts",
    from: "this.#heardMs.set(incarnation, this.#context.clock.nowMs());",
    to: "this.#heardMs.set(incarnation, this.#context.clock.nowMs() - 300);",
    kind: "chaos",
    seed: 266,
  },
  {
    rule: "O3 an unknown outcome is asked for, not assumed",
    file: "runtime/record-writer.ts",
    from: "this.#context.after(AUTHORITY_TIMEOUT_MS / 10, () => this.#attempt(asked));",
    to: "this.#settle(asked, asked.map(() => ({ ok: false, current: undefined })));",
    kind: "chaos",
    seed: 10,
  },
  {
    rule: "O5 records are applied monotonically",
    file: "ownership/view.ts",
    from: "if (revision <= (this.#entries.get(key)?.revision ?? 0)) return undefined;",
    to: "",
    kind: "planned",
    seed: 3,
  },
  {
    rule: "M1 each number is accepted once, in order",
    file: "ownership/channel.ts",
    from: 'return sequence <= last ? "duplicate" : "gap";',
    to: 'return "accept";',
    kind: "planned",
    seed: 2,
  },
  {
    rule: "M1 the counters move with the shard",
    file: "runtime/owned-shard.ts",
    from: "counters: isLast ? counters : []",
    to: "counters: isLast ? counters.slice(0, 0) : []",
    kind: "planned",
    seed: 1,
  },
  {
    rule: "M3 a clean change of owner keeps the channel",
    file: "ownership/channel.ts",
    from: 'return record.cleanSince <= epoch ? "resend" : "renumber";',
    to: 'return "renumber";',
    kind: "planned",
    seed: 1,
  },
  {
    rule: "M3 a claim begins a new channel",
    file: "ownership/channel.ts",
    from: 'return record.cleanSince <= epoch ? "resend" : "renumber";',
    to: 'return "resend";',
    kind: "chaos",
    seed: 8,
  },
  {
    rule: "output gate: an answer waits for a valid lease",
    file: "runtime/activation.ts",
    from: "if (!work.oneWay && !slices.mayRelease()) {",
    to: "if (!work.oneWay && !slices.mayRelease() && Number.NaN > 0) {",
    kind: "chaos",
    seed: 5,
  },
  {
    rule: "messages that wait travel with their entity",
    file: "runtime/local-delivery.ts",
    from: "for (const work of works) this.hosts",
    to: "for (const work of works.slice(1)) this.hosts",
    kind: "planned",
    seed: 1,
  },
  {
    rule: "an acknowledgement does not overtake a redirect",
    file: "runtime/peer.ts",
    from: "if (number <= this.#processed) this.#acknowledge(acknowledged);",
    to: "this.#acknowledge(acknowledged);",
    kind: "planned",
    seed: 2,
  },
];

/** Rules whose absence small clusters notice, and how far they have to be tried. */
const EXHAUSTED: readonly (Patch & { readonly extent: Extent })[] = [
  {
    rule: "who leaves gives away what it never touched, too",
    file: "runtime/shards.ts",
    from: "if (isTouched || this.#concerns(number)) this.#look",
    to: "if (isTouched || (!this.isLeaving && this.#concerns(number))) this.#look",
    extent: { depth: 2 },
  },
  { ...patchOf("O3 an unknown outcome is asked for, not assumed"), extent: { depth: 3 } },
  { ...patchOf("M3 a clean change of owner keeps the channel"), extent: { depth: 3 } },
  { ...patchOf("messages that wait travel with their entity"), extent: { depth: 3 } },
  {
    ...patchOf("M1 the counters move with the shard"),
    extent: { depth: 2, changesMax: 1 },
  },
];

/** The patch that takes `rule` out. @throws {RangeError} when there is no such rule. */
export function patchOf(rule: string): Patch {
  const found = MUTATIONS.find((each) => each.rule === rule);
  if (found === undefined) throw new RangeError(`Cannot take out "${rule}": there is no such rule`);
  const { file, from, to } = found;
  return { rule, file, from, to };
}

/** Takes each rule out in turn; true when every one was noticed. */
export async function replayMutations({ search }: { readonly search: boolean }): Promise<boolean> {
  let missed = 0;
  const tell = ({ rule }: Patch, by: string, found: Found | undefined): void => {
    if (found === undefined) missed++;
    const noticed = found === undefined ? "NOT NOTICED" : `${by} ${found.seed ?? found.scenario}`;
    console.log(`${rule.padEnd(52)} ${noticed.padEnd(15)} ${found?.violation ?? ""}`);
  };
  for (const mutation of MUTATIONS) {
    const { kind, seed } = mutation;
    const range = search ? [`--${kind}`, `${TRIES}`] : [`--${kind}`, "1", "--seed", `${seed}`];
    tell(mutation, kind, runWithout(mutation, range));
  }
  for (const mutation of EXHAUSTED) {
    const { depth, changesMax } = mutation.extent;
    const changes = changesMax === undefined ? [] : ["--changes", `${changesMax}`];
    const range = ["--exhaust", "--depth", `${depth}`, ...changes];
    tell(mutation, "exhaust", runWithout(mutation, range));
  }
  return missed === 0;
}

/** What the simulator said of a violation. */
export interface Found {
  readonly violation: string;
  /** Of a schedule. */
  readonly seed?: number;
  /** The small cluster. */
  readonly scenario?: string;
  /** What is left of a schedule that was shrunk. */
  readonly only?: readonly number[];
  readonly entities?: readonly string[];
  readonly rounds?: number;
}

/** Runs the simulator on a patched copy of the source, which lies where it finds its libraries. */
export function runWithout({ file, from, to }: Patch, args: readonly string[]): Found | undefined {
  const folder = join(ROOT, "node_modules/.cache", `catga-mutation-${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true });
    for (const part of ["src", "test/sim"]) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true });
    }
    const path = join(folder, "src", file);
    const text = readFileSync(path, "utf8");
    if (!text.includes(from))
      throw new Error(`Cannot take out of ${file} what is not there: ${from}`);
    writeFileSync(path, text.replace(from, to));
    const command = [join(folder, "test/sim/main.ts"), "--json", ...args];
    const { stdout } = spawnSync(process.execPath, command, { encoding: "utf8", timeout: 120_000 });
    const line = stdout.split("\n").find((each) => each.startsWith("{"));
    return line === undefined ? undefined : (JSON.parse(line) as Found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
