/**
 * The floor of a node at rest: a process that has loaded the libraries which a node with the edge
 * loads, has the hash function ready as every node has, and does nothing; `idle-bare.ts <url of a
 * broker>` is connected there. Says what memory it takes and ends.
 */
import "node:crypto";
import "node:fs/promises";
import "node:net";
import "node:os";
import process from "node:process";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import Denque from "denque";
import { xxHash32 } from "js-xxhash";
import { LRUCache } from "lru-cache";
import { runtimeOf } from "../../src/base/runtime.ts";
import { openWire } from "../floors/raw-broker.ts";
import { settledMemory } from "../measure/memory.ts";
import { say } from "../parent.ts";
import { kindOf } from "./broker-kind.ts";

// The server of Bun is part of Bun.
if (runtimeOf().name !== "bun") await import("@hono/node-server");
const [, , url = ""] = process.argv;
const wire = url === "" ? undefined : await openWire(url);
if (url !== "" && kindOf(url) === "nats") await import("@nats-io/jetstream");
const libraries = [Hono, bodyLimit, requestId, secureHeaders, xxHash32, Denque, LRUCache];
say({ ...(await settledMemory()), libraries: libraries.length });
await wire?.close();
