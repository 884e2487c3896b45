/** Figures of this node that travel with its heartbeats. */
import { processUsage } from "../base/runtime.ts";
import type { LoadFigures } from "../protocol/records.ts";
import type { NodeContext } from "./node-context.ts";

/** Measures between two samples, so that a figure is of now and not of the whole life. */
export class LoadMeter {
  readonly #context: NodeContext;
  #atMs = 0;
  #cpuSeconds = 0;
  #turns = 0;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  /** The figures since the last sample. */
  sample(nowMs: number): LoadFigures {
    const { cpuSeconds, memoryBytes } = processUsage();
    const { calls, slices } = this.#context;
    const { turns } = slices;
    const seconds = Math.max(0.001, (nowMs - this.#atMs) / 1_000);
    const figures = {
      inFlight: calls.size,
      cpu: round((cpuSeconds - this.#cpuSeconds) / seconds),
      memoryBytes,
      messagesPerSecond: Math.round((turns - this.#turns) / seconds),
      eventLoopLagMs: round(slices.takeLagMs()),
    };
    this.#atMs = nowMs;
    this.#cpuSeconds = cpuSeconds;
    this.#turns = turns;
    return figures;
  }
}

const round = (value: number): number => Math.round(value * 100) / 100;
