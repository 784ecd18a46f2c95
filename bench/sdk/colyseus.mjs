/**
 * A client of a Colyseus server of the same game: the SDK itself keeps the state, by its schema.
 *
 * No patch says which actions it shows. So each client watches one other of its room: what that one asked for has been
 * seen when it stands where that leads. Of two steps to the same tile within one patch the first counts as seen, the
 * other with the next change: a latency may be told too long, never too short.
 */
import { isDeepStrictEqual } from "node:util";

import { Player } from "./player.mjs";
import { deferred, within } from "./waiting.mjs";

const STATE_MS = 10_000;

export class ColyseusPlayer extends Player {
  /** What it asked for and its watcher has not seen: when it was due, and to which tile it leads. */
  unseen = [];
  #state = deferred();
  /** Where the one it watches stood last. */
  #watched = {};

  async join(sdk, name, seed) {
    const { roomId } = this.scene;
    await (roomId ? sdk.joinById(roomId) : sdk.create(name, { seed })).then((room) => this.enter(room));
    this.scene.roomId = this.room.roomId;
    const state = await within(STATE_MS, this.#state.promise, "no state came");
    this.course.begin(state, this.sessionId);
    this.isLive = true;
  }

  enter(room) {
    room.onStateChange((state) => this.#hearState(state));
    super.enter(room);
    room.onReconnect(() => {
      this.isLive = true;
      this.askAgain();
    });
  }

  /** Whether all is answered; what was acked by then is in the next patch. */
  get isSettled() {
    return this.hasEnded || (this.isLive && this.open.size === 0);
  }

  /** Its state must be that of everybody in the room, and lead where its acks do. */
  check() {
    if (this.hasEnded) return;
    this.checkCourse(this.room.state);
    const first = this.scene.players.find((player) => !player.hasEnded);
    if (first === this || isDeepStrictEqual(first.room.state.toJSON(), this.room.state.toJSON())) return;
    this.records.diverged += 1;
    this.wrong(`its state is not that of session ${first.sessionId}, of the same room`);
  }

  onAsked({ due }) {
    this.unseen.push({ due, ...this.course.leadsTo });
  }

  /** Where the steps behind it lead is another tile now. */
  onRefused() {
    this.unseen = [];
  }

  #hearState(state) {
    if (state.players.has(this.sessionId)) this.#state.resolve(state);
    const watched = this.scene.after(this);
    const { x, y } = state.players.get(watched.sessionId) ?? {};
    if (watched === this || (x === this.#watched.x && y === this.#watched.y)) return;
    this.#watched = { x, y };
    const now = performance.now();
    const shown = watched.unseen.findIndex((step) => step.x === x && step.y === y);
    for (const { due } of watched.unseen.splice(0, shown + 1)) this.records.seen(due, now);
  }
}
