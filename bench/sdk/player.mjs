/**
 * A player: one client of the official SDK, and the book it keeps of its intents.
 *
 *     asked --ack--> applied (or duplicate: asked again after a reconnect)
 *       `---reject--> refused            a second outcome of the same number is wrong, and so is an ack out of order
 *
 * What a server's state is made of, and how a client follows it, is the affair of `holdfast.mjs` and `colyseus.mjs`.
 */

import { within } from "./waiting.mjs";

/** How long a room.leave() may take. */
const LEAVE_MS = 2_000;

export class Player {
  /** The SDK's room. */
  room;
  sessionId = "";
  /** By number: asked and without an outcome, with when it was due. */
  open = new Map();
  /** The roomSeqs of its acks, as they came. */
  acked = [];
  /** The highest number with an outcome. */
  answered = 0;
  /** Whether what is said now is heard. */
  isLive = false;
  hasEnded = false;
  #asked = 0;
  #outcomes = new Map();
  #lastAcked = 0;

  constructor(scene, course, records) {
    this.scene = scene;
    this.course = course;
    this.records = records;
    scene.players.push(this);
  }

  /** Follows the SDK's room from now on; called in the turn in which the SDK gave it. */
  enter(room) {
    this.room = room;
    this.sessionId = room.sessionId;
    this.#countBytes(room.connection);
    room.onMessage("event.ack", (ack) => this.hearAck(ack));
    room.onMessage("event.reject", (reject) => this.#hearReject(reject));
    // A peer's messages that say nothing to these checks.
    room.onMessage("*", () => {});
    // A dial that fails has no code.
    room.onError((code) => this.records.error(code === undefined ? "failed dials" : `error ${code}`));
    room.onDrop((code) => this.#dropped(code));
    room.onReconnect(() => {
      this.records.reconnects += 1;
    });
    room.onLeave((code, reason) => this.#left(code, reason));
    // Else a drop within five seconds of the join is final.
    room.reconnection.minUptime = 0;
  }

  /** The next intent, due at `due`, from where its latency counts. Goes out now, or when the connection is back. */
  ask(due) {
    const seq = ++this.#asked;
    const intent = { due, body: this.course.next(), sends: 0 };
    this.open.set(seq, intent);
    this.records.asked(due, performance.now());
    this.onAsked(intent);
    if (this.isLive) this.#transmit(seq, intent);
  }

  /** All that has no outcome goes out again, in order. */
  askAgain() {
    for (const [seq, intent] of this.open) this.#transmit(seq, intent);
  }

  /** How many of those due from `from` on have no outcome. */
  openSince(from) {
    return [...this.open.values()].filter(({ due }) => due >= from).length;
  }

  async leave() {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.isLive = false;
    await within(LEAVE_MS, this.room.leave(), "no answer to its leave").catch(({ message }) => this.wrong(message));
  }

  wrong(words) {
    this.records.problem(`session ${this.sessionId}: ${words}`);
  }

  /** What the final state says against this client's acks. */
  checkCourse(state) {
    // Whatever has no outcome may have been applied, or not; that it has none is told elsewhere.
    if (this.open.size > 0) return;
    const problem = this.course.problem(state, this.sessionId);
    if (problem === undefined) return;
    this.records.lost += 1;
    this.wrong(problem);
  }

  // -- what it hears ------------------------------------------------------------------------------------------------

  hearAck({ seq, roomSeq, status }) {
    const now = performance.now();
    const intent = this.#settle(seq, roomSeq, status);
    if (intent === undefined) return;
    const { records, scene } = this;
    if (status === "duplicate" && intent.sends === 1) {
      records.doubled += 1;
      this.wrong(`intent ${seq} was sent once, and its ack says ${status}`);
    }
    this.course.applied(intent.body);
    records.acked(intent.due, now, status === "duplicate");
    records.acks.push([scene.roomId, roomSeq, this.sessionId, seq]);
    const before = this.acked.at(-1) ?? 0;
    if (seq <= this.#lastAcked || roomSeq <= before) {
      records.gaps += 1;
      this.wrong(`intent ${seq} was acked at roomSeq ${roomSeq} after intent ${this.#lastAcked} at ${before}`);
    }
    this.#lastAcked = seq;
    this.acked.push(roomSeq);
    const other = scene.acked(roomSeq, this, intent.due);
    if (other !== undefined) {
      records.doubled += 1;
      this.wrong(`intent ${seq} was acked at roomSeq ${roomSeq}, where one of session ${other.sessionId} was`);
    }
  }

  #hearReject({ seq, code, message }) {
    if (seq === null) return this.wrong(`an intent was not understood: ${message}`);
    // It consumes nothing: the outcome is still to come.
    if (code === "gap") return this.records.error("gap");
    const intent = this.#settle(seq, code, code);
    if (intent === undefined) return undefined;
    this.course.refused(intent.body);
    this.onRefused();
    return this.records.rejected(intent.due, performance.now(), code);
  }

  /** The open intent of this number, which is no longer; undefined, and mostly wrong, if there is none. */
  #settle(seq, outcome, status) {
    const intent = this.open.get(seq);
    this.answered = Math.max(this.answered, seq);
    if (intent !== undefined) {
      this.open.delete(seq);
      this.#outcomes.set(seq, outcome);
      return intent;
    }
    this.records.doubled += 1;
    this.wrong(`intent ${seq} got ${outcome} (${status}), and it had ${this.#outcomes.get(seq) ?? "never been asked"}`);
    return undefined;
  }

  #dropped(code) {
    // The SDK tells each dial that fails as another drop.
    if (this.isLive) this.records.error(`closed ${code}`);
    this.isLive = false;
  }

  #left(code, reason) {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.isLive = false;
    this.records.error(`closed ${code}`);
    this.wrong(`closed for good with ${code}: ${reason}`);
  }

  // -- inside -------------------------------------------------------------------------------------------------------

  /** For the dialects: an intent of its own was asked for; it was refused. */
  onAsked() {}

  onRefused() {}

  #transmit(seq, intent) {
    // What is sent while its socket closes the SDK keeps for the next one, where all that is open goes out anyway.
    if (!this.room.connection.isOpen) return;
    intent.sends += 1;
    this.room.send(this.course.constructor.type, { seq, ...intent.body });
  }

  /** Payloads of WebSocket frames: neither SDK nor `ws` count them. */
  #countBytes(connection) {
    const { onmessage } = connection.events;
    const send = connection.send.bind(connection);
    connection.events.onmessage = (event) => {
      this.records.frameIn(event.data.byteLength, performance.now());
      onmessage(event);
    };
    connection.send = (bytes) => {
      this.records.frameOut(bytes.byteLength, performance.now());
      send(bytes);
    };
  }
}
