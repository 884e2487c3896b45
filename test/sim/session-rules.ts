/** The rules about sessions among those that the simulator takes out; see `rules.ts`. */
import type { Mutation } from "./rule.ts";

/** See the file's header. */
export const SESSION_RULES: readonly Mutation[] = [
  {
    rule: "S1 who joins late, with another store, leaves",
    file: "runtime/membership.ts",
    from: "await this.#agreeOnStore(place, this.#revision);",
    to: "",
    kind: "two stores",
    seed: 2,
  },
  {
    rule: "S1 who compares stores has heard of all before it",
    file: "runtime/membership.ts",
    from: "if (store !== undefined) await this.#isListed;",
    to: "",
    kind: "two stores",
    seed: 9,
  },
  {
    rule: "S1 whoever renews has joined before",
    file: "ownership/view.ts",
    from: 'if (revision < before || heartbeat > 0 || state !== "up")',
    to: "if (revision < before)",
    kind: "two stores",
    seed: 9,
  },
  {
    rule: "S1 who only seems to live keeps nobody out",
    file: "runtime/membership.ts",
    from: "await this.#outlast(incarnation);\n      const details",
    to: "const details",
    kind: "two stores",
    seed: 1,
  },
];
