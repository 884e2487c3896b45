/** Which entity types live together: a node belongs to the group of exactly its own. */
import { CatgaError } from "../base/errors.ts";
import { namesShown } from "../protocol/ids.ts";
import type { GroupsRecord } from "../protocol/records.ts";

/**
 * The group of the entity types `ours`, sorted, and the record that has it: `known` if that does.
 *
 * @throws {CatgaError} ENTITY_SETS_DIFFER when one that overlaps with them has live nodes
 */
export function groupOf(
  known: GroupsRecord,
  ours: readonly string[],
  isHosted: (group: string) => boolean,
): { readonly group: string; readonly record: GroupsRecord } {
  const others: [string, readonly string[]][] = [];
  for (const [group, names] of Object.entries(known.groups)) {
    if (names.join() === ours.join()) return { group, record: known };
    const overlaps = names.some((name) => ours.includes(name));
    if (!overlaps) others.push([group, names]);
    else if (isHosted(group)) {
      const details = { ours: namesShown(ours), theirs: namesShown(names) };
      throw new CatgaError("ENTITY_SETS_DIFFER", details);
    }
  }
  const group = ours[0]!;
  return { group, record: { groups: { ...Object.fromEntries(others), [group]: ours } } };
}
