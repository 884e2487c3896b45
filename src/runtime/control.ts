/** The messages of the handoff protocol between two nodes, and the check of what arrives. */
import { isWhole } from "../protocol/frame.ts";
import type { Row } from "./definition.ts";
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
      /** Entities, see `packet.ts`. */
      readonly rows: readonly Row[];
      /** False when more rows follow. */
      readonly isLast: boolean;
    }
  | {
      readonly kind: "confirmed" | "refused" | "aborted";
      readonly group: string;
      readonly shard: number;
      readonly handoff: string;
    };

/** Checks a message that another node sent: `undefined` when it makes no sense. */
export function parseControl(value: unknown): ControlMessage | undefined {
  const message = (value ?? {}) as Readonly<Record<string, unknown>>;
  const { kind, group, shard, handoff, epoch, counters, rows, isLast } = message;
  if (typeof group !== "string" || typeof handoff !== "string" || !isWhole(shard)) return undefined;
  if (kind === "confirmed" || kind === "refused" || kind === "aborted") {
    return { kind, group, shard, handoff };
  }
  if (kind !== "transfer" || !isWhole(epoch) || !Array.isArray(counters)) return undefined;
  if (!counters.every(isCounterRow) || typeof isLast !== "boolean") return undefined;
  if (!Array.isArray(rows) || !rows.every(isRow)) return undefined;
  return { kind, group, shard, handoff, epoch, counters, rows, isLast };
}

function isRow(row: unknown): row is Row {
  return Array.isArray(row) && typeof row[0] === "string";
}

function isCounterRow(row: unknown): row is CounterRow {
  return Array.isArray(row) && typeof row[0] === "string" && isWhole(row[1]) && isWhole(row[2]);
}
