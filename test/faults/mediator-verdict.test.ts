/** The judge of the fault tests over the mediator is one that can say no. */
import { expect, test } from "bun:test";
import type { Run } from "./handled.ts";
import { type Cost, judgeMediator, type Witnessed } from "./mediator-verdict.ts";
import type { Circuit, Sent } from "./sender.ts";

/** A message of `s`, which was not answered. */
function sent(id: string, kind: Sent["kind"], more: Partial<Sent> = {}): Sent {
  const type = kind === "query" ? "ask" : "do";
  const base = { by: "s", id, type, kind, isBroadcast: false, beganMs: 0, waitedMs: 1 };
  return { ...base, outcomes: [], failure: undefined, ...more };
}

/** What `node` answered to a message, as its first run. */
function by(node: string, id: string): Sent["outcomes"][number] {
  return { node, ok: true, reply: { id, node, run: 1 } };
}

function ran(id: string, node: string, run = 1): Run {
  return { id, node, run, type: "do" };
}

function failed(code: string, executed: "no" | "maybe" | "yes"): Partial<Sent> {
  return { failure: { code, executed } };
}

function circuit(what: Circuit["what"], by = "s"): Circuit {
  return { by, node: "a", message: "ask", what };
}

function seen(more: Partial<Witnessed>): Witnessed {
  return { runs: [], sent: [], circuits: [], failed: [], senders: ["s", "t"], ...more };
}

const UNKNOWN = failed("OUTCOME_UNKNOWN", "maybe");
const PLANNED: Cost = { isPlanned: true };
const BREAKS: Cost = { breaks: { node: "a", messages: ["ask"] } };
const VOTE = { isBroadcast: true };

const rights: readonly [what: string, story: Partial<Witnessed>, cost: Cost][] = [
  [
    "commands that ran once and were answered",
    { sent: [sent("1", "command", { outcomes: [by("a", "1")] })], runs: [ran("1", "a")] },
    PLANNED,
  ],
  [
    "commands of unknown outcome that ran, and that did not",
    { sent: [sent("1", "command", UNKNOWN), sent("2", "command", UNKNOWN)], runs: [ran("1", "a")] },
    {},
  ],
  [
    "a query that ran twice, the first time for nobody",
    {
      sent: [sent("1", "query", { outcomes: [by("b", "1")] })],
      runs: [ran("1", "a"), ran("1", "b")],
    },
    {},
  ],
  [
    "a query that may time out, and did",
    { sent: [sent("1", "query", failed("CALL_TIMEOUT", "maybe"))] },
    { mayFail: { ask: ["CALL_TIMEOUT"] } },
  ],
  [
    "a query whose last try was refused after one that ran",
    { sent: [sent("1", "query", failed("OVERLOADED", "no"))], runs: [ran("1", "a")] },
    { mayFail: { ask: ["OVERLOADED"] } },
  ],
  [
    "a command that was sent twice and answered twice with the same run",
    {
      sent: [sent("1", "command", { outcomes: [by("a", "1"), by("a", "1")] })],
      runs: [ran("1", "a")],
    },
    PLANNED,
  ],
  [
    "a broadcast without the answer of one that died",
    {
      sent: [
        sent("1", "query", {
          ...VOTE,
          outcomes: [by("a", "1"), { node: "b", ok: false, code: "OUTCOME_UNKNOWN" }],
        }),
      ],
      runs: [ran("1", "a"), ran("1", "b")],
    },
    {},
  ],
  [
    "circuits that opened and closed at everybody",
    {
      circuits: ["s", "t"].flatMap((name) => [circuit("opened", name), circuit("closed", name)]),
      failed: ["a"],
    },
    BREAKS,
  ],
];
test.each([...rights])("finds nothing wrong with %s", (_, story, cost) => {
  expect(judgeMediator(seen(story), cost)).toEqual([]);
});

const wrongs: readonly [what: string, story: Partial<Witnessed>, cost: Cost, says: string][] = [
  [
    "a command that ran on two nodes",
    {
      sent: [sent("1", "command", { outcomes: [by("b", "1")] })],
      runs: [ran("1", "a"), ran("1", "b")],
    },
    {},
    "1 (do) ran 2 times, on a, b",
  ],
  [
    "a command of unknown outcome that ran twice",
    { sent: [sent("1", "command", UNKNOWN)], runs: [ran("1", "a"), ran("1", "a", 2)] },
    {},
    "1 (do) ran 2 times, on a, a",
  ],
  [
    "a command that is said not to have run",
    { sent: [sent("1", "command", failed("OVERLOADED", "no"))], runs: [ran("1", "a")] },
    { mayFail: { do: ["OVERLOADED"] } },
    "1 (do) ran on a, and is said not to have run",
  ],
  [
    "an answer without a run",
    { sent: [sent("1", "command", { outcomes: [by("a", "1")] })] },
    {},
    "1 (do) was answered by a, and did not run there",
  ],
  [
    "an answer of another run than the one there was",
    { sent: [sent("1", "command", { outcomes: [by("a", "1")] })], runs: [ran("1", "a", 2)] },
    {},
    "1 (do) was answered by a, and did not run there",
  ],
  [
    "the answer to another message",
    { sent: [sent("1", "query", { outcomes: [by("a", "2")] })], runs: [ran("1", "a")] },
    {},
    "1 (ask) got the answer to 2",
  ],
  [
    "an outcome under the name of another node",
    {
      sent: [sent("1", "query", { outcomes: [{ ...by("a", "1"), node: "b" }] })],
      runs: [ran("1", "a")],
    },
    {},
    "1 (ask) got of b what a said",
  ],
  [
    "two outcomes of one node",
    {
      sent: [sent("1", "query", { ...VOTE, outcomes: [by("a", "1"), by("a", "1")] })],
      runs: [ran("1", "a")],
    },
    {},
    "1 (ask) has two outcomes of one node: a, a",
  ],
  [
    "a query that nobody answered",
    { sent: [sent("1", "query", UNKNOWN)] },
    {},
    "1 (ask) failed with OUTCOME_UNKNOWN",
  ],
  [
    "a command that failed, and not for a death",
    { sent: [sent("1", "command", failed("CALL_TIMEOUT", "maybe"))] },
    {},
    "1 (do) failed with CALL_TIMEOUT",
  ],
  [
    "an unknown outcome where nothing died",
    { sent: [sent("1", "command", UNKNOWN)] },
    PLANNED,
    "1 (do) failed with OUTCOME_UNKNOWN",
  ],
  ["what nobody sent", { runs: [ran("1", "a")] }, {}, "1 ran on a, and nobody has sent it"],
  ["a death that was not to be", { failed: ["a"] }, PLANNED, "a was declared dead"],
  [
    "a circuit that stays open",
    { circuits: [circuit("opened")] },
    {},
    "the circuit of ask to a at s is still open",
  ],
  [
    "a circuit that opened twice",
    { circuits: [circuit("opened"), circuit("opened"), circuit("closed")] },
    {},
    "the circuit of ask to a at s opened twice",
  ],
  [
    "a circuit that closed and never opened",
    { circuits: [circuit("closed")] },
    {},
    "the circuit of ask to a at s closed twice",
  ],
  [
    "a circuit that opened where nothing was broken",
    { circuits: [circuit("opened"), circuit("closed")] },
    PLANNED,
    "the circuit of ask to a at s opened, and nothing was broken",
  ],
  [
    "a circuit that did not open at one of the senders",
    { circuits: [circuit("opened"), circuit("closed")] },
    BREAKS,
    "the circuit of ask to a at t never opened",
  ],
];
test.each([...wrongs])("finds %s", (_, story, cost, says) => {
  expect(judgeMediator(seen(story), cost)).toContain(says);
});
