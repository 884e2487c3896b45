/** The rules about sessions among those that the simulator takes out; see `rules.ts`. */
import type { Mutation } from "./rule.ts";

/** See the file's header. */
export const SESSION_RULES: readonly Mutation[] = [
  {
    rule: "N1 of those who join under one id one stays",
    file: "ownership/view.ts",
    from: "record.node === node || ",
    to: "",
    kind: "one id",
    seed: 1,
  },
  {
    rule: "S1 who joins late, with another store, leaves",
    file: "runtime/membership.ts",
    from: "await this.#agreeWithOthers(own, this.#revision);",
    to: "",
    kind: "two stores",
    seed: 2,
  },
  {
    rule: "S1 who compares stores has heard of all before it",
    file: "runtime/membership.ts",
    from: "await this.#isListed;",
    to: "",
    kind: "two stores",
    seed: 91,
  },
  {
    rule: "S1 whoever renews has joined before",
    file: "ownership/view.ts",
    from: 'revision < before || record.heartbeat > 0 || record.state !== "up"',
    to: "revision < before",
    kind: "two stores",
    seed: 35,
  },
  {
    rule: "S1 who only seems to live keeps nobody out",
    file: "runtime/membership.ts",
    from: "await this.#outlast(incarnation);\n      if (!view",
    to: "if (!view",
    kind: "two stores",
    seed: 1,
  },
  {
    rule: "K1 only who was over for long is forgotten",
    file: "ownership/view.ts",
    from: "wallMs - record.overMs! > SESSION_FORGOTTEN_MS);",
    to: "wallMs > record.overMs!);",
    kind: "days",
    seed: 16,
  },
  {
    rule: "K2 nothing counts of a sender that is forgotten",
    file: "runtime/mesh.ts",
    from: " || view.isForgotten(from, clock.wallMs())",
    to: " || clock.wallMs() < 0",
    kind: "days",
    seed: 7,
  },
  {
    rule: "K3 an owner that is forgotten is over",
    file: "ownership/view.ts",
    from: "?? Number.POSITIVE_INFINITY) <= this.#toldRevision;",
    to: "?? Number.POSITIVE_INFINITY) <= 0 * this.#toldRevision;",
    kind: "days",
    seed: 4,
  },
  {
    rule: "K4 who joins takes the key of one that was over for long",
    file: "runtime/membership.ts",
    from: "view.forgettable(clock.wallMs(), sessionsKept) ?? none",
    to: "[none, view.forgettable(clock.wallMs(), sessionsKept)][0]!",
    kind: "days",
    seed: 1,
  },
];
