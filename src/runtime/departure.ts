/**
 * How a shard leaves with its entities.
 *
 * It is frozen until its turns have ended; if they do not soon, it is opened again and tried later,
 * so that one long turn does not keep its neighbours waiting. Then its entities end, and what they
 * are is kept for the way: to the new owner, or back to life here when the handoff does not come
 * about.
 */
import { CatgaError } from "../base/errors.ts";
import { SEAL_BUDGET_MS, STAGE_TIMEOUT_MS, UNMOVABLE_RETRY_MS } from "../base/limits.ts";
import type { ShardEvent } from "../ownership/shard.ts";
import { entityKey } from "../protocol/ids.ts";
import type { ControlMessage } from "./control.ts";
import type { Row } from "./definition.ts";
import type { NodeContext } from "./node-context.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { chunksOf, type Packet, rowsOf } from "./packet.ts";
import type { RecordWriter } from "./record-writer.ts";

/** Sends a message of the handoff protocol to a node. */
export type SendControl = (to: string, message: ControlMessage) => void;

/** Entities that come and go with their shards. */
export interface Luggage {
  /** Checks what came; `undefined` when it makes no sense. */
  unpack(rows: readonly Row[]): Packet[] | undefined;
  /** Lets the entities in `shard.packets` go on here. */
  settle(shard: OwnedShard): void;
}

/** What the shards of a node are connected with. */
export interface ShardParts extends Luggage {
  readonly writer: RecordWriter;
  readonly control: SendControl;
}

/** Where a shard goes. */
export interface Destination {
  readonly group: string;
  readonly to: string;
  readonly handoff: string;
}

/** See the file's header. */
export class Departure {
  /** True when everything has to go, also what cannot travel. */
  isLeaving = false;
  readonly #context: NodeContext;
  readonly #parts: ShardParts;
  readonly #step: (shard: OwnedShard, event: ShardEvent) => void;

  constructor(
    context: NodeContext,
    parts: ShardParts,
    step: (shard: OwnedShard, event: ShardEvent) => void,
  ) {
    this.#context = context;
    this.#parts = parts;
    this.#step = step;
  }

  /** Makes the shard ready to travel; answers with `drained` or `busy`. */
  seal(shard: OwnedShard): void {
    if (shard.isPacking) return;
    const busy = (): void => this.#step(shard, { kind: "busy" });
    const cancel = this.#context.after(SEAL_BUDGET_MS, busy);
    shard.freeze(() => {
      cancel();
      this.#pack(shard);
    });
  }

  /** Serves the shard, with the entities that came or stayed. */
  resume(shard: OwnedShard): void {
    if (shard.isPacking) return;
    shard.thaw();
    this.#parts.settle(shard);
    shard.accepting = true;
    shard.outbound?.pump();
  }

  /** Sends the entities; the shard's owner is who it was until the record says otherwise. */
  transfer(shard: OwnedShard, { group, to, handoff }: Destination): void {
    const timeout = (): void => this.#step(shard, { kind: "timeout", handoff });
    const rows = this.#rowsOf(shard);
    if (rows === undefined) return timeout();
    const { number, epoch } = shard;
    const common = { kind: "transfer", group, shard: number, handoff, epoch } as const;
    const counters = shard.counterRows();
    for (const [chunk, isLast] of chunksOf(rows)) {
      this.#parts.control(to, { ...common, counters: isLast ? counters : [], rows: chunk, isLast });
    }
    this.#context.after(STAGE_TIMEOUT_MS, timeout);
  }

  /** The shard belongs to another node: what is still here does not count any more. */
  close(shard: OwnedShard): void {
    shard.accepting = false;
    shard.packets = [];
    for (const activation of shard.activations) activation.passivate("moved");
    shard.thaw();
  }

  /** No turn runs: the entities end, and what they are is kept for the way. */
  #pack(shard: OwnedShard): void {
    shard.isPacking = true;
    for (const activation of shard.activations) activation.passivate("moved");
    shard.whenEmpty(() => {
      shard.isPacking = false;
      const { kind } = shard.state;
      if (kind === "sealing") {
        this.#step(shard, { kind: "drained", handoff: this.#context.nextOperation() });
      } else if (kind === "active") this.resume(shard);
      else shard.packets = [];
    });
  }

  #rowsOf(shard: OwnedShard): Row[] | undefined {
    const nowMs = this.#context.clock.nowMs();
    const rows: Row[] = [];
    for (const packet of shard.packets) {
      const found = rowsOf(packet, nowMs);
      if (typeof found !== "string") rows.push(...found);
      else if (!this.#mayLose(shard, packet, found)) return undefined;
    }
    return rows;
  }

  /** An entity whose state cannot travel stays with its shard, unless this node has to go. */
  #mayLose(shard: OwnedShard, { entity, id, works }: Packet, reason: string): boolean {
    const { log, clock } = this.#context;
    const fields = { entity: entityKey(entity, id), reason };
    this.#context.events.emit("stuck", {
      what: `the move of ${fields.entity}: ${reason}`,
      sinceMs: 0,
    });
    if (!this.isLeaving) {
      shard.staysUntilMs = clock.nowMs() + UNMOVABLE_RETRY_MS;
      log.error(fields, "a shard stays: the state of an entity cannot travel");
      return false;
    }
    log.error(fields, "an entity is lost: its state cannot travel");
    const lost = `the state of ${fields.entity} cannot travel`;
    for (const work of works) work.fail(new CatgaError("UNAVAILABLE", { reason: lost }));
    return true;
  }
}
