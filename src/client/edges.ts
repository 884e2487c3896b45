/** The edges of one cluster: all are as good, and one that does not serve is left for the next. */
import type { Random } from "../base/random.ts";

/** See the file's header. Clients begin at any of them, so that all have work. */
export class Edges {
  readonly #urls: readonly string[];
  #at: number;

  /** @throws {TypeError} when there is none, or one is no URL of HTTP */
  constructor(urls: readonly string[], random: Random) {
    if (urls.length === 0) throw new TypeError("Cannot make a client: name the url of an edge");
    this.#urls = urls.map(baseOf);
    this.#at = Math.floor(random.fraction() * urls.length);
  }

  /** Where the next request goes; without a slash at the end. */
  get current(): string {
    return this.#urls[this.#at]!;
  }

  get count(): number {
    return this.#urls.length;
  }

  /** Goes on to the next one, unless another request has done so already. */
  leave(url: string): void {
    if (url === this.current) this.#at = (this.#at + 1) % this.#urls.length;
  }
}

function baseOf(url: string): string {
  // A page may leave out its own origin.
  const { location } = globalThis as { readonly location?: { readonly href: string } };
  const { protocol, origin, pathname, username, search, hash } = new URL(url, location?.href);
  if (/^https?:$/.test(protocol) && username + search + hash === "") {
    return (origin + pathname).replace(/\/+$/, "");
  }
  throw new TypeError(`Cannot use the url "${url}": write http(s)://host, a path at most after it`);
}
