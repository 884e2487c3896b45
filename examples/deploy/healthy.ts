/** The health check: ends with 0 when the process of this container answers. */
import process from "node:process";
import { port } from "./program.ts";

const url = `http://127.0.0.1:${port}/healthz/live`;
const { ok } = await fetch(url, { signal: AbortSignal.timeout(2_000) });
process.exit(ok ? 0 : 1);
