/** Figures of this node that travel with its heartbeats. */
import { processUsage } from "../base/runtime.ts";
import type { LoadFigures } from "../protocol/records.ts";
import type { Calls } from "./remote-call.ts";
import type { Slices } from "./slices.ts";

/** Measures between two samples, so that a figure is of now and not of the whole life. */
export class LoadMeter {
  readonly #slices: Slices;
  readonly #calls: Calls;
  #atMs = 0;
  #cpuSeconds = 0;
  #turns = 0;

  constructor(slices: Slices, calls: Calls) {
    this.#slices = slices;
    this.#calls = calls;
  }

  /** The figures since the last sample. */
  sample(nowMs: number): LoadFigures {
    const { cpuSeconds, memoryBytes } = processUsage();
    const turns = this.#slices.turns;
    const seconds = Math.max(0.001, (nowMs - this.#atMs) / 1_000);
    const figures = {
      inFlight: this.#calls.size,
      cpu: round((cpuSeconds - this.#cpuSeconds) / seconds),
      memoryBytes,
      messagesPerSecond: Math.round((turns - this.#turns) / seconds),
      eventLoopLagMs: round(this.#slices.takeLagMs()),
    };
    this.#atMs = nowMs;
    this.#cpuSeconds = cpuSeconds;
    this.#turns = turns;
    return figures;
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
