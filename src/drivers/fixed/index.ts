/** The driver of a fixed list of nodes: direct links, fixed placement, no take-over, no broker. */
import type { Certificates } from "../../ports/certificates.ts";
import type { Driver } from "../../ports/driver.ts";
import { sayExposure } from "../tcp/exposure.ts";
import { checkCertificates } from "../tcp/certificates.ts";
import { FixedAuthority } from "./authority.ts";
import type { Member } from "./list.ts";

const REMEDY = "give each node certificates by the option tls, or keep it to a private network";

/**
 * The nodes of `list`, which is the same everywhere; see `ClusterOptions.nodes`.
 *
 * @throws {TypeError} for certificates that are none.
 */
export function fixed(list: readonly Member[], tls?: Certificates): Driver {
  checkCertificates(tls);
  return {
    name: "fixed",
    async connect(context) {
      const address = `The list ${list.map((member) => member.address).join(", ")}`;
      const exposure = { address, hosts: list.map(({ host }) => host), hasLogin: true };
      await sayExposure({ ...exposure, hasTls: tls !== undefined }, context.unsafe, REMEDY);
      const authority = new FixedAuthority(context, list, tls);
      return { authority, link: authority.link, isFixed: true };
    },
  };
}
