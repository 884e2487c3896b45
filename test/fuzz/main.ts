/**
 * The fuzzer: `npm run fuzz -- --seconds 30 [--seed 1] [--target frame]` tries inputs that nobody
 * means on everything that reads what came from outside, and ends with 1 when something throws what
 * it does not document, hangs, changes a prototype, dies, or grows. It prints the input, made as
 * small as it gets, and the command that tries just that again (`--path`); `--show` prints each
 * input before it is tried. `--self-test` plants a bug in each target, and ends with 1 when one is
 * not found.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Found, Task, Word } from "./run.ts";

/** Nothing takes so long: it hangs. Starting a broker is the longest of all. */
const HANG_MS = 20_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    seed: { type: "string" },
    target: { type: "string" },
    path: { type: "string" },
    show: { type: "boolean", default: false },
    "self-test": { type: "boolean", default: false },
  },
});

const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const selfTest = values["self-test"];

/** The thread ends by itself, or is ended when it says nothing for too long. */
async function fuzz(): Promise<{
  readonly found: readonly Found[];
  readonly inputs: Readonly<Record<string, number>>;
}> {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const { target, path, show } = values;
  const task: Task = { seconds: Number(values.seconds), seed, target, path, selfTest, show, beats };
  const worker = new Worker(new URL("run.ts", import.meta.url), { workerData: task });
  const found: Found[] = [];
  let now = { target: "the start", seed };
  let last = -1;
  return new Promise((resolve, reject) => {
    const watch = setInterval(() => {
      const count = Atomics.load(beats, 0);
      if (count === last) {
        const hung = { ...now, path: "", input: "see --show", error: "it hangs" };
        end({ found: [...found, hung], inputs: {} });
      }
      last = count;
    }, HANG_MS);
    const end = (result: Awaited<ReturnType<typeof fuzz>>): void => {
      clearInterval(watch);
      resolve(result);
      worker.terminate().catch(reject);
    };
    worker.on("error", (error: Error) => {
      found.push({
        ...now,
        path: "",
        input: "see --show",
        error: `it ended the process: ${error.stack}`,
      });
      end({ found, inputs: {} });
    });
    worker.on("message", (word: Word) => {
      if (word.kind === "now") now = word;
      else if (word.kind === "input") console.log(`  ${now.target} ${now.seed}: ${word.text}`);
      else if (word.kind === "found") found.push(word.finding);
      else end({ found, inputs: word.inputs });
    });
  });
}

function tell({ target, seed: at, path, input, error }: Found): void {
  console.log(`FOUND in ${target}, seed ${at}: ${error}\n  input: ${input}`);
  const place = path === "" ? "--show" : `--path "${path}"`;
  console.log(`  npm run fuzz -- --target ${target} --seed ${at} ${place}`);
}

console.log(`fuzz: seed ${seed}`);
const { found, inputs } = await fuzz();
const counts = Object.entries(inputs).map(([name, count]) => `${name} ${count}`);
console.log(`inputs: ${counts.join(", ")}`);
if (selfTest) {
  const caught = new Set(found.map(({ target }) => target));
  const missed = Object.keys(inputs).filter((name) => !caught.has(name));
  console.log(`${caught.size} planted bugs found, missed: ${missed.join(", ") || "none"}`);
  process.exit(missed.length === 0 && caught.size > 0 ? 0 : 1);
}
for (const each of found) tell(each);
console.log(`${counts.length - found.length} passed, ${found.length} failed`);
process.exit(found.length === 0 && counts.length > 0 ? 0 : 1);
