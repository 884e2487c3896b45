/** Places for what stays open at a gateway: event streams and sockets, each of them somebody's. */
import { CatgaError } from "../index.ts";
import type { GatewayLimits } from "./limits.ts";

type StreamLimits = Pick<GatewayLimits, "streamsMax" | "streamsPerIdentityMax">;

/** See the file's header. */
export class Places {
  readonly #limits: StreamLimits;
  readonly #subjects = new Map<string, number>();
  #taken = 0;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /**
   * Takes one; the result gives it back, and is called once.
   *
   * @throws {CatgaError} OVERLOADED
   */
  take(subject: string | undefined): () => void {
    const { streamsMax, streamsPerIdentityMax } = this.#limits;
    const before = subject === undefined ? 0 : (this.#subjects.get(subject) ?? 0);
    if (before >= streamsPerIdentityMax) throw full("streams of one identity", before);
    if (this.#taken >= streamsMax) throw full("streams", streamsMax);
    this.#taken++;
    if (subject !== undefined) this.#subjects.set(subject, before + 1);
    return () => this.#giveBack(subject);
  }

  #giveBack(subject: string | undefined): void {
    this.#taken--;
    if (subject === undefined) return;
    const left = (this.#subjects.get(subject) ?? 0) - 1;
    if (left > 0) this.#subjects.set(subject, left);
    else this.#subjects.delete(subject);
  }
}

function full(what: string, limit: number): CatgaError {
  return new CatgaError("OVERLOADED", { what, limit });
}
