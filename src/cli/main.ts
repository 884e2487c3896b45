#!/usr/bin/env node
/**
 * The command `catga`. What it finds goes to standard output, all else to standard error. It ends
 * with 0, with 1 after an error, with 2 when it was called wrongly, and with 3 when it did what it
 * could and something is left for a human: entities that were there already, or damaged records.
 */
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { exportEntities, importEntities, storedIn } from "../backup/index.ts";
import type { BackupPlace, BackupProgress } from "../backup/index.ts";
import { systemClock } from "../base/clock.ts";
import { describeError, isCatgaError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { type Order, orderOf, USAGE } from "./arguments.ts";
import { linesOf } from "./lines.ts";
import { progressBar } from "./progress.ts";
import { readable } from "./readable.ts";
import { storeOf } from "./store.ts";

type Bar = (progress?: BackupProgress) => void;

const FAILED = 1;
const MISUSED = 2;
const LEFT = 3;

const told = (_fields: object, text: string): void => warn(text);
const log: Logger = { debug() {}, info() {}, warn: told, error: told };

const words = process.argv.slice(2);
process.exitCode = await run();

async function run(): Promise<number> {
  const bar = progressBar(process.stderr, systemClock);
  try {
    const order = orderOf(words);
    if (order === "help") return tell(USAGE);
    const { name, shardCount } = order;
    const store = await storeOf(order);
    const place = { store, name, log, ...(shardCount === undefined ? {} : { shardCount }) };
    if (order.command === "stored") return await show(order, place);
    const work = order.command === "export" ? writeOut : readIn;
    return await work(order, place, bar);
  } catch (error) {
    bar();
    return sayError(error);
  }
}

async function writeOut(order: Order, place: BackupPlace, bar: Bar): Promise<number> {
  let last: BackupProgress = { done: 0, total: 0, corrupt: 0 };
  const onProgress = (progress: BackupProgress): void => bar((last = progress));
  const lines = exportEntities({ ...place, onProgress });
  const text = Readable.from(withEnds(lines));
  await pipeline(text, process.stdout, { end: false });
  bar();
  const { done: exported, corrupt } = last;
  say(order, { exported, corrupt }, `${exported} entities of "${order.name}"`);
  return ending(corrupt);
}

async function* withEnds(lines: AsyncIterable<string>): AsyncGenerator<string, void> {
  for await (const line of lines) yield `${line}\n`;
}

async function readIn(order: Order, place: BackupPlace, bar: Bar): Promise<number> {
  if (process.stdin.isTTY) throw new TypeError("Cannot import: the lines come by standard input");
  const pieces = process.stdin.setEncoding("utf8") as AsyncIterable<string>;
  const { onConflict } = order;
  const lines = linesOf(pieces);
  const result = await importEntities({ ...place, lines, onConflict, onProgress: bar });
  bar();
  const { imported, overwritten, unchanged, refused, skipped, corrupt, conflicts } = result;
  const counts = { imported, overwritten, unchanged, refused, skipped };
  const parts = Object.entries(counts).filter(([name, count]) => count > 0 || name === "imported");
  say(order, result, parts.map(([name, count]) => `${count} ${name}`).join(", "));
  if (!order.isJson && refused > 0) {
    warn(`${refused} are there already, and otherwise: ${conflicts.join(" ")}`);
  }
  return refused > 0 ? LEFT : ending(corrupt);
}

async function show(order: Order, place: BackupPlace): Promise<number> {
  const stored = await storedIn(place, order);
  if (stored === undefined) {
    warn(`nothing is stored of "${order.entity}/${order.id}" in "${order.name}"`);
    return FAILED;
  }
  const { state, ...rest } = stored;
  const shown = { entity: order.entity, id: order.id, ...rest, state: readable(state) };
  return tell(JSON.stringify(shown, undefined, order.isJson ? 0 : 2));
}

function ending(corrupt: number): number {
  if (corrupt === 0) return 0;
  warn(`${corrupt} records cannot be read; they are kept as they stand, marked as corrupt`);
  return LEFT;
}

/** A result; standard output is the export's. */
function say({ isJson, command }: Order, result: object, text: string): void {
  warn(isJson ? JSON.stringify({ command, ...result }) : `${command}: ${text}`);
}

function sayError(error: unknown): number {
  const isOurs = isCatgaError(error);
  const { text } = describeError(error);
  const code = isOurs ? error.code : codeOf(error);
  const isMisuse = error instanceof TypeError || error instanceof RangeError;
  if (words.includes("--json")) {
    warn(JSON.stringify({ code, message: text, details: isOurs ? error.details : undefined }));
  } else {
    warn(code === undefined ? text : `${code}: ${text}`);
    if (isMisuse) warn(`\n${USAGE}`);
  }
  return isMisuse ? MISUSED : FAILED;
}

/** Of an error of the system, such as EPIPE. */
function codeOf(error: unknown): string | undefined {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? code : undefined;
}

function tell(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

function warn(text: string): void {
  process.stderr.write(`${text}\n`);
}
