/**
 * Compose files as `docker compose` would see them: variables put in, anchors resolved, and what
 * the schema of the Compose specification does not know about this deployment.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DCLinter } from "dclint";
import { parseDocument, stringify } from "yaml";

/** The part of a service that is looked at here. */
export interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[] | string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly networks?: readonly string[];
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly restart?: string;
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly deploy?: { readonly replicas: number };
}

/** A file as it would be run. */
export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks?: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes?: Readonly<Record<string, object>>;
}

/** Its own types do not resolve under the rules for ES modules. */
interface LintResult {
  readonly messages: readonly { readonly rule: string; readonly message: string }[];
}

const VARIABLE = /\$\{(\w+)(?::([?-])([^}]*))?\}|\$\$/g;
/** A tag that names one version: another one next month would be a surprise. */
const PINNED = /^[\w./-]+:\d+\.\d+\.\d+[\w.-]*(?:@sha256:[0-9a-f]{64})?$/;

/**
 * Reads a file, its variables from `environment`.
 *
 * @throws {Error} for text that is no YAML, or a variable that has to be there and is not.
 */
export function parseCompose(text: string, environment: Readonly<Record<string, string>>): Compose {
  const filled = text.replace(/^(?!\s*#).*$/gm, (line) =>
    line.replace(VARIABLE, (all, name: string | undefined, kind?: string, rest?: string) => {
      if (name === undefined) return "$";
      const value = environment[name] || (kind === "-" ? rest : undefined);
      if (value === undefined) throw new Error(`Cannot use ${all}: ${name} is not set`);
      return value;
    }),
  );
  const document = parseDocument(filled, { merge: true, uniqueKeys: true, strict: true });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw problem;
  return document.toJS() as Compose;
}

/** The variables that a file takes from outside. */
export function variablesIn(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(VARIABLE), ([, name = ""]) => name))].toSorted(
    (a, b) => (a < b ? -1 : 1),
  );
}

/** What the schema of the Compose specification has against it. */
export function schemaOffences(compose: Compose): string[] {
  const folder = mkdtempSync(join(tmpdir(), "catga-compose-"));
  try {
    const path = join(folder, "compose.yaml");
    writeFileSync(path, stringify(compose, { aliasDuplicateObjects: false }));
    const linter = new DCLinter({ rules: {}, quiet: true, debug: false, exclude: [] });
    const results: readonly LintResult[] = linter.lintFiles([path], false);
    return results
      .flatMap(({ messages }) => messages)
      .filter(({ rule }) => rule === "invalid-schema" || rule === "invalid-yaml")
      .map(({ message }) => message);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What would go wrong although the schema allows it. */
export function offencesIn({ services, networks = {}, volumes = {} }: Compose): string[] {
  const found = Object.entries(services).flatMap(([name, service]) => [
    ...serviceOffences(service).map((offence) => `${name}: ${offence}`),
    ...Object.keys(service.depends_on ?? {})
      .filter((other) => services[other] === undefined)
      .map((other) => `${name}: waits for ${other}, which is no service`),
    ...(service.networks ?? ["default"])
      .filter((network) => networks[network] === undefined)
      .map((network) => `${name}: network ${network} is not declared`),
    ...volumesOf(service)
      .filter((volume) => volumes[volume] === undefined)
      .map((volume) => `${name}: volume ${volume} is not declared`),
  ]);
  const all = Object.values(services);
  const usedNetworks = new Set(all.flatMap(({ networks = [] }) => networks));
  const usedVolumes = new Set(all.flatMap(volumesOf));
  return [
    ...found,
    ...unused("network", Object.keys(networks), usedNetworks),
    ...unused("volume", Object.keys(volumes), usedVolumes),
  ];
}

/** `1m30s` in milliseconds. */
export function durationMsOf(text = ""): number {
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
  return Array.from(text.matchAll(/(\d+)(ms|s|m|h)/g)).reduce(
    (sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units],
    0,
  );
}

function serviceOffences(service: Service): string[] {
  const { image = "", build, healthcheck, restart, command, depends_on = {} } = service;
  return [
    ...(build === undefined && !PINNED.test(image) ? [`image "${image}" is not pinned`] : []),
    ...(healthcheck?.test[0] === "CMD" ? [] : ["has no health check without a shell"]),
    ...(restart === "unless-stopped" ? [] : ["is not started again"]),
    ...(typeof command === "string" ? ["has a command for a shell"] : []),
    ...(service.stop_grace_period === undefined ? ["has no grace period"] : []),
    ...Object.entries(depends_on)
      .filter(([, { condition }]) => condition !== "service_healthy")
      .map(([other]) => `does not wait until ${other} is healthy`),
    ...(service.ports ?? [])
      .filter((port) => !port.startsWith("127.0.0.1:"))
      .map((port) => `publishes ${port} to everybody`),
  ];
}

function volumesOf({ volumes = [] }: Service): string[] {
  return volumes.map((volume) => volume.split(":", 1).join()).filter((name) => !/^[./]/.test(name));
}

function unused(what: string, declared: readonly string[], used: ReadonlySet<string>): string[] {
  return declared
    .filter((name) => !used.has(name))
    .map((name) => `${what} ${name}: nobody uses it`);
}
