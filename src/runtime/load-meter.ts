/** Figures of this node that travel with its heartbeats. */
import { processUsage } from "../base/runtime.ts";
import type { SessionLoad } from "../protocol/records.ts";
import type { NodeContext } from "./node-context.ts";

/**
 * Makes what measures between two samples, so that a figure is of now and not of the whole life; it
 * is told the time.
 */
export function createLoadMeter(context: NodeContext): (nowMs: number) => SessionLoad {
  const { inFlight, slices, hot: keys, self } = context;
  const isOwned = (entity: string, id: string): boolean =>
    context.recordOf(entity, id)?.owner === self;
  let last = { atMs: 0, cpuSeconds: 0, turns: 0 };
  return (nowMs) => {
    const { cpuSeconds, memoryBytes } = processUsage();
    const { turns } = slices;
    const seconds = Math.max(0.001, (nowMs - last.atMs) / 1_000);
    const cpu = round((cpuSeconds - last.cpuSeconds) / seconds);
    const messagesPerSecond = Math.round((turns - last.turns) / seconds);
    const eventLoopLagMs = round(slices.takeLagMs());
    last = { atMs: nowMs, cpuSeconds, turns };
    const hot = keys.look(nowMs, isOwned);
    const figures = {
      inFlight: round(inFlight.takeMean()),
      cpu,
      memoryBytes,
      messagesPerSecond,
      eventLoopLagMs,
    };
    return hot.length === 0 ? figures : { ...figures, hot };
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;
