/**
 * How many things are under way. What there is at one moment says little of a node whose heartbeats
 * are far apart; the mean over time says more, and is what those that come find on average, if they
 * come at random: so it takes no clock. Wolff, "Poisson Arrivals See Time Averages", 1982.
 */

/** See the file's header. */
export class InFlight {
  /** At this moment. */
  count = 0;
  #found = 0;
  #came = 0;

  /** One more has come. */
  begin(): void {
    this.#found += this.count++;
    this.#came++;
  }

  /** One is over. */
  end(): void {
    this.count--;
  }

  /** The mean since this was asked last; what there is now, if nothing came. */
  takeMean(): number {
    const mean = this.#came === 0 ? this.count : this.#found / this.#came;
    this.#found = 0;
    this.#came = 0;
    return mean;
  }
}
