/**
 * The floors of local messages: the least code that gives every key a queue and runs one message of
 * a key at a time. No identity checks, no limits, no deadlines, no copies, no node around it.
 */

/** What is sent; every call makes its own, as every call to an entity does. */
export interface Deposit {
  readonly type: string;
  readonly amount: number;
}

interface Account {
  balance: number;
}

interface Job {
  readonly message: Deposit;
  readonly resolve: (value: number) => void;
  readonly reject: (error: unknown) => void;
}

interface Mailbox extends Account {
  readonly queue: Job[];
  busy: boolean;
}

interface OneWayMailbox extends Account {
  readonly queue: Deposit[];
  busy: boolean;
}

async function deposit(account: Account, { amount }: Deposit): Promise<number> {
  return (account.balance += amount);
}

function depositNow(account: Account, { amount }: Deposit): number {
  return (account.balance += amount);
}

/** Map, queue, async handler, a promise per call: the floor of `send`. */
export class AsyncMailboxes {
  readonly #mailboxes = new Map<string, Mailbox>();

  send(key: string, message: Deposit): Promise<number> {
    let mailbox = this.#mailboxes.get(key);
    if (mailbox === undefined) {
      this.#mailboxes.set(key, (mailbox = { queue: [], busy: false, balance: 0 }));
    }
    const { queue, busy } = mailbox;
    return new Promise((resolve, reject) => {
      queue.push({ message, resolve, reject });
      if (!busy) this.#drain(mailbox).catch(reject);
    });
  }

  async #drain(mailbox: Mailbox): Promise<void> {
    mailbox.busy = true;
    for (let job = mailbox.queue.shift(); job !== undefined; job = mailbox.queue.shift()) {
      try {
        job.resolve(await deposit(mailbox, job.message));
      } catch (error) {
        job.reject(error);
      }
    }
    mailbox.busy = false;
  }
}

/** The same when a handler that returns no promise may run at once: nothing is ever queued. */
export class SyncMailboxes {
  readonly #mailboxes = new Map<string, Mailbox>();

  send(key: string, message: Deposit): Promise<number> {
    let mailbox = this.#mailboxes.get(key);
    if (mailbox === undefined) {
      this.#mailboxes.set(key, (mailbox = { queue: [], busy: false, balance: 0 }));
    }
    if (mailbox.busy) return Promise.reject(new Error("Cannot happen: the handler is synchronous"));
    mailbox.busy = true;
    const balance = depositNow(mailbox, message);
    mailbox.busy = false;
    return Promise.resolve(balance);
  }
}

/** Map, queue, async handler, and nobody who hears of the end: the floor of `tell`. */
export class OneWayMailboxes {
  /** Messages whose handler has ended. */
  handled = 0;
  readonly #mailboxes = new Map<string, OneWayMailbox>();
  readonly #failed: (error: unknown) => void;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  tell(key: string, message: Deposit): void {
    let mailbox = this.#mailboxes.get(key);
    if (mailbox === undefined) {
      this.#mailboxes.set(key, (mailbox = { queue: [], busy: false, balance: 0 }));
    }
    mailbox.queue.push(message);
    if (!mailbox.busy) this.#drain(mailbox).catch(this.#failed);
  }

  async #drain(mailbox: OneWayMailbox): Promise<void> {
    mailbox.busy = true;
    for (let job = mailbox.queue.shift(); job !== undefined; job = mailbox.queue.shift()) {
      await deposit(mailbox, job);
      this.handled++;
    }
    mailbox.busy = false;
  }
}
