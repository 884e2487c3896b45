/**
 * The connection of one node to the broker: of its authority and its link, or of its store.
 *
 * The client throws away what is published while it is disconnected, and says nothing: the
 * authority takes no changes then, what the store has asked for counts as lost, and what the link
 * loses is sent again when it is up.
 */
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../../base/clock.ts";

/** See the file's header. */
export interface Connection {
  readonly client: NatsConnection;
  /** True when this driver has opened the client, and so closes it. */
  readonly isOwn: boolean;
  readonly clock: Clock;
  /** For errors. */
  readonly address: string;
}

/** Who hears of the connection's ups and downs. No method may throw. */
export interface ConnectionListener {
  /** It is there again; subscriptions have been made anew, messages in between are lost. */
  up(): void;
  down?(): void;
  /** It was closed, perhaps not by this driver. */
  closed?(): void;
}

/** Tells `listener` of the ups and downs from now on. */
export function watch({ client }: Connection, listener: ConnectionListener): void {
  const statuses = client.status();
  const watching = async (): Promise<void> => {
    for await (const { type } of statuses) {
      if (type === "disconnect") listener.down?.();
      if (type === "reconnect") listener.up();
    }
  };
  const end = (): void => listener.closed?.();
  watching().then(end, end);
}

/** Calls `receive` with every message of `subject`; the result ends that. */
export function subscribe(
  { client }: Connection,
  subject: string,
  receive: (message: Msg) => void,
): () => void {
  const callback = (error: Error | null, message: Msg): void => {
    if (error === null) receive(message);
  };
  const subscription = client.subscribe(subject, { callback });
  return () => {
    if (!client.isClosed()) subscription.unsubscribe();
  };
}

/** What `work` comes to, or a rejection once `limitMs` have passed. */
export function within<T>({ clock }: Connection, limitMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = new Error(`the broker did not answer within ${limitMs} ms`);
    const cancel = clock.after(limitMs, () => reject(late));
    work.then(resolve, reject).finally(cancel);
  });
}
