/** Certificates of one test as files, which go with it. */
import { type Certificate, makeCertificate } from "./certificates.ts";
import { temporaryFolder } from "./folders.ts";

/** A certificate for localhost, 127.0.0.1 and `more` addresses. */
export function certificateFor(...more: readonly string[]): Certificate {
  const hosts = ["127.0.0.1", ...more].map((address) => `IP:${address}`).join();
  return makeCertificate(temporaryFolder("tls"), hosts);
}
