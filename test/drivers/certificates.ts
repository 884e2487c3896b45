/** Certificates of one test, made by openssl: one that signs itself, so it is its own authority. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { temporaryFolder } from "./folders.ts";

/** The files of a certificate and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate for localhost, 127.0.0.1 and `more` addresses; its files go with the test. */
export function certificateFor(...more: readonly string[]): Certificate {
  const folder = temporaryFolder("tls");
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const addresses = ["127.0.0.1", ...more].map((address) => `,IP:${address}`).join("");
  const what = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" ");
  const names = ["-subj", "/CN=localhost", "-addext", `subjectAltName=DNS:localhost${addresses}`];
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
