/** The messages of the handoff protocol between two nodes, and the check of what arrives. */
import type { CounterRow } from "./owned-shard.ts";

/** See the file's header. Each is idempotent. */
export type ControlMessage =
  | {
      readonly kind: "transfer";
      readonly group: string;
      readonly shard: number;
      readonly handoff: string;
      readonly epoch: number;
      readonly counters: readonly CounterRow[];
    }
  | {
      readonly kind: "confirmed" | "refused" | "aborted";
      readonly group: string;
      readonly shard: number;
      readonly handoff: string;
    };

/** Reads a message that another node sent, or `undefined` when it makes no sense. */
export function parseControl(value: unknown): ControlMessage | undefined {
  const { kind, group, shard, handoff, epoch, counters } = (value ?? {}) as Record<string, unknown>;
  if (typeof group !== "string" || typeof handoff !== "string") return undefined;
  if (typeof shard !== "number") return undefined;
  switch (kind) {
    case "confirmed":
    case "refused":
    case "aborted":
      return { kind, group, shard, handoff };
    case "transfer": {
      if (typeof epoch !== "number" || !Array.isArray(counters)) return undefined;
      if (!counters.every(isCounterRow)) return undefined;
      return { kind, group, shard, handoff, epoch, counters };
    }
    default:
      return undefined;
  }
}

function isCounterRow(row: unknown): row is CounterRow {
  if (!Array.isArray(row) || row.length !== 3) return false;
  return typeof row[0] === "string" && row.slice(1).every((n) => Number.isSafeInteger(n));
}
