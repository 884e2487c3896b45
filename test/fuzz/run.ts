/**
 * The part of the fuzzer that may hang: rounds over all targets, in a thread of its own. It says
 * before each input that it is still there, and tells of what it finds.
 */
import process from "node:process";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import * as fc from "fast-check";
import { brokersAreWanted } from "../drivers/broker-process.ts";
import { BROKER_TARGETS } from "./brokers.ts";
import { DOOR_TARGETS } from "./doors.ts";
import { EDGE_TARGETS } from "./edge.ts";
import { shown } from "./inputs.ts";
import { PROTOCOL_TARGETS } from "./protocol.ts";
import { STORED_TARGETS } from "./stored.ts";
import type { Running, Target } from "./target.ts";
import { WIRE_TARGETS } from "./wires.ts";

/** What the thread is to do. */
export interface Task {
  readonly seconds: number;
  readonly seed: number;
  /** One target, or all. */
  readonly target: string | undefined;
  /** Of fast-check: just this input, and how it was made smaller. */
  readonly path: string | undefined;
  readonly selfTest: boolean;
  /** Tell each input before it is tried. */
  readonly show: boolean;
  /** Rises with each input. */
  readonly beats: Int32Array;
}

/** What the thread tells. */
export type Word =
  | { readonly kind: "now"; readonly target: string; readonly seed: number }
  | { readonly kind: "input"; readonly text: string }
  | { readonly kind: "found"; readonly finding: Found }
  | { readonly kind: "over"; readonly inputs: Readonly<Record<string, number>> };

/** Something that does not hold. */
export interface Found {
  readonly target: string;
  readonly seed: number;
  readonly path: string;
  readonly input: string;
  readonly error: string;
}

/** Inputs of one target before it is another one's turn, and how long they may take. */
const ROUND_INPUTS = 500;
const ROUND_MS = 400;
/** A self-test has found nothing after so many rounds: then it never will. */
const SELF_TEST_ROUNDS = 20;
/** What a process may have more than after its first rounds; a leak has that in minutes. */
const GROWTH_BYTES_MAX = 400 * 1_048_576;
const WARM_ROUNDS = 3;

/** All targets; those at brokers only where these are wanted. */
function allTargets(): readonly Target[] {
  const own = [...PROTOCOL_TARGETS, ...STORED_TARGETS, ...DOOR_TARGETS];
  const brokers = brokersAreWanted() ? BROKER_TARGETS : [];
  return [...own, ...EDGE_TARGETS, ...WIRE_TARGETS, ...brokers];
}

const say = (word: Word): void => parentPort?.postMessage(word, []);

/** One round of a target: what it has found, if anything. */
async function round(
  { property }: Running,
  target: Target,
  { seed, path }: { readonly seed: number; readonly path: string | undefined },
): Promise<Found | undefined> {
  say({ kind: "now", target: target.name, seed });
  const limits = { interruptAfterTimeLimit: ROUND_MS, markInterruptAsFailure: false };
  const many = { numRuns: ROUND_INPUTS, ...limits };
  const how = path === undefined ? many : { numRuns: 1, endOnFailure: true, path };
  const details = await fc.check(property, { seed, ...how });
  if (!details.failed || details.counterexample === null) return undefined;
  const { errorInstance, counterexample, counterexamplePath } = details;
  const error = errorInstance instanceof Error ? errorInstance : new Error(String(errorInstance));
  return {
    target: target.name,
    seed,
    path: counterexamplePath ?? "",
    input: shown(counterexample[0]),
    error: error.stack ?? String(error),
  };
}

async function run(task: Task): Promise<void> {
  const { seconds, seed, path, selfTest, show, beats } = task;
  const targets = allTargets().filter(({ name }) => (task.target ?? name) === name);
  const inputs: Record<string, number> = {};
  const running = new Map<Target, Running>();
  for (const target of targets) {
    inputs[target.name] = 0;
    const beat = (input: unknown): void => {
      inputs[target.name]!++;
      Atomics.add(beats, 0, 1);
      if (show) say({ kind: "input", text: shown(input) });
    };
    running.set(target, await target.open(selfTest ? "planted" : "as it is", beat));
    Atomics.add(beats, 0, 1);
  }
  const endMs = performance.now() + seconds * 1_000;
  const rounds = selfTest ? SELF_TEST_ROUNDS : path === undefined ? Infinity : 1;
  let warmBytes = Infinity;
  const left = new Set(targets);
  for (let n = 0; n < rounds && left.size > 0; n++) {
    for (const target of left) {
      if (performance.now() >= endMs && path === undefined) left.clear();
      const found = await round(running.get(target)!, target, { seed: seed + n, path });
      if (found === undefined) continue;
      left.delete(target);
      say({ kind: "found", finding: found });
    }
    const grown = heldBytes();
    if (n < WARM_ROUNDS) warmBytes = grown;
    else if (grown > warmBytes + GROWTH_BYTES_MAX) {
      const error = `memory grew from ${warmBytes} to ${grown} bytes`;
      say({ kind: "found", finding: { target: "memory", seed, path: "", input: "", error } });
      left.clear();
    }
  }
  for (const each of running.values()) await each.close();
  say({ kind: "over", inputs });
}

function heldBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().rss;
}

if (!isMainThread) await run(workerData as Task);
