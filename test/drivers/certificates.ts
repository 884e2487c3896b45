/** Certificates of one test, made by openssl: one that signs itself, so it is its own authority. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "../../src/ports/certificates.ts";

/** The files of a certificate and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** The certificate of a node for localhost and 127.0.0.1, which is its own authority. */
export function ownCertificate(host = "IP:127.0.0.1"): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "catga-tls-"));
  const { cert, key } = makeCertificate(folder, host);
  const texts = { ca: readFileSync(cert, "utf8"), cert: readFileSync(cert, "utf8") };
  const certificates = { ...texts, key: readFileSync(key, "utf8") };
  rmSync(folder, { recursive: true });
  return certificates;
}

/** A certificate in `folder` for localhost and `hosts`, as openssl writes them. */
export function makeCertificate(folder: string, hosts: string): Certificate {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const what = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" ");
  const names = ["-subj", "/CN=localhost", "-addext", `subjectAltName=DNS:localhost,${hosts}`];
  const files = ["-keyout", key, "-out", cert];
  execFileSync("openssl", ["req", "-x509", ...what, ...names, ...files], { stdio: "ignore" });
  return { cert, key };
}

/** The configuration of a NATS server that shows `certificate`. */
export function natsWith({ cert, key }: Certificate): string {
  return `tls { cert_file: "${cert}", key_file: "${key}" }\n`;
}

/** The options of a Redis server that shows `certificate` on `port`, and asks for none. */
export function redisWith({ cert, key }: Certificate, port: number): string[] {
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
  return ["--tls-port", `${port}`, "--tls-auth-clients", "no", ...files];
}
