/** What a node shows others, and whom it believes: PEM, as `node:tls` takes it. */
export interface Certificates {
  /** Of the authority that has signed the certificates of all nodes. */
  readonly ca: string | Uint8Array;
  /** The certificate of this node, for the host by which others call it. */
  readonly cert: string | Uint8Array;
  /** Its key. */
  readonly key: string | Uint8Array;
}
