/**
 * Scrapes a node where `prom-client` is not installed; on Node.js, where that can be arranged.
 *
 *   node test/http/without-prometheus.ts
 *
 * It prints the status of the answer, its code, and what the node has logged.
 */
import { registerHooks } from "node:module";
import { gateway } from "../../src/http/index.ts";
import { Cluster } from "../../src/index.ts";

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === "prom-client" ? "no-such-package" : specifier, context),
});

const lines: unknown[] = [];
const line = (fields: unknown): void => void lines.push(fields);
const log = { debug() {}, info() {}, warn: line, error: line };
const cluster = await Cluster.start({ transport: "memory", log });
const response = await gateway(cluster, { expose: [], log }).request("/metrics");
const { code } = (await response.json()) as { readonly code: string };
const logged = (lines as { readonly err?: unknown }[]).map(({ err }) => String(err));
console.log(JSON.stringify([response.status, code, ...logged]));
await cluster.stop();
