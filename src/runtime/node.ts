/**
 * One node's life: it joins, serves, and leaves.
 *
 * News comes in by the authority's feed, goes into the view, and from there to what acts on it:
 * shards look at their owners, channels at their routes, streams at sessions that are over.
 */
import { CatgaError } from "../base/errors.ts";
import { SETTLE_MS } from "../base/limits.ts";
import type { ViewChange } from "../ownership/view.ts";
import type { AuthorityListener, Snapshot } from "../ports/authority.ts";
import type { Ports } from "../ports/driver.ts";
import { incarnationOf } from "../protocol/ids.ts";
import type { Entry } from "../protocol/ledger.ts";
import { sessionOf, type SessionRecord } from "../protocol/records.ts";
import { Alarm } from "./alarm.ts";
import { Interest } from "./interest.ts";
import { Membership } from "./membership.ts";
import { Mesh } from "./mesh.ts";
import { tell } from "./events.ts";
import { NodeContext, type NodeOptions } from "./node-context.ts";
import { RecordWriter } from "./record-writer.ts";
import { Call, outcomeUnknown } from "./call.ts";
import { Router, type Ways } from "./router.ts";
import { openStore } from "./open-store.ts";
import { Shards } from "./shards.ts";
import { WatchDesk } from "./watch-desk.ts";

/** Why a node's session is over: it was declared dead, or the authority is another one. */
export type FenceReason = "dead" | "generation";

const QUIET_CHECK_MS = 2;
/** At most so long a node that did not finish in time waits for its last write. */
const DEATH_NOTE_MS = 200;
/** At most so long a node that closes waits for its store. */
const STORE_CLOSE_MS = 1_000;

/** See the file's header. */
export class Node implements AuthorityListener {
  readonly router: Router;
  /** What its parts share: what it knows, its events. */
  readonly context: NodeContext;
  readonly #ports: Ports;
  readonly #writer: RecordWriter;
  readonly #membership: Membership;
  readonly shards: Shards;
  readonly #interest: Interest;
  readonly #mesh: Mesh;
  readonly #alarm: Alarm;
  readonly #desk: WatchDesk;
  #isSettling = false;
  #fenced: ((reason: FenceReason) => void) | undefined;
  #end: () => void = () => {};
  /** Resolves when the session is over: there is nothing to wait for any more. */
  readonly #over = new Promise<void>((resolve) => (this.#end = resolve));
  #stopped: Promise<void> | undefined;

  private constructor(context: NodeContext, ports: Ports, ways: Ways) {
    this.context = context;
    context.isFixed = ports.isFixed === true;
    this.#ports = ports;
    const learn = (entry: Entry): void => this.#learn(entry);
    this.#writer = new RecordWriter(context, ports.authority, learn);
    this.#membership = new Membership(context, this.#writer, () => this.#fence("dead"));
    this.router = new Router(context, {
      refTo: (request) => ways.refTo(this.router, request),
      send: ways.send,
      channel: (group, shard) => this.#mesh.channel(group, shard),
      serving: (shard) => this.shards.serving(shard),
      peerOf: (incarnation) => this.#mesh.peer(incarnation),
      opened: (shard) => this.#alarm.opened(shard),
      watched: (shard, packet) => this.#desk.arrive(shard, packet),
      sleeps: (entity, dueMs) => this.#alarm.sleeps(entity, dueMs),
    });
    this.shards = new Shards(context, { writer: this.#writer, router: this.router });
    const { shards, router } = this;
    const interest = (this.#interest = new Interest(context, router));
    const desk = (this.#desk = new WatchDesk(context, router));
    this.#mesh = new Mesh(context, { link: ports.link, shards, router, interest, desk, learn });
    this.#alarm = new Alarm(router);
  }

  /**
   * Starts a node; resolves when it has joined and its calls are taken. `fenced` is called when its
   * session was over after that, and everything of it has ended.
   */
  static async start(
    options: NodeOptions,
    ways: Ways,
    fenced?: (reason: FenceReason) => void,
  ): Promise<Node> {
    const { nodeId, driver, clock, random, times } = options;
    const self = incarnationOf(nodeId, clock.wallMs(), random);
    const entities = options.entities.map(({ name }) => name).sort();
    const unsafe = (what: string): void => options.events.unsafe(what);
    const own = { incarnation: self, entities, leaseMs: times.timeoutMs, unsafe };
    const ports = await driver.connect({ ...options, ...own });
    const store = await openStore(options, ports, unsafe);
    const node = new Node(new NodeContext(options, self, store), ports, ways);
    try {
      // A session that is declared dead before it began to act ends the attempt as well.
      await Promise.race([node.#join(), node.#over]);
      if (node.context.refusal !== undefined) throw node.context.refusal;
    } catch (error) {
      await node.#close();
      throw error;
    }
    node.#fenced = fenced;
    node.context.hasJoined = true;
    return node;
  }

  /** Leaves: hands over, then closes; ends within `deadlineMs` from now. Twice is once. */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  changed(entries: readonly Entry[]): void {
    const { self, view } = this.context;
    for (const entry of entries) {
      this.#learn(entry);
      if (sessionOf(entry) === self) this.#membership.listed();
    }
    view.told(entries);
  }

  resynced(snapshot: Snapshot): void {
    const { generation } = this.context;
    // Another authority: whatever this node owned may be somebody else's there.
    if (generation !== 0 && generation !== snapshot.generation) return this.#fence("generation");
    this.context.generation = snapshot.generation;
    this.#membership.resynced();
    this.changed(snapshot.entries);
  }

  lost(error: Error): void {
    const { refusal, log } = this.context;
    // A node that closes ends the connection itself.
    if (refusal === undefined) log.error({ err: error }, "the authority is lost");
    this.#fence("generation");
  }

  async #join(): Promise<void> {
    const { authority, link, isFixed } = this.#ports;
    const address = await link.open(this.context.self, this.#mesh);
    this.resynced(await authority.open(this));
    const group = await this.#membership.join(address, isFixed ? undefined : this.context.keptAt);
    if (group === undefined) return;
    this.shards.serve(group);
    this.#alarm.start();
  }

  async #stop(deadlineMs: number): Promise<void> {
    const { clock, log, options } = this.context;
    // The rest is for telling the others that this node is done with its turns, one way or another.
    const leaveMs = deadlineMs - Math.min(deadlineMs / 10, DEATH_NOTE_MS);
    const endMs = clock.nowMs() + leaveMs;
    this.context.after(leaveMs / 2, () => this.router.hurry(leaveMs / 2));
    if (!(await this.#within(leaveMs, this.#leave(endMs)))) {
      log.warn({ node: options.nodeId, deadlineMs }, "stopped before everything had ended");
      this.context.refuse();
      this.#abandon();
      await this.#within(deadlineMs - leaveMs, this.#membership.leave("dead"));
    }
    await this.#close();
  }

  /** True when `work`, or the session, ended before `limitMs` had passed. */
  #within(limitMs: number, work: Promise<void>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const cancel = this.context.clock.after(limitMs, () => resolve(false));
      const ended = Promise.race([work, this.#over]);
      ended.then(() => resolve(true), reject).finally(cancel);
    });
  }

  async #leave(endMs: number): Promise<void> {
    const { clock, refusal, options, view } = this.context;
    if (refusal !== undefined) return;
    // The next leader begins what only a leader does when it has ended here, and no sooner.
    const resigned = options.singletons.stop().then(() => this.#membership.election.resign());
    await this.#membership.leaving();
    await this.shards.release();
    await resigned;
    this.context.refuse();
    // Others may still send to handlers of this node: they are told to go elsewhere.
    const noticeMs = options.handlers.length > 0 && view.living.size > 1 ? SETTLE_MS : 0;
    const quietMs = Math.min(endMs, clock.nowMs() + noticeMs);
    // Calls of this node's users are answered first.
    const isBusy = (): boolean =>
      this.router.isBusy || !this.#mesh.isIdle || clock.nowMs() < quietMs;
    while (isBusy() && clock.nowMs() < endMs) {
      await new Promise<void>((resolve) => void clock.after(QUIET_CHECK_MS, resolve));
    }
    if (isBusy()) return this.#over; // Who has left has answered everything.
    await this.#membership.leave("left");
  }

  async #close(): Promise<void> {
    const refusal = this.context.refuse();
    const reason = "this node stopped before the answer came";
    this.#abandon();
    // All calls that wait for an answer hang there, those of this process too.
    for (const entry of this.context.close()) {
      if (!(entry instanceof Call)) continue;
      entry.fail(entry.executed === "no" ? refusal : outcomeUnknown(entry, reason));
    }
    const { store } = this.context.store ?? {};
    const failed = (error: unknown): void =>
      this.context.log.warn({ err: error }, "the store was not closed as it should be");
    if (store !== undefined) await this.#within(STORE_CLOSE_MS, store.close().catch(failed));
    await this.#ports.link.close();
    await this.#ports.authority.close();
  }

  /** No turn starts any more, and nothing of those that run leaves this node. */
  #abandon(): void {
    this.#membership.stop();
    this.#interest.close();
    this.#mesh.close();
    this.router.abandon();
  }

  /** Others may own everything by now: nothing that is here counts any more. */
  #fence(why: FenceReason): void {
    const { refusal, log, options } = this.context;
    // Also of a node that is leaving: what it writes would count in another life of the authority.
    this.#end();
    if (refusal !== undefined) return;
    const reason = "this node's session is over, another one begins";
    this.context.refusal = new CatgaError("UNAVAILABLE", { reason });
    log.error({ node: options.nodeId }, reason);
    this.#membership.stop();
    this.stop(0).then(
      () => this.#fenced?.(why),
      (error: unknown) => log.error({ err: error }, "cannot close a node whose session is over"),
    );
  }

  #learn(entry: Entry): void {
    const { view } = this.context;
    const missed = view.missedBefore(entry);
    if (missed !== undefined) this.#learn(missed);
    const change = view.apply(entry);
    if (change !== undefined) this.#act(change);
  }

  #act(change: ViewChange): void {
    // What a node learns while it joins is no news.
    if (this.context.hasJoined) tell(this.context.events, this.context.view, change);
    if (change.kind === "session") {
      return this.#sessionChanged(change.incarnation, change.before);
    }
    this.context.options.watches.look();
    if (change.kind === "shard") {
      this.shards.recordChanged(change.group, change.shard);
      this.#mesh.moved(change.group, change.shard);
    } else if (change.kind === "leader") {
      this.context.options.singletons.look(this.context);
    } else if (change.kind === "genesis") {
      this.shards.lookAll();
      this.#mesh.pumpAll();
    }
  }

  #sessionChanged(incarnation: string, before: SessionRecord["state"] | undefined): void {
    const { view, self } = this.context;
    const { state } = view.sessions.get(incarnation)!.record;
    this.#membership.heard(incarnation);
    this.context.hot.heard(incarnation, this.context.hasJoined);
    if (state === before) return; // A heartbeat.
    this.context.options.watches.look();
    this.#interest.sessionChanged(incarnation);
    if (incarnation === self) {
      if (state === "dead") this.#fence("dead");
    } else if (view.isGone(incarnation)) {
      this.#mesh.forget(incarnation);
      this.shards.forgetSender(incarnation);
      // Its shards have no owner: no time to lose.
      this.shards.rebalance();
    } else if (state === "away") {
      this.#mesh.away(incarnation);
    } else {
      // A redirect may have told of a shard of it before.
      this.#mesh.pumpAll();
      this.#settle();
    }
  }

  /** Changes of membership come together: one rebalance serves them all. */
  #settle(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    this.context.after(SETTLE_MS, () => {
      this.#isSettling = false;
      this.shards.rebalance();
    });
  }
}
