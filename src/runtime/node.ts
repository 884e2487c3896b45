/**
 * One node: wires the parts, starts them in order, and stops them in the opposite one.
 *
 * News of the cluster comes in by the authority's feed, goes into the view, and from there to the
 * parts that act on it: shards look at their owners, channels at their routes, streams at sessions
 * that are over.
 */
import type { Clock } from "../base/clock.ts";
import { CatgaError } from "../base/errors.ts";
import { type Hash, loadHash } from "../base/hash.ts";
import { type HeartbeatTimes, SETTLE_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import { processId, runtimeOf } from "../base/runtime.ts";
import { TimerWheel } from "../base/timer-wheel.ts";
import { View, type ViewChange } from "../ownership/view.ts";
import type { AuthorityListener, Snapshot } from "../ports/authority.ts";
import type { Driver, Ports } from "../ports/driver.ts";
import { encodeControl } from "../protocol/frame.ts";
import { incarnationOf } from "../protocol/ids.ts";
import type { CasResult, Change, Entry } from "../protocol/ledger.ts";
import { type LoadFigures, type SessionRecord, shardKey } from "../protocol/records.ts";
import { type ControlMessage, parseControl } from "./control.ts";
import type { EntityDefinition } from "./definition.ts";
import { EntityHost, type HostServices } from "./entity-host.ts";
import { Inbound } from "./inbound.ts";
import { LoadMeter } from "./load-meter.ts";
import { Membership } from "./membership.ts";
import { Mesh } from "./mesh.ts";
import { RecordWriter } from "./record-writer.ts";
import { Calls, type RemoteCall } from "./remote-call.ts";
import { Router } from "./router.ts";
import { Shards } from "./shards.ts";
import { Slices } from "./slices.ts";

/** How a node is to run; all defaults are filled in. */
export interface NodeOptions {
  readonly cluster: string;
  readonly nodeId: string;
  readonly driver: Driver;
  readonly secret: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly times: HeartbeatTimes;
  readonly shardCount: number;
  readonly weight: number;
  readonly endpoint: string | undefined;
  readonly entities: readonly EntityDefinition[];
  /** A reference for use inside a turn. */
  readonly refTo: HostServices["refTo"];
}

const CALL_TICK_MS = 8;
const IDLE_TICK_MS = 500;
const QUIET_CHECK_MS = 2;

/** A node as its session record describes it. */
export interface NodeFigures extends LoadFigures {
  readonly node: string;
  readonly endpoint: string | undefined;
  readonly runtime: string;
  readonly weight: number;
  readonly state: "up" | "leaving";
}

/** See the file's header. */
export class Node implements AuthorityListener {
  readonly self: string;
  readonly view = new View();
  readonly router: Router;
  readonly #options: NodeOptions;
  readonly #ports: Ports;
  readonly #hash: Hash;
  readonly #slices: Slices;
  readonly #wheel: TimerWheel;
  readonly #idleWheel: TimerWheel;
  readonly #writer: RecordWriter;
  readonly #calls: Calls;
  readonly #mesh: Mesh;
  readonly #hosts: ReadonlyMap<string, EntityHost>;
  readonly #inbound: Inbound;
  readonly #membership: Membership;
  readonly #load: LoadMeter;
  #shards: Shards | undefined;
  #generation = 0;
  #operations = 0;
  #isSettling = false;
  #refusal: CatgaError | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(options: NodeOptions, self: string, parts: { hash: Hash; ports: Ports }) {
    const { clock } = options;
    this.#options = options;
    this.self = self;
    this.#hash = parts.hash;
    this.#ports = parts.ports;
    this.#slices = new Slices(clock);
    this.#wheel = new TimerWheel(clock, CALL_TICK_MS);
    this.#idleWheel = new TimerWheel(clock, IDLE_TICK_MS);
    this.#calls = new Calls(this.#wheel);
    this.#load = new LoadMeter(this.#slices, this.#calls);
    this.#writer = new RecordWriter(parts.ports.authority, {
      clock,
      operationId: () => this.#nextOperation(),
      learn: (change, result) => this.#learnResult(change, result),
    });
    this.#mesh = this.#createMesh();
    this.#hosts = this.#createHosts();
    this.#inbound = this.#createInbound();
    this.#membership = this.#createMembership();
    this.router = this.#createRouter();
  }

  /** Starts a node; resolves when it has joined and its calls are taken. */
  static async start(options: NodeOptions): Promise<Node> {
    const { cluster, nodeId, driver, secret, clock, random } = options;
    const self = incarnationOf(nodeId, clock.wallMs(), random);
    const hash = await loadHash();
    const leaseMs = options.times.timeoutMs;
    const context = { cluster, incarnation: self, secret, leaseMs, clock, random };
    const ports = await driver.connect(context);
    const node = new Node(options, self, { hash, ports });
    try {
      await node.#join();
    } catch (error) {
      await node.#close();
      throw error;
    }
    return node;
  }

  /** Leaves: hands over, then closes; ends within `deadlineMs` from now. Twice is once. */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  /** The nodes that live, sorted by id. */
  nodes(): NodeFigures[] {
    const nodes: NodeFigures[] = [];
    for (const { record } of this.view.sessions.values()) {
      const { state, node, runtime, weight, load, endpoint } = record;
      if (state !== "up" && state !== "leaving") continue;
      nodes.push({ node, endpoint: endpoint ?? undefined, runtime, weight, state, ...load });
    }
    return nodes.sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  /** Who owns an entity, as far as this node knows. */
  owner(entity: string, id: string): { node: string; shard: number; epoch: number } | undefined {
    const group = this.view.groupOf(entity);
    const shard = this.router.shardOf(entity, id);
    const record = group === undefined ? undefined : this.view.shard(group, shard)?.record;
    const owner = record?.owner ?? "";
    if (record === undefined || !this.view.isAlive(owner)) return undefined;
    return { node: this.view.sessions.get(owner)!.record.node, shard, epoch: record.epoch };
  }

  changed(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const change = this.view.apply(entry);
      if (change !== undefined) this.#act(change);
    }
  }

  resynced(snapshot: Snapshot): void {
    this.#generation = snapshot.generation;
    this.changed(snapshot.entries);
  }

  lost(error: Error): void {
    this.#options.log.error({ error }, "the authority is lost");
    this.#fence();
  }

  async #join(): Promise<void> {
    const { nodeId, entities, shardCount, weight, endpoint, clock, log } = this.#options;
    const { authority, link } = this.#ports;
    const address = await link.open(this.self, this.#mesh);
    const snapshot = await authority.open(this);
    this.resynced(snapshot);
    const { name, version } = runtimeOf();
    const group = await this.#membership.join({
      node: nodeId,
      address,
      entities: entities.map((entity) => entity.name),
      shardCount,
      weight,
      endpoint: endpoint ?? null,
      runtime: `${name} ${version}`,
      processId: processId(),
    });
    if (group === undefined) return;
    this.#shards = new Shards({
      self: this.self,
      group,
      shardCount,
      clock,
      hash: this.#hash,
      view: this.view,
      log,
      writer: this.#writer,
      leaseHolds: () => this.#membership.leaseHolds,
      control: (to, message) => this.#control(to, message),
      handoffId: () => this.#nextOperation(),
    });
    this.#shards.rebalance();
  }

  async #stop(deadlineMs: number): Promise<void> {
    const { clock, log } = this.#options;
    const endMs = clock.nowMs() + deadlineMs;
    let cancel = (): void => {};
    const deadline = new Promise<"late">((resolve) => {
      cancel = clock.after(deadlineMs, () => resolve("late"));
    });
    if ((await Promise.race([this.#leave(endMs), deadline])) === "late") {
      log.warn({ node: this.#options.nodeId, deadlineMs }, "stopped before everything had ended");
    }
    cancel();
    await this.#close();
  }

  async #leave(endMs: number): Promise<void> {
    if (this.#refusal !== undefined) return;
    await this.#membership.leaving();
    await this.#shards?.release();
    this.#refusal = this.#stoppedError();
    while (!this.#mesh.isIdle && this.#options.clock.nowMs() < endMs) {
      await new Promise<void>((resolve) => void this.#options.clock.after(QUIET_CHECK_MS, resolve));
    }
    await this.#membership.leave("left");
  }

  async #close(): Promise<void> {
    this.#refusal ??= this.#stoppedError();
    this.#membership.stop();
    for (const host of this.#hosts.values()) host.abandon();
    this.#calls.fail((call) => this.#lostCall(call));
    this.#writer.close();
    this.#mesh.close();
    this.#wheel.stop();
    this.#idleWheel.stop();
    await this.#ports.link.close();
    await this.#ports.authority.close();
  }

  #stoppedError(): CatgaError {
    return new CatgaError("CLUSTER_STOPPED", { node: this.#options.nodeId });
  }

  #lostCall(call: RemoteCall): CatgaError {
    if (call.executed === "no") return this.#stoppedError();
    const { entity, message } = call.subject;
    const reason = "this node stopped before the answer came";
    return new CatgaError("OUTCOME_UNKNOWN", { entity, message, reason });
  }

  /** Others may own everything by now: nothing that is here counts any more. */
  #fence(): void {
    if (this.#refusal !== undefined) return;
    const reason = "this node's session is over, the node has to be started again";
    this.#refusal = new CatgaError("UNAVAILABLE", { reason });
    this.#slices.leaseUntilMs = Number.NEGATIVE_INFINITY;
    this.#options.log.error({ node: this.#options.nodeId }, reason);
    this.stop(0).catch((error: unknown) => {
      this.#options.log.error({ error }, "cannot close a node whose session is over");
    });
  }

  #act(change: ViewChange): void {
    switch (change.kind) {
      case "session":
        return this.#sessionChanged(change.incarnation, change.before);
      case "shard":
        this.#shards?.recordChanged(change.group, change.shard);
        return this.#mesh.moved(change.group, change.shard);
      case "genesis":
        this.#shards?.lookAll();
        return this.#mesh.pumpAll();
      case "groups":
        return;
    }
  }

  #sessionChanged(incarnation: string, before: SessionRecord["state"] | undefined): void {
    const state = this.view.sessions.get(incarnation)?.record.state;
    if (state === before) return; // A heartbeat.
    if (incarnation === this.self) {
      if (state === "dead") this.#fence();
      return;
    }
    if (state === "dead" || state === "left") {
      this.#mesh.forget(incarnation);
      this.#shards?.forgetSender(incarnation);
      // Its shards have no owner: no time to lose.
      this.#shards?.rebalance();
      return this.#mesh.pumpAll();
    }
    this.#settle();
  }

  /** Changes of membership come together: one rebalance serves them all. */
  #settle(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    this.#options.clock.after(SETTLE_MS, () => {
      this.#isSettling = false;
      this.#shards?.rebalance();
    });
  }

  #learnResult(change: Change, result: CasResult): void {
    if (result.ok) this.changed([{ ...change, revision: result.revision }]);
    else if (result.current !== undefined) this.changed([result.current]);
  }

  #control(to: string, message: ControlMessage): void {
    if (this.view.isAlive(to)) this.#mesh.peer(to).add(encodeControl(message));
  }

  #nextOperation(): string {
    return `${this.self}:${++this.#operations}`;
  }

  #createMesh(): Mesh {
    const { clock } = this.#options;
    return new Mesh({
      self: this.self,
      clock,
      wheel: this.#wheel,
      link: this.#ports.link,
      view: this.view,
      calls: this.#calls,
      generation: () => this.#generation,
      message: (peer, frame, item) => this.#inbound.receive(peer, frame, item),
      control: (peer, body) => {
        const message = parseControl(body);
        if (message !== undefined) this.#shards?.control(peer.incarnation, message);
        return message !== undefined;
      },
      deliverHere: (call) => this.router.deliverHere(call),
      isServing: (group, shard) => this.#shards?.isServing(group, shard) === true,
      acceptedHere: (shard, channel) => this.#shards?.acceptedHere(shard, channel) ?? 0,
      learn: (entry) => this.changed([entry]),
    });
  }

  #createHosts(): ReadonlyMap<string, EntityHost> {
    const { entities, nodeId, log, refTo } = this.#options;
    const services: HostServices = {
      node: nodeId,
      slices: this.#slices,
      wheel: this.#wheel,
      idleWheel: this.#idleWheel,
      log,
      refTo,
      fenceOf: ({ epoch }) => `${padded(this.#generation)}.${padded(epoch)}`,
      redeliver: (host, id, work) => this.router.redeliver(host, id, work),
    };
    return new Map(entities.map((each) => [each.name, new EntityHost(each, services)]));
  }

  #createInbound(): Inbound {
    return new Inbound({
      hosts: this.#hosts,
      nowMs: () => this.#options.clock.nowMs(),
      servingShard: (number) => this.#shards?.serving(number),
      knownRecord: (entity, shard) => {
        const group = this.view.groupOf(entity) ?? entity;
        return { group, entry: this.view.entry(shardKey(group, shard)) };
      },
    });
  }

  #createMembership(): Membership {
    const { clock, times } = this.#options;
    return new Membership({
      self: this.self,
      clock,
      view: this.view,
      writer: this.#writer,
      times,
      load: () => this.#load.sample(clock.nowMs()),
      renewed: (untilMs) => {
        this.#slices.leaseUntilMs = untilMs;
        this.#slices.resume();
      },
      fenced: () => this.#fence(),
    });
  }

  #createRouter(): Router {
    return new Router({
      hosts: this.#hosts,
      shards: () => this.#shards,
      view: this.view,
      mesh: this.#mesh,
      calls: this.#calls,
      wheel: this.#wheel,
      log: this.#options.log,
      hash: this.#hash,
      shardCount: this.#options.shardCount,
      refusal: () => this.#refusal,
    });
  }
}

function padded(number: number): string {
  return String(number).padStart(16, "0");
}
