/** A client of event streams, as a browser has one, without coming again by itself. */

/** One event; a comment has no name. */
export interface Came {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: unknown;
}

/** See the file's header. */
export class Source {
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #abort: AbortController;
  readonly status: number;
  #text = "";

  private constructor(response: Response, abort: AbortController) {
    this.status = response.status;
    this.#abort = abort;
    this.#reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Opens one; it must be one. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<Source> {
    const abort = new AbortController();
    const response = await fetch(url, { headers, signal: abort.signal });
    if (response.headers.get("Content-Type") !== "text/event-stream") {
      throw new Error(`no event stream: ${response.status} ${await response.text()}`);
    }
    return new Source(response, abort);
  }

  /** The next event; comments and the time to come again are left out. `undefined` at the end. */
  async next(): Promise<Came | undefined> {
    for (;;) {
      const block = await this.#block();
      if (block === undefined) return undefined;
      const lines = new Map(
        block.split("\n").map((line): [string, string] => {
          const at = line.indexOf(":");
          return [line.slice(0, at), line.slice(at + 2)];
        }),
      );
      const event = lines.get("event");
      if (event === undefined) continue;
      return { event, id: lines.get("id"), data: JSON.parse(lines.get("data") ?? "null") };
    }
  }

  /** The next `count` of them. */
  async take(count: number): Promise<Came[]> {
    const came: Came[] = [];
    while (came.length < count) {
      const next = await this.next();
      if (next === undefined) throw new Error(`the stream ended after ${came.length} events`);
      came.push(next);
    }
    return came;
  }

  /** Hangs up. */
  close(): void {
    this.#abort.abort();
  }

  async #block(): Promise<string | undefined> {
    while (!this.#text.includes("\n\n")) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
    const at = this.#text.indexOf("\n\n");
    const block = this.#text.slice(0, at);
    this.#text = this.#text.slice(at + 2);
    return block;
  }
}
