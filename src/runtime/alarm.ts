/**
 * Wakes entities whose reminders are due while they are not in memory: it looks into the store, now
 * and then for all shards of this node, and at once for one that has come here. What is due soon is
 * remembered, and woken at its time.
 */
import { REMINDER_SCAN_MS } from "../base/limits.ts";
import { WheelEntry } from "../base/timer-wheel.ts";
import type { EntityHost } from "./entity-host.ts";
import type { EntityHome } from "./entity-home.ts";
import type { OwnedShard, Resident } from "./owned-shard.ts";
import type { Router } from "./router.ts";

type Sleeping = Pick<Resident, "id" | "shard"> & { readonly host: Pick<EntityHome, "definition"> };

/** Each is looked for twice before it is due. */
const HORIZON_MS: number = 2 * REMINDER_SCAN_MS;
const FOUND_MAX = 1_000;
/** There are more than were asked for: those are looked for soon. */
const AGAIN_MS = 500;
/** A look that failed is repeated after this: a store that is away has enough to do. */
const FAILED_MS = 3_000;
/** Shards that are looked at together: a store asks for those of one burst at once. */
const LANES = 64;

/** See the file's header. */
export class Alarm {
  readonly #router: Router;
  readonly #kept: readonly EntityHost[];
  readonly #sleepers = new Map<string, Sleeper>();
  readonly #looking = new Set<number>();
  /** Shards that are looked at again soon: each once, however many looks have asked for that. */
  readonly #again = new Set<number>();
  /** The store could not be asked last time: the log knows. */
  #isAway = false;

  constructor(router: Router) {
    this.#router = router;
    const all = [...router.hosts.values()];
    this.#kept = all.filter(({ definition }) => definition.persistence !== "none");
  }

  /** Looks at all shards, now and from time to time. */
  start(): void {
    if (this.#kept.length === 0) return;
    const { context } = this.#router;
    const again = (): unknown => context.after(REMINDER_SCAN_MS, () => this.start());
    this.#scan().then(again, again);
  }

  /** A shard has come here. */
  opened({ number }: OwnedShard): void {
    if (this.#kept.length > 0 && !this.#looking.has(number)) this.#look(number);
  }

  /** An entity that is not in memory has a reminder. */
  sleeps({ host: { definition }, id, shard }: Sleeping, dueMs: number): void {
    const { clock, wheel } = this.#router.context;
    const leftMs = dueMs - clock.wallMs();
    const host = this.#router.hosts.get(definition.name)!;
    const key = host.keyOf(id);
    const known = this.#sleepers.get(key);
    if (known !== undefined) wheel.remove(known);
    this.#sleepers.delete(key);
    if (leftMs > HORIZON_MS) return;
    const sleeper = new Sleeper(() => {
      this.#sleepers.delete(key);
      if (this.#router.exits.serving(shard.number) === shard) host.activate(id, shard);
    });
    this.#sleepers.set(key, sleeper);
    wheel.add(sleeper, wheel.nowMs + Math.max(0, leftMs));
  }

  async #scan(): Promise<void> {
    const { shardCount } = this.#router.context.options;
    // One iterator for all lanes: each takes the next shard that nobody has taken.
    const numbers = new Array<undefined>(shardCount).keys();
    const lane = async (): Promise<void> => {
      for (const number of numbers) {
        await new Promise<void>((resolve) => this.#look(number, resolve));
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  /** A look that fails is repeated before the next one of all shards. */
  #look(number: number, ended = (): void => {}): void {
    const { context } = this.#router;
    const failed = (err: unknown): void => {
      if (context.refusal !== undefined) return;
      const text = "reminders cannot be looked for, tried again";
      if (!this.#isAway) context.log.warn({ err, shard: number }, text);
      this.#isAway = true;
      this.#lookAgain(number, FAILED_MS);
    };
    const found = (): void => void (this.#isAway = false);
    this.#search(number).then(found, failed).then(ended, ended);
  }

  #lookAgain(number: number, delayMs: number): void {
    if (this.#again.has(number)) return;
    this.#again.add(number);
    this.#router.context.after(delayMs, () => {
      this.#again.delete(number);
      this.#look(number);
    });
  }

  async #search(number: number): Promise<void> {
    const { context } = this.#router;
    this.#looking.add(number);
    const shard = this.#router.exits.serving(number);
    this.#looking.delete(number);
    if (shard === undefined || context.refusal !== undefined) return;
    const failures: unknown[] = [];
    for (const host of this.#kept) {
      // What keeps one type from being asked for shall not keep the others.
      await this.#searchFor(host, shard).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  async #searchFor(host: EntityHost, shard: OwnedShard): Promise<void> {
    const { clock, store } = this.#router.context;
    const where = { entity: host.definition.name, shard: shard.number };
    const found = await store!.store.due(where, clock.wallMs() + HORIZON_MS, FOUND_MAX);
    for (const { id, dueMs } of found) {
      if (!host.activations.has(id)) this.sleeps({ host, id, shard }, dueMs);
    }
    if (found.length === FOUND_MAX) this.#lookAgain(shard.number, AGAIN_MS);
  }
}

class Sleeper extends WheelEntry {
  readonly #wake: () => void;

  constructor(wake: () => void) {
    super();
    this.#wake = wake;
  }

  override expire(): void {
    this.#wake();
  }
}
