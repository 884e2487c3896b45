/**
 * The path of a user: three nodes, each with an edge, and 200 clients that write through all of
 * them. One node is killed in the middle. No client sees another failure than 503 with Retry-After,
 * nothing that was acknowledged is lost, nothing stands twice.
 */
import { expect, test } from "bun:test";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { createClient } from "../../src/client/index.ts";
import { waitUntil } from "../contracts/wait-until.ts";
import { temporaryFolder } from "../drivers/folders.ts";
import { meeting } from "../drivers/nodes.ts";
import { Ledger, type PathSettings } from "./path-node.ts";

const CLIENTS = 200;
const LINES = 12;
const LEDGERS = 40;
/** The kill comes when so many lines were acknowledged. */
const KILL_AT = 700;
const PATIENCE = { timeoutMs: 60_000 };
const PROGRAM = join(import.meta.dir, "path-node.ts");

/** A process that is a node. */
interface PathNode {
  readonly child: ChildProcessWithoutNullStreams;
  url: string | undefined;
}

function start(settings: PathSettings): PathNode {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)]);
  const node: PathNode = { child, url: undefined };
  child.stderr.pipe(process.stderr);
  createInterface({ input: child.stdout }).on("line", (line) => (node.url ??= line));
  return node;
}

/** What clients have seen, other than 200. */
class Seen {
  readonly statuses = new Map<string, number>();
  broken = 0;

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    let answer: Response;
    try {
      answer = await fetch(url, init);
    } catch (error) {
      this.broken++;
      throw error;
    }
    if (answer.status === 200) return answer;
    const { code } = (await answer.clone().json()) as { code: string };
    const after = answer.headers.has("Retry-After") ? " with Retry-After" : "";
    const kind = `${answer.status} ${code}${after}`;
    this.statuses.set(kind, (this.statuses.get(kind) ?? 0) + 1);
    return answer;
  };

  /** Statuses that no client may ever see. */
  get faults(): readonly string[] {
    return [...this.statuses.keys()].filter((kind) => !/^(?:429|503) .* with Retry/.test(kind));
  }
}

test.each([0, 1, 2])(
  "a node that dies costs nobody anything, node %i",
  async (victim) => {
    const { options } = await meeting();
    const { name, secret, transport } = options;
    const file = join(temporaryFolder("path"), "ledgers.db");
    const place = { name, secret, transport: transport!, file };
    const nodes = [0, 1, 2].map((n) => start({ ...place, nodeId: `n${n}` }));
    try {
      await waitUntil(
        "all edges serve",
        () => nodes.every(({ url }) => url !== undefined),
        PATIENCE,
      );
      const urls = nodes.map(({ url }) => url!);
      const seen = new Seen();
      const acknowledged = new Map<string, string[]>();
      let count = 0;
      const write = async (client: number): Promise<void> => {
        const api = createClient({ url: urls, fetch: seen.fetch, retries: 30, timeout: "30s" });
        for (let n = 0; n < LINES; n++) {
          const id = `l${(client + n * 7) % LEDGERS}`;
          const line = `${client}.${n}`;
          await api.entity(Ledger, id).send({ type: "write", line });
          acknowledged.set(id, [...(acknowledged.get(id) ?? []), line]);
          if (++count === KILL_AT) nodes[victim]?.child.kill("SIGKILL");
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, (_, client) => write(client)));
      expect(count).toBe(CLIENTS * LINES);
      expect(seen.faults).toEqual([]);
      expect(seen.broken).toBeGreaterThan(0);

      const api = createClient({ url: urls, fetch: seen.fetch });
      for (const [id, lines] of acknowledged) {
        const kept = await api.entity(Ledger, id).send({ type: "lines" });
        expect(kept.toSorted()).toEqual(lines.toSorted());
      }
    } finally {
      for (const { child } of nodes) child.kill("SIGKILL");
    }
  },
  120_000,
);
