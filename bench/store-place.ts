/**
 * Where the entities of one case are kept: a broker of its own, or a file in a folder that goes
 * with it. A cluster meets at that broker; one whose store is a file meets on this machine.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqlite } from "../src/drivers/sqlite/index.ts";
import { type AnyEntity, Cluster, type ClusterOf } from "../src/index.ts";
import type { StoreDriver } from "../src/ports/store.ts";
import { Broker } from "./broker.ts";
import type { StoreKind } from "./floors/raw-store.ts";
import type { BrokerUrl } from "./processes/broker-kind.ts";
import { newClusterName, useOwnSecretFolder } from "./processes/cluster-name.ts";

/** What `Cluster.start` takes. */
interface Meeting {
  readonly transport?: BrokerUrl;
  readonly store?: StoreDriver;
}

/** See the file's header. */
export class StorePlace implements AsyncDisposable {
  /** A path, or an address; the raw store may have the same one. */
  readonly at: string;
  readonly #meeting: Meeting;
  readonly broker: Broker | undefined;
  readonly #folder: string;

  private constructor(folder: string, broker: Broker | undefined) {
    this.#folder = folder;
    this.broker = broker;
    this.at = broker?.url ?? join(folder, "raw.db");
    const store = sqlite({ file: join(folder, "catga.db") });
    this.#meeting = broker === undefined ? { store } : { transport: broker.url };
  }

  /** Makes one. */
  static async open(kind: StoreKind): Promise<StorePlace> {
    useOwnSecretFolder();
    const broker = kind === "sqlite" ? undefined : await Broker.start(kind);
    return new StorePlace(mkdtempSync(join(tmpdir(), "catga-bench-")), broker);
  }

  /** A cluster of one node, which keeps entities of this type here. */
  start<E extends AnyEntity>(entity: E): Promise<ClusterOf<E>> {
    const options = { ...this.#meeting, name: newClusterName(), heartbeat: "normal" } as const;
    return Cluster.start({ ...options, entities: [entity] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker?.[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
