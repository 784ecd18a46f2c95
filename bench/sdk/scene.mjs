/** A scene: the clients of one room, all in this process, so that what one did and another saw can be told together. */
export class Scene {
  roomId = "";
  players = [];
  /** The highest roomSeq that anybody here was told. */
  end = 0;
  /** By roomSeq: whose intent was acked there, and when it was due. */
  #acked = new Map();
  /** By roomSeq: when its witness saw it, where that was before its ack. */
  #early = new Map();

  constructor(records) {
    this.records = records;
  }

  /** The player whom this one watches, where the state does not tell who did what: the next, in a ring. */
  after(player) {
    return this.players[(this.players.indexOf(player) + 1) % this.players.length];
  }

  /** An ack at `roomSeq`; whose it was already, if anybody's. */
  acked(roomSeq, player, due) {
    const before = this.#acked.get(roomSeq);
    if (before !== undefined) return before.player;
    this.#acked.set(roomSeq, { player, due });
    this.end = Math.max(this.end, roomSeq);
    const seenAt = this.#early.get(roomSeq);
    if (seenAt !== undefined) this.#saw(roomSeq, seenAt);
    return undefined;
  }

  /**
   * The state of `player` has gone from one roomSeq to another. Each roomSeq has one witness, in turns, so that a large
   * room does not weigh its square; its own actor bears no witness.
   */
  stood(player, from, to, now) {
    const { length } = this.players;
    const place = this.players.indexOf(player);
    const first = from + 1 + ((((place - from - 1) % length) + length) % length);
    for (let roomSeq = first; roomSeq <= to; roomSeq += length) {
      if (this.#acked.has(roomSeq)) this.#saw(roomSeq, now);
      else this.#early.set(roomSeq, now);
    }
  }

  #saw(roomSeq, at) {
    const { player, due } = this.#acked.get(roomSeq);
    if (this.players[roomSeq % this.players.length] !== player) this.records.seen(due, at);
  }
}
