/** The driver of a fixed list of nodes: direct links, fixed placement, no take-over, no broker. */
import type { Driver } from "../../ports/driver.ts";
import { FixedAuthority } from "./authority.ts";
import type { Member } from "./list.ts";

/** The nodes of `list`, which is the same everywhere; see `ClusterOptions.nodes`. */
export function fixed(list: readonly Member[]): Driver {
  return {
    name: "fixed",
    async connect(context) {
      const authority = new FixedAuthority(context, list);
      return { authority, link: authority.link, isFixed: true };
    },
  };
}
