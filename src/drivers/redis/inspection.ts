/**
 * What a server says of itself before it is used: too old or a replica is an error, forgetful or
 * readable by others is a warning. A user may lack the right to ask; then nothing is said.
 */
import { CatgaError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Access } from "./access.ts";
import type { Connection } from "./connection.ts";

/** What Debian, Ubuntu and the clouds have had for years; older ones lack commands that we use. */
const MINIMUM = [6, 2];

/** Makes what looks at a server; it warns once, and refuses each time. */
export function inspector(
  { address, isOpen }: Access,
  log: Logger,
): (command: Connection) => Promise<void> {
  let isTold = false;
  return async (command) => {
    const info = await command.call("INFO", []).catch((error: unknown) => {
      const { message } = error as Error;
      if (/^(?:NOAUTH|LOADING)/.test(message) || !/^[A-Z]+ /.test(message)) throw error;
      return "";
    });
    const told = factsOf(String(info));
    refuse(told, address);
    if (isTold) return;
    isTold = true;
    for (const warning of warningsOf(told)) log.warn({ address }, warning);
    if (isOpen) log.warn({ address }, "Redis is used over a network without password or TLS");
  };
}

function factsOf(info: string): ReadonlyMap<string, string> {
  const lines = info.matchAll(/^(\w+):(.*?)\r?$/gm);
  return new Map(Array.from(lines, ([, name = "", value = ""]) => [name, value]));
}

function refuse(facts: ReadonlyMap<string, string>, address: string): void {
  const version = facts.get("redis_version") ?? "";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOld = major < MINIMUM[0]! || (major === MINIMUM[0] && minor < MINIMUM[1]!);
  if (version !== "" && isOld) {
    const details = { address, version, minimum: MINIMUM.join(".") };
    throw new CatgaError("BROKER_TOO_OLD", details);
  }
  const isReplica = facts.get("role") === "slave";
  if (isReplica) throw new CatgaError("BROKER_READ_ONLY", { address });
}

function* warningsOf(facts: ReadonlyMap<string, string>): Generator<string> {
  if (facts.get("aof_enabled") === "0") {
    yield (
      "Redis forgets what it acknowledged when it dies: set appendonly yes; without it a " +
      "restart may end all entities in memory"
    );
  }
  const policy = facts.get("maxmemory_policy") ?? "noeviction";
  if (facts.get("maxmemory") !== "0" && policy !== "noeviction") {
    yield `Redis may throw records away when memory is short: set maxmemory-policy noeviction`;
  }
  if (facts.get("second_repl_offset") !== "-1" && facts.has("second_repl_offset")) {
    yield "Redis was promoted from a replica: what its primary had not sent yet is lost";
  }
}
