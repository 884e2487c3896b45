/**
 * Who may import whom. Imports point down the floors; three places are held tighter: a driver sees
 * the ports and what lies below them but no other driver (`drivers/tcp` and `drivers/broker` are
 * none: they are what those without a broker share, and what stores at one do), the HTTP edge sees
 * the public door alone, which proves that the door is enough, and a package is imported only where
 * it is at home.
 */
import { posix } from "node:path";
import type { Check, SourceFile } from "./source.ts";

const FLOORS = [
  ["base"],
  ["protocol"],
  ["ports"],
  ["ownership", "drivers"],
  ["runtime"],
  ["mediator"],
  ["api"],
  ["index.ts"],
  ["backup", "http", "client", "contract", "otel", "testing"],
  ["cli"],
];

const TIGHTER: Readonly<Record<string, readonly string[]>> = {
  ownership: ["base", "protocol", "ports"],
  drivers: ["base", "protocol", "ports"],
  http: ["index.ts"],
  // Not the door: what it declares needs the types of a runtime, which a page has not.
  client: ["base", "mediator", "api"],
  contract: ["api"],
  otel: ["index.ts"],
};

const SHARED = ["drivers/tcp", "drivers/broker"];

const HOMES: Readonly<Record<string, string | readonly string[]>> = {
  "@hono/node-server": "http",
  "@nats-io/jetstream": "drivers/nats",
  "@nats-io/transport-node": "drivers/nats",
  "eventsource-parser": "client",
  "@opentelemetry/api": "otel",
  hono: "http",
  "js-xxhash": "base",
  denque: "runtime",
  ioredis: "drivers/redis",
  "lru-cache": ["http", "runtime"],
  "prom-client": ["http"],
  devalue: "runtime",
  ws: "http",
};

interface Import {
  readonly file: SourceFile;
  /** As written. */
  readonly specifier: string;
  /** The imported path of the tree; undefined for packages and `node:` modules. */
  readonly target: string | undefined;
}

/** Imports of a higher floor, and folders that stand on no floor. */
export const importsPointDown: Check = (files) => {
  const lost = files
    .filter((file) => floorOf(file.path) === -1)
    .map((file) => `${file.path}: stands on no floor`);
  const upward = inner(files)
    .filter(({ file, target }) => floorOf(target) > floorOf(file.path))
    .map(({ file, target }) => `${file.path}: imports up from ${target}`);
  return [...lost, ...upward];
};

/** Imports across the tighter borders: between drivers, or from the edge past the public door. */
export const bordersHold: Check = (files) =>
  inner(files)
    .filter(({ file, target }) => {
      const allowed = TIGHTER[folderOf(file.path)];
      if (allowed === undefined || homeOf(file.path) === homeOf(target)) return false;
      return !allowed.includes(folderOf(target)) && !SHARED.includes(homeOf(target));
    })
    .map(({ file, target }) => `${file.path}: must not import ${target}`);

/** Packages that are imported away from their home, or that have none. */
export const packagesStayHome: Check = (files) =>
  files.flatMap(importsOf).flatMap(({ file, specifier, target }) => {
    if (target !== undefined || specifier.startsWith("node:")) return [];
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    const homes = [HOMES[name] ?? []].flat();
    if (homes.some((home) => file.path.startsWith(home))) return [];
    return [`${file.path}: must not import the package ${name}`];
  });

/** Imports that lead back to where they started, types included. */
export const noCycles: Check = (files) => {
  const links = inner(files);
  const finished = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push(`${[...trail.slice(trail.indexOf(path)), path].join(" → ")}: is a cycle`);
    } else if (!finished.has(path)) {
      for (const { file, target } of links) if (file.path === path) visit(target, [...trail, path]);
      finished.add(path);
    }
  };
  for (const file of files) visit(file.path, []);
  return found;
};

/** Files that hand on what they do not define and are no door (`index.ts`), and doors with `*`. */
export const onlyDoorsReexport: Check = (files) =>
  files.flatMap(({ path, code }) => {
    const isDoor = posix.basename(path) === "index.ts";
    const pattern = isDoor ? /^export (?:type )?\*/m : /^export (?:type )?[{*]/m;
    return pattern.test(code) ? [`${path}: re-exports`] : [];
  });

function importsOf(file: SourceFile): Import[] {
  const written = file.bare.matchAll(/(?<!")\b(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return Array.from(written, ([, specifier = ""]) => {
    const isInner = specifier.startsWith(".");
    const target = isInner ? posix.join(posix.dirname(file.path), specifier) : undefined;
    return { file, specifier, target };
  });
}

function inner(files: readonly SourceFile[]): (Import & { readonly target: string })[] {
  return files
    .flatMap(importsOf)
    .flatMap((link) => (link.target === undefined ? [] : [{ ...link, target: link.target }]));
}

function folderOf(path: string): string {
  return path.split("/", 1).join();
}

/** The folder, and for drivers the driver: each of them is a house of its own. */
function homeOf(path: string): string {
  return path.split("/", folderOf(path) === "drivers" ? 2 : 1).join("/");
}

function floorOf(path: string): number {
  return FLOORS.findIndex((floor) => floor.includes(folderOf(path)));
}
