/** One session's intents: each number has exactly one outcome, and no more of them come than the rate allows. */

/** Intents a second; twice as many may come at once. */
export const RATE = Number(process.env.INTENT_RATE ?? 20);
const BURST = 2 * RATE;
const OUTCOMES_MAX = 512;

export class Session {
  /** The highest number that has an outcome. */
  last = 0;
  /** The last outcomes by number, in a ring: the roomSeq at which it was applied, or the reject. */
  #outcomes = [];
  #tokens = BURST;
  #at = performance.now();

  /** undefined for one that is no longer remembered */
  outcomeOf(seq) {
    return seq > this.last - OUTCOMES_MAX ? this.#outcomes[seq % OUTCOMES_MAX] : undefined;
  }

  settle(seq, outcome) {
    this.last = seq;
    this.#outcomes[seq % OUTCOMES_MAX] = outcome;
  }

  takeToken() {
    const now = performance.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#at) * RATE) / 1000);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
