/**
 * The way into a store. An import may end anywhere and be made again: what is there already is left
 * as it is.
 *
 * It writes under a fence below those of all owners, whatever fence the entity had where it comes
 * from: the cluster here has an authority of its own, whose fences may be lower, and a higher one
 * would refuse its entities to it for ever. Its owner stamps the record with its own fence before
 * the first turn. The fence of an import says of which export it is, and which version the record
 * had there, so of several lines of one entity the newest stays, in whatever order they come.
 *
 * Where a cluster runs, compare-and-set keeps both sides apart: of two who write, one is refused.
 */
import { shardCountOf } from "../api/options.ts";
import { isCatgaError } from "../base/errors.ts";
import type { StoreResult, StoreWrite } from "../ports/store.ts";
import { entityKey } from "../protocol/ids.ts";
import { checkSizes } from "../protocol/state-size.ts";
import type { BackupProgress } from "./export.ts";
import { badLine, Chain, type EntityLine, type Header, normalOf, parseLine } from "./line.ts";
import { type BackupPlace, type OpenStore, openToWrite } from "./open.ts";

/** What becomes of an entity that the store has already, and otherwise. */
export type OnConflict = "refuse" | "skip" | "overwrite";

/** What is imported, and where to. */
export interface ImportOptions extends BackupPlace {
  /** As `exportEntities` made them. */
  readonly lines: AsyncIterable<string> | Iterable<string>;
  /**
   * `refuse` and `skip` leave what is there; with `refuse` that is a finding. `overwrite` replaces
   * it; where the entity is in memory of a cluster, it ends there. @default "refuse"
   */
  readonly onConflict?: OnConflict;
  readonly onProgress?: (progress: BackupProgress) => void;
}

/** How an import has ended. */
export interface ImportResult {
  /** Entities that are there now and were not. */
  readonly imported: number;
  readonly overwritten: number;
  /** They were there, just so: an earlier try has brought them. */
  readonly unchanged: number;
  /** They were there, and otherwise; nothing was done to them. */
  readonly refused: number;
  /** The same, as was asked for. */
  readonly skipped: number;
  /** Of all of them, how many cannot be read: they are kept as they stand. */
  readonly corrupt: number;
  /** The first of those that were refused. */
  readonly conflicts: readonly string[];
}

type Ending = Exclude<keyof ImportResult, "corrupt" | "conflicts">;

/** A line on its way into the store. */
interface Passage {
  readonly line: EntityLine;
  readonly write: StoreWrite;
  readonly ending: "imported" | "overwritten";
}

const BATCH_ENTITIES_MAX = 256;
const BATCH_CHARS_MAX = 2 * 1_048_576;
/** An entity that has changed so often meanwhile belongs to somebody. */
const TRIES_MAX = 8;
const CONFLICTS_TOLD_MAX = 20;
/** The generation of no authority. */
const NO_GENERATION: string = "0".repeat(16);
const CHOICES: readonly string[] = ["refuse", "skip", "overwrite"] satisfies OnConflict[];

/**
 * Brings what `exportEntities` has written into a store: an empty one, or one whose cluster does
 * not use these entities meanwhile. Reminders keep their times.
 *
 * @throws {CatgaError} BAD_LINE, with what came before imported; others as the store does
 * @throws {TypeError | RangeError} for options that make no sense
 */
export async function importEntities(options: ImportOptions): Promise<ImportResult> {
  const { onConflict = "refuse" } = options;
  if (!CHOICES.includes(onConflict)) {
    throw new TypeError(`Cannot use onConflict "${onConflict}": write ${CHOICES.join(", ")}`);
  }
  if (options.shardCount !== undefined) shardCountOf(options.shardCount);
  const importing = new Import(options, onConflict);
  try {
    return await importing.run();
  } finally {
    await importing.close();
  }
}

class Import {
  readonly #options: ImportOptions;
  readonly #onConflict: OnConflict;
  readonly #counts = { imported: 0, overwritten: 0, unchanged: 0, refused: 0, skipped: 0 };
  readonly #conflicts: string[] = [];
  #corrupt = 0;
  /** From the first line on. */
  #header: Header | undefined;
  #place: OpenStore | undefined;
  #batch: EntityLine[] = [];
  #chars = 0;

  constructor(options: ImportOptions, onConflict: OnConflict) {
    this.#options = options;
    this.#onConflict = onConflict;
  }

  async run(): Promise<ImportResult> {
    const { lines, onProgress } = this.#options;
    const flush = async (): Promise<void> => {
      await this.#flush();
      const done = Object.values(this.#counts).reduce((sum, count) => sum + count, 0);
      onProgress?.({ done, total: this.#header?.total, corrupt: this.#corrupt });
    };
    try {
      const check = (line: EntityLine): void => checkSizes([line], this.#place!.store.bytesMax);
      for await (const line of linesIn(lines, check)) {
        if (line.kind === "header") {
          this.#header = line;
          this.#place = await openToWrite(this.#options, line.shardCount);
          continue;
        }
        const isFull = this.#chars + line.data.length > BATCH_CHARS_MAX;
        if (isFull || this.#batch.length === BATCH_ENTITIES_MAX) await flush();
        this.#batch.push(line);
        this.#chars += line.data.length;
      }
    } catch (error) {
      // What came before it stays.
      if (isCatgaError(error, "BAD_LINE")) await flush();
      throw error;
    }
    await flush();
    return { ...this.#counts, corrupt: this.#corrupt, conflicts: this.#conflicts };
  }

  async close(): Promise<void> {
    await this.#place?.store.close();
  }

  /** Writes the batch, and what was refused of it again, as long as it may be. */
  async #flush(): Promise<void> {
    let todo = this.#batch.map((line) => this.#passageOf(line));
    this.#batch = [];
    this.#chars = 0;
    for (let tries = 0; todo.length > 0; tries++) {
      const results = await this.#place!.store.write(todo.map(({ write }) => write));
      todo = todo.flatMap((passage, i) => this.#settle(passage, results[i]!, tries));
    }
  }

  #passageOf(line: EntityLine): Passage {
    const { entity, id, data, dueMs, recordVersion } = line;
    const origin = `${recordVersion}`.padStart(16, "0");
    const fence = [NO_GENERATION, origin, this.#header!.export].join(".");
    const write = { ...this.#place!.keyOf(entity, id), expected: 0, fence, data, dueMs };
    return { line, write, ending: "imported" };
  }

  /** What is to be written again. */
  #settle(passage: Passage, result: StoreResult, tries: number): Passage[] {
    if (result.ok) return this.#end(passage, passage.ending);
    const { write } = passage;
    const { current } = result;
    if (tries === TRIES_MAX) return this.#end(passage, "refused");
    if (current === undefined) return [{ ...passage, write: { ...write, expected: 0 } }];
    const again = { ...write, expected: current.version };
    if (current.data !== undefined && normalOf(current.data) === write.data) {
      return this.#end(passage, "unchanged");
    }
    if (isOfSameExport(current.fence, write.fence)) {
      // The same entity came twice: the newer one counts.
      return current.fence > write.fence
        ? this.#end(passage, "unchanged")
        : [{ ...passage, write: again }];
    }
    // Whose fence it has keeps it.
    const fence = current.fence > write.fence ? current.fence : write.fence;
    if (current.data === undefined) return [{ ...passage, write: { ...again, fence } }];
    if (this.#onConflict !== "overwrite") {
      return this.#end(passage, this.#onConflict === "skip" ? "skipped" : "refused");
    }
    return [{ ...passage, write: { ...again, fence }, ending: "overwritten" }];
  }

  #end({ line, write }: Passage, ending: Ending): [] {
    this.#counts[ending]++;
    if (line.isCorrupt) this.#corrupt++;
    if (ending === "refused" && this.#conflicts.length < CONFLICTS_TOLD_MAX) {
      this.#conflicts.push(entityKey(write.entity, write.id));
    }
    return [];
  }
}

/** True for the fences of two versions that one export has of an entity. */
function isOfSameExport(one: string, other: string): boolean {
  const [[generation, , name], [, , otherName]] = [one.split("."), other.split(".")];
  return generation === NO_GENERATION && name === otherName;
}

/** The header and the entities of an export, once it is seen to be one to its end. */
async function* linesIn(
  lines: ImportOptions["lines"],
  check: (line: EntityLine) => void,
): AsyncGenerator<Header | EntityLine, void> {
  const chain = new Chain();
  let [number, entities, state]: [number, number, "before" | "within" | "after"] = [0, 0, "before"];
  for await (const text of lines) {
    number++;
    try {
      if (state === "after") {
        if (text === "") continue;
        throw new Error("the export has ended before it");
      }
      const line = parseLine(text);
      if ((line.kind === "header") !== (state === "before")) {
        throw new Error(
          state === "before" ? "the first line is no header" : "it begins another one",
        );
      }
      state = "within";
      if (line.kind === "end") {
        const isWhole = line.entities === entities && line.chain === chain.sum;
        if (!isWhole) throw new Error("lines before it are missing, or not in their order");
        state = "after";
        continue;
      }
      if (line.kind === "entity") {
        check(line);
        entities++;
      }
      chain.add(text);
      yield line;
    } catch (error) {
      throw badLine(number, error);
    }
  }
  if (state !== "after")
    throw badLine(number + 1, new Error("the export is cut: its end is missing"));
}
