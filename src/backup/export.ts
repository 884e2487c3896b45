/**
 * The way out of a store: everything that it keeps of a cluster's entities, as lines. One part is
 * read at a time, when the lines of the last one are taken, so nothing piles up.
 */
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { Chain, endLine, entityLine, headerLine } from "./line.ts";
import { type BackupPlace, openToRead } from "./open.ts";

/** How far an export or an import has come. */
export interface BackupProgress {
  readonly done: number;
  /** About how many there are, as far as that is known. */
  readonly total: number | undefined;
  /** Of those that are done, how many cannot be read: they are kept as they stand. */
  readonly corrupt: number;
}

/** What is exported. */
export interface ExportOptions extends BackupPlace {
  readonly onProgress?: (progress: BackupProgress) => void;
}

const EXPORT_DIGITS = 16;

/**
 * What a store keeps of a cluster's entities, as lines without their ends; deleted ones are left
 * out. A cluster may use the store meanwhile: each entity is as it was at one moment, and one that
 * changes may come twice, the newer one last.
 *
 * @throws {CatgaError} as the store does; STORE_UNAVAILABLE when it keeps nothing of the cluster
 */
export async function* exportEntities(options: ExportOptions): AsyncGenerator<string, void> {
  const { name: cluster = "catga", onProgress } = options;
  const { store, shardCount } = await openToRead(options);
  const chain = new Chain();
  try {
    let [entities, corrupt]: [number, number] = [0, 0];
    let page = await store.page();
    const { total } = page;
    const at = new Date(systemClock.wallMs()).toISOString();
    const header = headerLine({ cluster, at, export: someDigits(), shardCount, total });
    chain.add(header);
    yield header;
    for (;;) {
      for (const { data, ...stored } of page.found) {
        if (data === undefined) continue;
        const { line, corrupt: why } = entityLine({ ...stored, data });
        entities++;
        if (why !== undefined) corrupt++;
        chain.add(line);
        yield line;
      }
      onProgress?.({ done: entities, total, corrupt });
      if (page.next === undefined) break;
      page = await store.page(page.next);
    }
    yield endLine({ entities, corrupt, chain: chain.sum });
  } finally {
    await store.close();
  }
}

function someDigits(): string {
  const digits = Array.from({ length: EXPORT_DIGITS }, () => systemRandom.fraction() * 10);
  return digits.map(Math.floor).join("");
}
