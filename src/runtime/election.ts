/**
 * The one leader of the cluster: whoever the record `leader` names, as long as its session is not
 * over. It is written by compare-and-set, so of those who find that there is none one wins.
 */
import type { LeaderRecord } from "../protocol/records.ts";
import type { NodeContext } from "./node-context.ts";
import type { RecordWriter } from "./record-writer.ts";

/** See the file's header. */
export class Election {
  readonly #context: NodeContext;
  readonly #writer: RecordWriter;
  #isElecting = false;

  constructor(context: NodeContext, writer: RecordWriter) {
    this.#context = context;
    this.#writer = writer;
  }

  /** The first of all nodes that are up makes itself the leader, when there is none. */
  elect(): void {
    const { view, self } = this.#context;
    const leader = this.#leader;
    if (this.#isElecting || (leader !== undefined && !view.isOver(leader, "leader"))) return;
    if (this.#candidates()[0] !== self) return;
    this.#isElecting = true;
    this.#name(self, () => (this.#isElecting = false));
  }

  /** Makes another node the leader, if this one is: there is no time without one. */
  resign(): void {
    const { self } = this.#context;
    const heir = this.#candidates().find((incarnation) => incarnation !== self);
    if (heir !== undefined && this.#leader === self) this.#name(heir);
  }

  get #leader(): string | undefined {
    const known = this.#context.view.entry("leader");
    return (known?.value as LeaderRecord | undefined)?.incarnation;
  }

  #candidates(): string[] {
    const up = [...this.#context.view.living].filter(([, { record }]) => record.state === "up");
    return up.map(([incarnation]) => incarnation).sort();
  }

  #name(incarnation: string, done?: () => void): void {
    const expected = this.#context.view.entry("leader")?.revision ?? 0;
    this.#writer.write({ key: "leader", expected, value: { incarnation } }, done);
  }
}
