/**
 * How names become subjects. Whatever stands in a name, it ends up as one token of a subject, or as
 * several that were checked: no name reaches a subject that is not its own.
 */
import { createHash } from "node:crypto";

/** What a cluster is called at the broker. */
export interface Names {
  /** The stream that carries the bucket. */
  readonly stream: string;
  readonly bucket: string;
  /** The subjects of all nodes begin with it. */
  readonly nodes: string;
  /** The subjects under which the bucket's changes are told begin with it. */
  readonly feed: string;
}

/** Tokens of subjects are cut off by servers when their line grows beyond 4,096 bytes. */
const KEY_CHARS_MAX = 200;
const PLAIN_KEY = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;

/** The names of a cluster; no two prefixes and clusters share one. */
export function namesOf(prefix: string, cluster: string): Names {
  const bucket = `${prefix}_${token(cluster)}`;
  const base = `${prefix}.${token(cluster)}`;
  return { bucket, stream: `KV_${bucket}`, nodes: `${base}.n.`, feed: `${base}.kv.` };
}

/** The buckets of a cluster's store; no token ends in such a word, so no cluster has them. */
export function storeBucketsOf(
  prefix: string,
  cluster: string,
): { readonly records: string; readonly reminders: string; readonly deletions: string } {
  const base = `${prefix}_${token(cluster)}`;
  return { records: `${base}_store`, reminders: `${base}_due`, deletions: `${base}_gone` };
}

/** `text` as one token: letters, digits and `-` as they are, all else by its code unit. */
export function token(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9-]/g, (char) => `_${char.charCodeAt(0).toString(16)}_`);
}

/** The text of a {@link token}. */
export function textOf(written: string): string {
  return written.replaceAll(/_([0-9a-f]+)_/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/**
 * The key of the bucket for a record's key: itself where that is legal, else its hash (the record
 * carries its key). The generation stands before it, so that a write meant for another bucket of
 * this name, which somebody has deleted, meets no record of this one.
 */
export function bucketKey(generation: number, key: string): string {
  const isPlain = key.length <= KEY_CHARS_MAX && PLAIN_KEY.test(key);
  if (isPlain) return `${generation}.${key}`;
  // JSON keeps what UTF-8 would not: halves of surrogate pairs.
  const digest = createHash("sha256").update(JSON.stringify(key)).digest("hex");
  return `${generation}.=${digest}`;
}
