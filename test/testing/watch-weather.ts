/** Rooms that are watched in bad weather, by a seed, and a judge of what each watch was given. */
import { isCatgaError } from "../../src/index.ts";
import { type Network, TestCluster } from "../../src/testing/index.ts";
import { Room, type Rooms, Watcher } from "./rooms.ts";

/** What happens next; nodes and watches are counted among those that there are. */
export type Step =
  | { readonly kind: "say"; readonly count: number }
  | { readonly kind: "watch" | "end" | "resume"; readonly at: number }
  | { readonly kind: "join" | "sleep" | "heal" | "wake" }
  | { readonly kind: "leave" | "kill" | "pause" | "cut"; readonly at: number }
  | { readonly kind: "network"; readonly network: Network }
  | { readonly kind: "wait"; readonly ms: number };

/** One run. */
export interface Weather {
  readonly seed: number;
  readonly steps: readonly Step[];
}

/** Who watches, and what had been said and answered when its watch began. */
interface Watching {
  readonly watcher: Watcher;
  readonly on: string;
  /** What it goes on after was given before; nothing is expected up to `floor`. */
  readonly after: number | undefined;
  floor: number | undefined;
  /** True when what it goes on after was told that it has missed something, and nothing since. */
  readonly mayMiss: boolean;
  /** True when what it goes on after may be forgotten. */
  readonly isLate: boolean;
  isOver: boolean;
}

const CALM_MS = 30_000;
/** The node that speaks, and suffers nothing. */
const FIRST = "n1";
const TIMED = { timeout: "3s" } as const;

/** What the judge has to say of a run: nothing, if all is well. */
export async function judge({ seed, steps }: Weather): Promise<string[]> {
  const cluster = await TestCluster.start({ nodes: 3, seed, shardCount: 4, entities: [Room] });
  const run = new Run(cluster);
  await cluster.advance("2s");
  for (const step of steps) await run.step(step);
  await run.calm();
  const found = run.judge();
  await cluster[Symbol.asyncDispose]();
  return found;
}

class Run {
  readonly #cluster: Rooms;
  readonly #answered = new Set<number>();
  readonly #watches: Watching[] = [];
  readonly #lost = new Set<string>();
  readonly #paused: string[] = [];
  readonly #leaving: string[] = [];
  /** True from the first fault on that may lose something. */
  #mayMiss = false;
  #said = 0;
  #joined = 3;

  constructor(cluster: Rooms) {
    this.#cluster = cluster;
  }

  async step(step: Step): Promise<void> {
    const cluster = this.#cluster;
    switch (step.kind) {
      case "say":
        return this.#say(step.count);
      case "wait":
        return cluster.advance(step.ms);
      case "network":
        return cluster.network(step.network);
      case "heal":
        return cluster.heal();
      case "wake":
        return this.#wake();
      case "join":
        return void (await cluster.join(`n${++this.#joined}`));
      case "sleep":
        return void (await this.#ask((room) => room.send({ type: "leave" }, TIMED)));
      case "watch":
      case "end":
      case "resume":
        return this.#change(step.kind, step.at);
      default:
        return this.#strike(step.kind, step.at);
    }
  }

  async calm(): Promise<void> {
    this.#wake();
    this.#cluster.heal();
    this.#cluster.network({});
    await this.#cluster.advance(CALM_MS);
    for (const name of this.#leaving) await this.#cluster.leave(name);
    await this.#say(3);
    await this.#cluster.advance("10s");
  }

  judge(): string[] {
    return this.#watches.flatMap((watching, index) =>
      this.#judge(watching).map((what) => `watch ${index} on ${watching.on}: ${what}`),
    );
  }

  async #say(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const number = ++this.#said;
      const isSaid = await this.#ask((room) => room.send({ type: "say", n: number }, TIMED));
      if (isSaid) this.#answered.add(number);
    }
  }

  /** True when the room has answered. */
  async #ask(send: (room: ReturnType<Run["room"]>) => Promise<unknown>): Promise<boolean> {
    try {
      await this.#cluster.run(send(this.room()));
      return true;
    } catch (error) {
      if (isCatgaError(error)) return false;
      throw error;
    }
  }

  room() {
    return this.#cluster.node(FIRST).entity(Room, "a");
  }

  /** Nodes that run and may be struck. */
  get #active(): string[] {
    const { names } = this.#cluster;
    return names.filter((name) => !this.#paused.includes(name) && !this.#leaving.includes(name));
  }

  #change(kind: "watch" | "end" | "resume", at: number): void {
    const on = this.#active[at % this.#active.length]!;
    const old = this.#watches[at % Math.max(1, this.#watches.length)];
    if (kind === "watch") this.#watch(on, undefined);
    if (old === undefined || kind === "watch") return;
    if (this.#cluster.names.includes(old.on)) old.watcher.end();
    if (kind === "resume") this.#watch(on, old);
    old.isOver = true;
  }

  #watch(on: string, old: Watching | undefined): void {
    const last = old?.watcher.last;
    const heard = old?.watcher.heard.filter(isNumber) ?? [];
    const after = last === undefined ? undefined : (heard.at(-1) ?? old?.after);
    const floor = last === undefined ? undefined : (heard.at(-1) ?? old?.floor);
    const begun = (): void => {
      watching.floor ??= this.#said;
    };
    const options = last === undefined ? { begun } : { begun, after: last };
    const watcher = new Watcher(this.#cluster, on, options);
    const marks = old?.watcher.heard.slice(old.watcher.heard.findLastIndex(isNumber) + 1) ?? [];
    const hasHeard = heard.length > 0;
    const mayMiss = marks.includes("missed") || (!hasHeard && old?.mayMiss === true);
    const isLate = old?.isOver === true || old?.isLate === true;
    const told = { after, floor, mayMiss, isLate };
    const watching: Watching = { watcher, on, ...told, isOver: false };
    this.#watches.push(watching);
  }

  #strike(kind: "leave" | "kill" | "pause" | "cut", at: number): void {
    const others = this.#active.filter((name) => name !== FIRST);
    const name = others[at % Math.max(1, others.length)];
    if (name === undefined || others.length < 2) return;
    if (kind !== "leave") this.#mayMiss = true;
    if (kind === "cut") return this.#cluster.partition([name], this.#cluster.names);
    if (kind === "pause") {
      this.#paused.push(name);
      return this.#cluster.pause(name);
    }
    this.#lost.add(name);
    if (kind === "kill") return this.#cluster.kill(name);
    this.#leaving.push(name);
    // What becomes of it is seen when all is calm.
    this.#cluster
      .node(name)
      .stop()
      .catch(() => {});
  }

  #wake(): void {
    for (const name of this.#paused.splice(0)) this.#cluster.resume(name);
  }

  #judge(watching: Watching): string[] {
    const { watcher, on, after, floor, isOver, isLate } = watching;
    const { heard } = watcher;
    const found: string[] = [];
    // What it was told before the numbers that it was given next.
    let last = after;
    let { mayMiss } = watching;
    const end = this.#lost.has(on) || isOver ? [] : [this.#said + 1];
    if (heard[0] === undefined) return end.length === 0 ? [] : ["never began"];
    if (typeof heard[0] === "number") found.push("begins without a mark");
    for (const each of [...heard, ...end]) {
      if (each === "missed" || each === "begun") {
        if (each === "missed") mayMiss = true;
        if (each === "missed" && !this.#mayMiss && !isLate)
          found.push(`missed something after ${last}`);
        continue;
      }
      if (last !== undefined && each <= last) found.push(`${each} after ${last}`);
      const from = Math.max(last ?? 0, floor ?? 0) + 1;
      const missing = [...this.#answered].filter((n) => n >= from && n < each);
      if (missing.length > 0 && !mayMiss) found.push(`${missing.join()} missing, without a mark`);
      last = each;
      mayMiss = false;
    }
    return found;
  }
}

function isNumber(each: unknown): each is number {
  return typeof each === "number";
}
