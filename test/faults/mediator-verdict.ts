/** What must hold for messages that any node may handle, whatever happened to the processes. */
import type { Run } from "./handled.ts";
import { type Circuit, openCircuits, type Sent } from "./sender.ts";

/** What a scenario may cost. */
export interface Cost {
  /** Nothing dies in it, and nothing may fail. */
  readonly isPlanned?: boolean;
  /** Messages that may fail with other codes than that of a death, with these. */
  readonly mayFail?: Readonly<Record<string, readonly string[]>>;
  /** Messages whose circuits to this node must open and close at every sender. */
  readonly breaks?: { readonly node: string; readonly messages: readonly string[] };
}

/** All that was seen of a scenario. */
export interface Witnessed {
  readonly runs: readonly Run[];
  readonly sent: readonly Sent[];
  readonly circuits: readonly Circuit[];
  /** Nodes that senders saw die. */
  readonly failed: readonly string[];
  /** Their names. */
  readonly senders: readonly string[];
}

/** Everything that is wrong; nothing when all is well. */
export function judgeMediator(seen: Witnessed, cost: Cost = {}): string[] {
  const runs = new Map<string, Run[]>();
  for (const run of seen.runs) runs.set(run.id, [...(runs.get(run.id) ?? []), run]);
  const sent = new Set(seen.sent.map(({ id }) => id));
  const strays = seen.runs.filter(({ id }) => !sent.has(id));
  return [
    ...seen.sent.flatMap((each) => [
      ...times(each, runs.get(each.id) ?? []),
      ...answers(each, runs.get(each.id) ?? []),
      ...failure(each, cost),
    ]),
    ...strays.map(({ id, node }) => `${id} ran on ${node}, and nobody has sent it`),
    ...circuits(seen, cost),
    ...(cost.isPlanned === true ? seen.failed.map((node) => `${node} was declared dead`) : []),
  ];
}

/** How often it ran, against what its sender knows. */
function times({ id, type, kind, failure }: Sent, runs: readonly Run[]): string[] {
  const where = runs.map(({ node }) => node).join(", ");
  if (failure?.executed === "no" && runs.length > 0) {
    // Of a query the last try did not run, whatever became of those before it.
    return kind === "query" ? [] : [`${id} (${type}) ran on ${where}, and is said not to have run`];
  }
  if (kind === "query" || runs.length < 2) return [];
  return [`${id} (${type}) ran ${runs.length} times, on ${where}`];
}

/** Who has answered has run it, just as it says, and answers once. */
function answers({ id, type, isBroadcast, outcomes }: Sent, runs: readonly Run[]): string[] {
  const wrong: string[] = [];
  for (const outcome of outcomes) {
    if (!outcome.ok) continue;
    const { node, reply } = outcome;
    const hasRun = runs.some((run) => run.node === reply.node && run.run === reply.run);
    if (!hasRun) wrong.push(`${id} (${type}) was answered by ${node}, and did not run there`);
    if (reply.id !== id) wrong.push(`${id} (${type}) got the answer to ${reply.id}`);
    if (reply.node !== node) wrong.push(`${id} (${type}) got of ${node} what ${reply.node} said`);
  }
  const nodes = outcomes.map(({ node }) => node);
  if (isBroadcast && new Set(nodes).size < nodes.length) {
    wrong.push(`${id} (${type}) has two outcomes of one node: ${nodes.join(", ")}`);
  }
  return wrong;
}

/** Nobody can say whether a command ran whose node died; a query is asked elsewhere. */
function failure({ id, type, kind, failure }: Sent, { isPlanned, mayFail }: Cost): string[] {
  if (failure === undefined || mayFail?.[type]?.includes(failure.code) === true) return [];
  const mayDie = isPlanned !== true && kind === "command" && failure.code === "OUTCOME_UNKNOWN";
  return mayDie ? [] : [`${id} (${type}) failed with ${failure.code}`];
}

function circuits({ circuits, senders }: Witnessed, { isPlanned, breaks }: Cost): string[] {
  const wrong = openCircuits(circuits).map((which) => `the circuit of ${which} is still open`);
  const last = new Map<string, Circuit["what"]>();
  for (const { by, node, message, what } of circuits) {
    const name = `${message} to ${node} at ${by}`;
    if ((last.get(name) ?? "closed") === what) wrong.push(`the circuit of ${name} ${what} twice`);
    last.set(name, what);
  }
  if (isPlanned === true) {
    for (const [name] of last) wrong.push(`the circuit of ${name} opened, and nothing was broken`);
  }
  for (const message of breaks?.messages ?? []) {
    const missing = senders
      .map((by) => `${message} to ${breaks?.node} at ${by}`)
      .filter((name) => !last.has(name));
    for (const name of missing) wrong.push(`the circuit of ${name} never opened`);
  }
  return wrong;
}
