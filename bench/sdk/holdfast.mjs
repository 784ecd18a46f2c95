/**
 * A client of Holdfast: follows the state by snapshots and merge patches, and comes back after a cut.
 *
 *     join --> handshake, snapshot --> LIVE --drop--> (the SDK dials) --handshake--> resume, open intents --> LIVE
 *                                       `--a delta from elsewhere: a gap--> session.resume --> LIVE
 */
import { isDeepStrictEqual } from "node:util";

import { merge } from "./merge.mjs";
import { Player } from "./player.mjs";
import { deferred, within } from "./waiting.mjs";

/** How long the first snapshot, and the one at the end, may take. */
const SNAPSHOT_MS = 10_000;
/** No room ever gets there, so that a resume from it is answered with a snapshot. */
const FUTURE = 2 ** 53 - 1;

export class HoldfastPlayer extends Player {
  state;
  roomSeq = 0;
  #epoch = 0;
  #handshakes = 0;
  /** After a gap, until `session.resume` is answered: what is on its way fits nowhere. */
  #isLost = false;
  #snapshot = deferred();
  #isChecking = false;

  async join(sdk, name, seed) {
    const { roomId } = this.scene;
    const options = { protocolVersion: "1", resume: true };
    const joining = roomId ? sdk.joinById(roomId, options) : sdk.create(name, { ...options, seed });
    // In the same turn as the SDK's own: what it hears next must find someone.
    await joining.then((room) => this.enter(room));
    this.scene.roomId = this.room.roomId;
    await within(SNAPSHOT_MS, this.#snapshot.promise, "no snapshot came");
    this.course.begin(this.state, this.sessionId);
  }

  enter(room) {
    room.onMessage("event.state_delta", (change) => this.#hearState(change));
    room.onMessage("event.degraded", ({ dependency, status }) => {
      if (status !== "recovered") this.records.error(`${dependency} ${status}`);
    });
    super.enter(room);
  }

  /** Whether all is answered, and the state covers all that was acked in the room. */
  get isSettled() {
    return this.hasEnded || (this.isLive && this.open.size === 0 && this.roomSeq >= this.scene.end);
  }

  /** Its state must be that of a fresh snapshot, and lead where its acks do. */
  async check() {
    const { records } = this;
    const uncovered = this.acked.filter((roomSeq) => roomSeq > this.roomSeq).length;
    records.lost += uncovered;
    if (uncovered > 0) this.wrong(`${uncovered} of its acks lie beyond roomSeq ${this.roomSeq}, the last it saw`);
    if (this.hasEnded) return;
    this.checkCourse(this.state);
    this.#isChecking = true;
    this.#snapshot = deferred();
    this.room.send("session.resume", { roomSeq: FUTURE, epoch: this.#epoch, seq: this.answered });
    const fresh = await within(SNAPSHOT_MS, this.#snapshot.promise, "no snapshot came").catch(() => undefined);
    if (fresh?.roomSeq === this.roomSeq && isDeepStrictEqual(fresh.state, this.state)) return;
    records.diverged += 1;
    const found = fresh === undefined ? "there is no snapshot" : `the snapshot at ${fresh.roomSeq} is another`;
    this.wrong(`its state at roomSeq ${this.roomSeq} is not the server's: ${found}`);
  }

  // -- what it hears ------------------------------------------------------------------------------------------------

  hearAck(ack) {
    if (ack.kind === "intent") super.hearAck(ack);
    else if (ack.kind === "resume") this.#isLost = false;
    else this.#hearHandshake();
  }

  #hearHandshake() {
    this.#handshakes += 1;
    this.isLive = true;
    if (this.#handshakes === 1) return;
    this.#resume();
    this.askAgain();
  }

  #hearState(change) {
    if (change.kind === "snapshot") this.#hearSnapshot(change);
    else if (change.kind === "delta" && !this.#isLost) this.#hearDelta(change);
  }

  #hearSnapshot(snapshot) {
    if (!this.#isChecking) {
      this.state = snapshot.state;
      this.#standAt(snapshot);
    }
    this.#snapshot.resolve(snapshot);
  }

  #hearDelta(delta) {
    if (delta.baseSeq !== this.roomSeq) {
      this.records.gaps += 1;
      this.wrong(`a delta from roomSeq ${delta.baseSeq} came at ${this.roomSeq}`);
      this.#isLost = true;
      this.#resume();
      return;
    }
    for (const patch of delta.patches) this.state = merge(this.state, patch);
    this.#standAt(delta);
  }

  #standAt({ roomSeq, epoch }) {
    if (roomSeq < this.roomSeq || epoch < this.#epoch) {
      this.records.gaps += 1;
      this.wrong(`went back from roomSeq ${this.roomSeq} in epoch ${this.#epoch} to ${roomSeq} in ${epoch}`);
    }
    const from = this.roomSeq;
    this.roomSeq = roomSeq;
    this.#epoch = epoch;
    if (from > 0) this.scene.stood(this, from, roomSeq, performance.now());
  }

  #resume() {
    this.room.send("session.resume", { roomSeq: this.roomSeq, epoch: this.#epoch, seq: this.answered });
  }
}
