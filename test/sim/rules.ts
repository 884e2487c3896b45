/**
 * The rules of the protocol that the simulator takes out, each with the schedule that notices.
 */
import type { SceneName } from "./directed.ts";
import type { Kind } from "./plan.ts";

/** One place of the source, and what is to stand there instead. */
export interface Patch {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A rule that can be taken out. */
export interface Rule extends Patch {
  readonly rule: string;
  /** Other places that the rule stands at. */
  readonly also?: readonly Patch[];
}

/** A rule whose absence a schedule notices. */
export interface Mutation extends Rule {
  readonly kind: Kind | SceneName;
  /** A schedule that notices. */
  readonly seed: number;
}

/** See the file's header. */
export const MUTATIONS: readonly Mutation[] = [
  {
    rule: "L1 the lease counts from before the send",
    file: "ownership/lease.ts",
    from: "const untilMs = lease.sentMs + times.timeoutMs;",
    to: "const untilMs = lease.sentMs + 400 + times.timeoutMs;",
    kind: "chaos",
    seed: 303,
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
    file: "base/limits.ts",
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
    seed: 808,
  },
  {
    rule: "L5 observers count on the monotonic clock",
    file: "runtime/membership.ts",
    from: "this.#heardMs.set(incarnation, this.#context.clock.nowMs());",
    to: "this.#heardMs.set(incarnation, this.#context.clock.wallMs());",
    also: [
      {
        file: "runtime/membership.ts",
        from: "#observe(nowMs: number): void {",
        to: "#observe(_: number, nowMs = this.#context.clock.wallMs()): void {",
      },
      {
        file: "runtime/membership.ts",
        from: "this.#graceMs = nowMs;",
        to: "this.#graceMs = clock.wallMs();",
      },
    ],
    kind: "chaos",
    seed: 106,
  },
  {
    rule: "L6 after an outage all are given their time again",
    file: "runtime/membership.ts",
    from: "if (!leaseHolds) this.#graceMs = nowMs;",
    to: "",
    also: [
      {
        file: "runtime/membership.ts",
        from: "this.#graceMs = this.#context.clock.nowMs();",
        to: "",
      },
    ],
    kind: "outage",
    seed: 5,
  },
  {
    rule: "O2 the receiver waits for the record",
    file: "ownership/shard.ts",
    from: "if (owner === self && handoff === state.handoff && epoch === state.epoch + 1) {",
    to: "if (epoch === state.epoch || handoff === state.handoff) {",
    also: [
      {
        file: "ownership/shard.ts",
        from: "return open(current, handoff);",
        to:
          "const record = { ...current.record, owner: self, epoch: state.epoch + 1 };" +
          "return open({ ...current, record }, state.handoff);",
      },
      {
        file: "runtime/shards.ts",
        from: "if (shard.state !== before) shard.stage({ counters, packets });",
        to: "shard.stage({ counters, packets }); this.#look(shard);",
      },
    ],
    kind: "planned",
    seed: 1,
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
    rule: "O4 a handoff that staged nothing is not believed",
    file: "ownership/shard.ts",
    from: "if (isMine && handoff === null) return open(current);",
    to: "if (isMine) return open(current);",
    kind: "late flip",
    seed: 5,
  },
  {
    rule: "O5 records are applied monotonically",
    file: "ownership/view.ts",
    from: "if (revision <= (this.#entries.get(key)?.revision ?? 0)) return undefined;",
    to: "",
    kind: "planned",
    seed: 6,
  },
  {
    rule: "O6 a claim throws away what was staged",
    file: "ownership/shard.ts",
    from: "return [next, [effect, ...effects]];",
    to: "return [next, event === undefined ? [effect] : effects];",
    also: [
      {
        file: "runtime/shards.ts",
        from: 'shard.adopt(handoff === undefined ? "nothing" : "staged");',
        to: 'shard.adopt("staged");',
      },
    ],
    kind: "chaos",
    seed: 8,
  },
  {
    rule: "O7 a leaving node takes no transfer",
    file: "runtime/shards.ts",
    from: "packets === undefined || this.isLeaving ||",
    to: "packets === undefined ||",
    kind: "planned",
    seed: 97,
  },
  {
    rule: "O7 a node does not leave with staged shards",
    file: "runtime/shards.ts",
    from: 'this.#heirs > 0 ? state.kind !== "none" :',
    to: 'this.#heirs > 0 ? !["none", "staged"].includes(state.kind) :',
    kind: "planned",
    seed: 261,
  },
  {
    rule: "G1 whoever sees another generation is fenced",
    file: "runtime/node.ts",
    from: "if (generation !== 0 && generation !== snapshot.generation) return",
    to: "if (generation < 0) return",
    kind: "two lives",
    seed: 2,
  },
  {
    rule: "G2 a new generation waits for the last one's leases",
    file: "testing/driver.ts",
    from: "this.#closedUntilMs = this.#world.nowMs + quarantineMs;",
    to: "this.#closedUntilMs = this.#world.nowMs;",
    kind: "rollback",
    seed: 367,
  },
  {
    rule: "G2 whoever comes back waits for those leases",
    file: "runtime/seat.ts",
    from: 'reason === "generation" ? silenceMsMax(times.timeoutMs) : 0',
    to: 'reason === "generation" ? 0 * silenceMsMax(times.timeoutMs) : 0',
    also: [
      {
        file: "testing/driver.ts",
        from: "this.#closedUntilMs = this.#world.nowMs + quarantineMs;",
        to: "this.#closedUntilMs = this.#world.nowMs;",
      },
    ],
    kind: "come back",
    seed: 2,
  },
  {
    rule: "G3 a node that is fenced while it leaves ends",
    file: "runtime/node.ts",
    from: "Promise.race([work, this.#over])",
    to: "work",
    kind: "rollback",
    seed: 309,
  },
  {
    rule: "G4 nothing of another generation is believed",
    file: "runtime/mesh.ts",
    from: "if (frame.to !== self || frame.generation !== generation) return true;",
    to: "if (frame.to !== self) return true;",
    also: [
      {
        file: "runtime/peer.ts",
        from: "if (!leaseHolds) return slices.later({ resume: () => this.#flush() });",
        to: "if (!leaseHolds && slices.turns < 0) return;",
      },
    ],
    kind: "old news",
    seed: 1,
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
    file: "runtime/owned-shard.ts",
    from: "counters: isLast ? counters : []",
    to: "counters: isLast ? counters.slice(0, 0) : []",
    kind: "planned",
    seed: 1,
  },
  {
    rule: "M2 a message from before a claim is refused",
    file: "runtime/local-delivery.ts",
    from: "if (isStale(item.epoch, shard.cleanSince)) return false;",
    to: "if (isStale(0, 0)) return false;",
    kind: "late message",
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
    rule: "the state of an entity travels with its shard",
    file: "runtime/packet.ts",
    from: "if (state !== undefined) text",
    to: "if (state !== undefined && nowMs < 0) text",
    kind: "planned",
    seed: 1,
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
