/**
 * Courses: what a client asks for, and where that must have led in the end.
 *
 *     next() --ack--> applied()          the body of the next intent, always legal
 *        `---reject--> refused()
 *     problem(state, sessionId)          what the final state says against the acks, in words; undefined if nothing
 */

import { createHash } from "node:crypto";

/** From 0 to 1, the same numbers for the same seed: xorshift32, which needs seeds that are far from each other. */
export function randomOf(seed) {
  let x = createHash("sha256").update(String(seed)).digest().readInt32LE() || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/**
 * From tile to tile of the nine around the spawn tile, which are always open. Every step goes somewhere else, so one
 * that is missing from the final state, or in it twice, leaves the character on the wrong tile for good.
 */
class Walk {
  static type = "intent.move";
  /** Where the steps asked for lead, and those that were acked, both from the spawn tile. */
  #asked = { x: 0, y: 0 };
  #acked = { x: 0, y: 0 };

  constructor(random) {
    this.random = random;
  }

  begin(state, sessionId) {
    const { x, y } = stateOf(state, sessionId);
    this.from = { x, y };
  }

  /** The tile on which all steps asked for so far end. */
  get leadsTo() {
    return after(this.from, { dx: this.#asked.x, dy: this.#asked.y }, 1);
  }

  next() {
    const { x, y } = this.#asked;
    const ways = STEPS.filter(({ dx, dy }) => Math.abs(x + dx) <= 1 && Math.abs(y + dy) <= 1);
    // Rejects may have left it outside.
    const step = ways[Math.floor(this.random() * ways.length)] ?? { dx: -Math.sign(x), dy: -Math.sign(y) };
    this.#asked = after(this.#asked, step, 1);
    return { ...step };
  }

  applied(step) {
    this.#acked = after(this.#acked, step, 1);
  }

  refused(step) {
    this.#asked = after(this.#asked, step, -1);
  }

  problem(state, sessionId) {
    const { x, y } = stateOf(state, sessionId);
    const should = after(this.from, { dx: this.#acked.x, dy: this.#acked.y }, 1);
    if (x === should.x && y === should.y) return undefined;
    return `stands at ${x},${y} in the final state, and its acks lead to ${should.x},${should.y}`;
  }
}

const STEPS = [-1, 0, 1].flatMap((dx) => [-1, 0, 1].map((dy) => ({ dx, dy }))).filter(({ dx, dy }) => dx || dy);
const after = ({ x, y }, { dx, dy }, sign) => ({ x: x + sign * dx, y: y + sign * dy });

/** Its own entry of the players: a plain object of ours, or a map of a Colyseus schema. */
const stateOf = ({ players }, sessionId) => players.get?.(sessionId) ?? players[sessionId] ?? {};

/** Additions to the `counter`. */
class Sum {
  static type = "intent.add";
  #acked = 0;

  constructor(random) {
    this.random = random;
  }

  begin() {}

  next() {
    return { amount: 1 + Math.floor(this.random() * 9) };
  }

  applied({ amount }) {
    this.#acked += amount;
  }

  refused() {}

  problem({ added }, sessionId) {
    const found = added[sessionId] ?? 0;
    return found === this.#acked ? undefined : `has added ${found} in the final state, and its acks say ${this.#acked}`;
  }
}

export const COURSES = { game: Walk, counter: Sum };
