/** A broker of one case: a real server on a free port, its data in a folder that goes with it. */
import { Redis } from "ioredis";
import { type Child, startHelper } from "./child.ts";
import { type BrokerKind, type BrokerUrl, kindOf } from "./processes/broker-kind.ts";

/** What a broker has done since it started. */
export interface BrokerCounts {
  /** Between it and its clients, both directions; answers of Redis count, for they are messages. */
  readonly messages: number;
  /** The same. */
  readonly bytes: number;
  /** What nodes have asked it to write or to look up: publications with an answer, scripts. */
  readonly operations: number;
}

/** See the file's header. */
export class Broker implements AsyncDisposable {
  readonly url: BrokerUrl;
  readonly #child: Child;
  readonly #monitorPort: number;

  private constructor(child: Child, said: { url: BrokerUrl; monitorPort: number }) {
    this.#child = child;
    this.url = said.url;
    this.#monitorPort = said.monitorPort;
  }

  /** Starts one. */
  static async start(kind: BrokerKind): Promise<Broker> {
    const child = startHelper("processes/broker.ts", kind);
    const said = (await child.next()) as { url: BrokerUrl; monitorPort: number } | undefined;
    if (said === undefined) throw new Error(`Cannot go on: there is no ${kind} server`);
    return new Broker(child, said);
  }

  /** Kills it and starts it again with its data; for how long it did not answer. */
  async restart(): Promise<number> {
    this.#child.tell("restart");
    const { downMs } = (await this.#child.next()) as { readonly downMs: number };
    return downMs;
  }

  /** What it has done so far. */
  counts(): Promise<BrokerCounts> {
    return kindOf(this.url) === "nats" ? countsOfNats(this.#monitorPort) : countsOfRedis(this.url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

async function countsOfNats(port: number): Promise<BrokerCounts> {
  const [varz, jsz] = await Promise.all(["varz", "jsz?streams=1"].map((page) => ask(port, page)));
  const sum = (what: string): number => Number(varz![`in_${what}`]) + Number(varz![`out_${what}`]);
  // The number of a stream's last record is how many have been written.
  const { account_details: accounts = [] } = jsz as {
    account_details?: { stream_detail?: { state: { last_seq: number } }[] }[];
  };
  const streams = accounts.flatMap(({ stream_detail: streams = [] }) => streams);
  const operations = streams.reduce((all, { state }) => all + state.last_seq, 0);
  return { messages: sum("msgs"), bytes: sum("bytes"), operations };
}

async function ask(port: number, page: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = await fetch(`http://127.0.0.1:${port}/${page}`);
  return (await answer.json()) as Readonly<Record<string, unknown>>;
}

/** What clients send; scripts call others inside the server. */
const COMMANDS = /^cmdstat_(eval|evalsha|fcall|publish|ping|subscribe|xread):calls=(\d+)/gm;
const SCRIPTS = new Set(["eval", "evalsha", "fcall"]);

async function countsOfRedis(url: string): Promise<BrokerCounts> {
  const client = new Redis(url);
  const counts = { messages: 0, bytes: 0, operations: 0 };
  try {
    const [stats, commands] = [await client.info("stats"), await client.info("commandstats")];
    for (const [, command = "", calls] of commands.matchAll(COMMANDS)) {
      // Every command has an answer.
      counts.messages += 2 * Number(calls);
      if (SCRIPTS.has(command)) counts.operations += Number(calls);
    }
    for (const [, bytes] of stats.matchAll(/^total_net_(?:in|out)put_bytes:(\d+)/gm)) {
      counts.bytes += Number(bytes);
    }
    return counts;
  } finally {
    client.disconnect();
  }
}
