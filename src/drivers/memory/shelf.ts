/** What a store in memory keeps: records under compare-and-set by version and fence. */
import type {
  DueEntity,
  StoredEntity,
  StoredRecord,
  StoreKey,
  StorePage,
  StoreResult,
  StoreWrite,
} from "../../ports/store.ts";
import { DELETED_MS } from "../../base/limits.ts";
import { entityKey } from "../../protocol/ids.ts";

/** Entities of a page. */
const PAGE_MAX = 500;

/** See the file's header. */
export class Shelf {
  readonly #kept = new Map<string, StoredEntity>();
  /** Of deleted entities, until when they stay; the oldest first. */
  readonly #deleted = new Map<string, number>();
  /** For each type and shard, when whose first reminder is due. */
  readonly #due = new Map<string, Map<string, number>>();

  /** Everything that is kept of an entity. */
  get({ entity, id }: Pick<StoreKey, "entity" | "id">): StoredEntity | undefined {
    return this.#kept.get(entityKey(entity, id));
  }

  /** As a store does. */
  load(key: StoreKey): StoredRecord | undefined {
    const kept = this.get(key);
    return kept && { version: kept.version, fence: kept.fence, data: kept.data };
  }

  /** Carries `write` out or refuses it; `nowMs` is of a clock that does not jump. */
  write({ expected, ...write }: StoreWrite, nowMs: number): StoreResult {
    this.#forget(nowMs);
    const current = this.load(write);
    const isStale = current !== undefined && write.fence < current.fence;
    if (isStale || (current?.version ?? 0) !== expected) return { ok: false, current };
    const version = expected + 1;
    const key = entityKey(write.entity, write.id);
    this.#kept.set(key, { ...write, version });
    this.#deleted.delete(key);
    if (write.data === undefined) this.#deleted.set(key, nowMs + DELETED_MS);
    this.#remind(write);
    return { ok: true, version };
  }

  /** As a store does. */
  due(where: Omit<StoreKey, "id">, untilMs: number, limit: number): DueEntity[] {
    return [...(this.#due.get(placeOf(where)) ?? [])]
      .filter(([, dueMs]) => dueMs <= untilMs)
      .sort(([, one], [, other]) => one - other)
      .slice(0, limit)
      .map(([id, dueMs]) => ({ id, dueMs }));
  }

  /** As a store does. */
  page(after = ""): StorePage {
    const total = this.#kept.size;
    const keys = [...this.#kept.keys()].filter((key) => key > after).sort();
    const found = keys.slice(0, PAGE_MAX).map((key) => this.#kept.get(key)!);
    return { found, next: keys.length > PAGE_MAX ? keys[PAGE_MAX - 1] : undefined, total };
  }

  #forget(nowMs: number): void {
    for (const [key, untilMs] of this.#deleted) {
      if (untilMs > nowMs) return;
      this.#deleted.delete(key);
      this.#remind({ ...this.#kept.get(key)!, dueMs: undefined });
      this.#kept.delete(key);
    }
  }

  #remind({ id, dueMs, ...where }: StoreKey & Pick<StoreWrite, "dueMs">): void {
    const place = placeOf(where);
    const entities = this.#due.get(place) ?? new Map<string, number>();
    if (dueMs === undefined) entities.delete(id);
    else entities.set(id, dueMs);
    if (entities.size === 0) this.#due.delete(place);
    else this.#due.set(place, entities);
  }
}

function placeOf({ entity, shard }: Omit<StoreKey, "id">): string {
  return `${entity}/${shard}`;
}
