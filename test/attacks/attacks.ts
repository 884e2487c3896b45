/** All attacks over HTTP, in the order in which they are tried: the longest one comes last. */
import type { Attack } from "./attacker.ts";
import { BODIES } from "./bodies.ts";
import { BYTES } from "./bytes.ts";
import { CROWD } from "./crowds.ts";
import { MEMORY } from "./memory.ts";
import { NAMES } from "./names.ts";
import { REQUESTS } from "./requests.ts";
import { UNREAD } from "./streams.ts";

/** See the file's header. */
export const ATTACKS: readonly Attack[] = [
  ...REQUESTS,
  ...BYTES,
  ...BODIES,
  ...NAMES,
  MEMORY,
  UNREAD,
  CROWD,
];
