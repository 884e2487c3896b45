/**
 * The link: frames from node to node. It may lose, double and reorder them; order and repair are
 * the business of the streams above it.
 */

/** A node as the link addresses it: its incarnation, and the address of its session record. */
export interface LinkPeer {
  readonly incarnation: string;
  readonly address: string;
}

/** Where a link reports to. No method may throw. */
export interface LinkListener {
  /**
   * A whole frame from node `from`. The bytes belong to the listener from here on. `false` says
   * that the frame makes no sense: a link with connections drops the one it came by.
   */
  received(from: string, frame: Uint8Array): boolean;
  /** A connection to `to` is there anew: what was sent before may be lost. */
  connected(to: string): void;
}

/** See the file's header. */
export interface Link {
  /** Starts to receive as `incarnation`; resolves to the address under which others reach it. */
  open(incarnation: string, listener: LinkListener): Promise<string>;
  /**
   * Sends `frame` to `to`; never blocks, never throws, never reports a loss. Frames arrive whole or
   * not at all. `frame` must not be changed afterwards.
   */
  send(to: LinkPeer, frame: Uint8Array): void;
  /** Forgets a node that will not come back. */
  forget(incarnation: string): void;
  /** Sends what is under way and closes. Twice is fine. */
  close(): Promise<void>;
}
