/**
 * Rules of the protocol, each with a patch that takes it out and the seed of a schedule that then
 * violates something. A rule that can be taken out unnoticed is either not needed or not tested.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Kind } from "./schedule.ts";

interface Mutation {
  readonly rule: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
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
    from: "const untilMs = lease.renewal.sentMs + times.timeoutMs;",
    to: "const untilMs = lease.renewal.sentMs + 400 + times.timeoutMs;",
    kind: "chaos",
    seed: 55,
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
    from: "if (entry.revision <= (this.#entries.get(entry.key)?.revision ?? 0)) return undefined;",
    to: "",
    kind: "planned",
    seed: 4,
  },
  {
    rule: "M1 each number is accepted once, in order",
    file: "ownership/channel.ts",
    from: 'return sequence <= last ? "duplicate" : "gap";',
    to: 'return "accept";',
    kind: "planned",
    seed: 1,
  },
  {
    rule: "M1 the counters move with the shard",
    file: "runtime/departure.ts",
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
    seed: 7,
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
    seed: 2,
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

/** Takes each rule out in turn; true when every one was noticed. */
export async function replayMutations({ search }: { readonly search: boolean }): Promise<boolean> {
  let missed = 0;
  for (const mutation of MUTATIONS) {
    const found = tryOut(mutation, search);
    if (found === undefined) missed++;
    const seed = found === undefined ? "NOT NOTICED" : `${mutation.kind} ${found.seed}`;
    console.log(`${mutation.rule.padEnd(52)} ${seed.padEnd(14)} ${found?.violation ?? ""}`);
  }
  return missed === 0;
}

interface Found {
  readonly seed: number;
  readonly violation: string;
}

/** Runs schedules on a patched copy of the source, which lies where it finds its libraries. */
function tryOut({ file, from, to, kind, seed }: Mutation, search: boolean): Found | undefined {
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
    const range = search ? [`--${kind}`, `${TRIES}`] : [`--${kind}`, "1", "--seed", `${seed}`];
    const args = [join(folder, "test/sim/main.ts"), "--json", ...range];
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 120_000 });
    const line = stdout.split("\n").find((each) => each.startsWith("{"));
    return line === undefined ? undefined : (JSON.parse(line) as Found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
