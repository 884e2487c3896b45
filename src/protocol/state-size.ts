/** How large what is kept of an entity may be. */
import { CatgaError } from "../base/errors.ts";
import { entityKey } from "./ids.ts";

/** An entity with what is to be kept of it. */
interface Kept {
  readonly entity: string;
  readonly id: string;
  readonly data: string | undefined;
}

/**
 * Refuses all of `writes` when the data of one has more than `bytesMax` bytes of UTF-8.
 *
 * @throws {CatgaError} STATE_TOO_LARGE
 */
export function checkSizes(writes: readonly Kept[], bytesMax: number): void {
  for (const { entity: name, id, data = "" } of writes) {
    if (data.length * 3 <= bytesMax) continue;
    const bytes = new TextEncoder().encode(data).length;
    const entity = entityKey(name, id);
    if (bytes > bytesMax) throw new CatgaError("STATE_TOO_LARGE", { entity, bytes, bytesMax });
  }
}
