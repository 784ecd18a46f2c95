/**
 * Holdfast's `game` room, on Colyseus.
 *
 * An intent is judged and applied at once, so that the next one is judged by what is true; the ack waits until the
 * action is committed, if the variant keeps actions. Patches do not wait: every 50 ms they show what is in memory.
 */
import { Room } from "@colyseus/core";

import { act, anySpawn, move, scatter } from "./rules.mjs";
import { RATE, Session } from "./session.mjs";
import { freshWorld, HP_MAX, load, loadCharacter, plain, plainOf } from "./state.mjs";

const HOLD_S = 60;
const NAME_CHARS_MAX = 32;
const CHAT_CHARS_MAX = 500;
const ACTION_CHARS_MAX = 32;
const TARGET_CHARS_MAX = 64;
const SNAPSHOT_EVERY = 1000;

const isStep = (value) => value === -1 || value === 0 || value === 1;
const isText = (value, charsMin, charsMax) =>
  typeof value === "string" && value.length >= charsMin && value.length <= charsMax;

/** By message: what of it is kept, or undefined if it is not of its form; and what becomes of it. */
const INTENTS = {
  "intent.move": {
    read: ({ dx, dy }) => (isStep(dx) && isStep(dy) && (dx !== 0 || dy !== 0) ? { dx, dy } : undefined),
    apply: (room, own, { dx, dy }) => move(room.state, own, dx, dy),
    patch: ({ players }, id) => {
      const { x, y, facing } = players.get(id);
      return { x, y, facing };
    },
  },
  "intent.chat": {
    read: ({ text }) => {
      const line = isText(text, 1, Infinity) ? text.trim() : "";
      return line !== "" && line.length <= CHAT_CHARS_MAX && !/\p{Cc}/u.test(line) ? { text: line } : undefined;
    },
    apply: () => undefined,
    patch: () => undefined,
    committed: (room, { sessionId }, { text }, roomSeq) => {
      const name = room.state.players.get(sessionId)?.name;
      if (name) room.broadcast("event.chat", { roomSeq, n: 0, sessionId, name, text, at: Date.now() });
    },
  },
  "intent.action": {
    read: ({ action, target }) =>
      isText(action, 1, ACTION_CHARS_MAX) && (target == null || isText(target, 0, TARGET_CHARS_MAX))
        ? { action, target: target ?? undefined }
        : undefined,
    apply: (room, own, { action, target }, touched) => act(room.state, own, action, target, touched),
    patch: plainOf.players,
  },
};

export class Game extends Room {
  /** Set at the start: where actions are kept, or null. */
  static store = null;

  maxClients = 1000;
  patchRate = 50;
  messages = Object.fromEntries(
    Object.keys(INTENTS).map((kind) => [kind, (client, message) => this.take(client, kind, message)]),
  );

  /** Actions are numbered 1, 2, 3 ...: the last one that is committed; `state.roomSeq` is the last one of all. */
  committedSeq = 0;

  // -- the room's life ------------------------------------------------------------------------------------------------

  /** With the option `restore`: the room of that id, as its actions left it. */
  async onCreate({ restore }) {
    if (typeof restore === "string" && Game.store !== null) {
      const { state, roomSeq } = await Game.store.restore(restore, freshWorld());
      for (const character of Object.values(state.players)) character.connected = false;
      this.roomId = restore;
      this.committedSeq = roomSeq;
      this.state = load(state, roomSeq);
    } else {
      this.state = load(freshWorld(), 0);
    }
  }

  onJoin(client, { name }) {
    const [x, y] = anySpawn();
    const playerId = client.sessionId;
    const called = isText(name, 1, NAME_CHARS_MAX) ? name : "Guest";
    const about = { playerId, name: called, x, y, hp: HP_MAX, facing: 1, inventory: {}, connected: true };
    client.userData = new Session();
    this.state.players.set(client.sessionId, loadCharacter(about));
    const touched = [];
    scatter(this.state, touched);
    this.keep(client, null, "session.join", null, touched);
  }

  onDrop(client) {
    this.setConnected(client, false, "session.drop");
    this.allowReconnection(client, HOLD_S).catch(() => {});
  }

  onReconnect(client) {
    this.setConnected(client, true, "session.reconnect");
  }

  onLeave(client) {
    this.state.players.delete(client.sessionId);
    this.keep(client, null, "session.leave", null, []);
  }

  setConnected(client, isConnected, kind) {
    this.state.players.get(client.sessionId).connected = isConnected;
    this.keep(client, null, kind, null, []);
  }

  // -- intents --------------------------------------------------------------------------------------------------------

  take(client, kind, message) {
    const session = client.userData;
    const seq = message?.seq;
    if (!Number.isSafeInteger(seq) || seq < 1) {
      return client.send("event.reject", rejectOf(null, "invalid", "seq: expected an integer from 1"));
    }
    if (seq <= session.last) return this.answerAgain(client, seq, session.outcomeOf(seq));
    if (seq > session.last + 1) {
      const gap = rejectOf(seq, "gap", `seq: expected ${session.last + 1}, got ${seq}`, true);
      return client.send("event.reject", { ...gap, expectedSeq: session.last + 1 });
    }
    if (!session.takeToken()) return refuse(client, seq, "rate_limited", `more than ${RATE} intents a second`, true);
    const { read, apply } = INTENTS[kind];
    const intent = read(message);
    if (intent === undefined) return refuse(client, seq, "invalid", `${kind}: not of its form`);
    const touched = [];
    const refusal = apply(this, this.state.players.get(client.sessionId), intent, touched);
    if (refusal !== undefined) return refuse(client, seq, "illegal", refusal);
    this.keep(client, seq, kind, intent, touched);
  }

  answerAgain(client, seq, outcome) {
    if (outcome === undefined) {
      client.send("event.reject", rejectOf(seq, "not_durable", `seq: ${seq} was answered long ago`));
    } else if (typeof outcome === "object") {
      client.send("event.reject", outcome);
    } else if (outcome <= this.committedSeq) {
      acknowledge(client, seq, outcome, "duplicate");
    } // else the ack that is still to come answers both
  }

  // -- what is kept ---------------------------------------------------------------------------------------------------

  /** Gives an action that was just applied its number. What is to be said of it is said once it is committed. */
  keep(client, seq, kind, intent, touched) {
    const roomSeq = ++this.state.roomSeq;
    if (seq !== null) client.userData.settle(seq, roomSeq);
    if (Game.store === null) return this.committed(client, seq, kind, intent, roomSeq);
    const { roomId, state } = this;
    const { sessionId } = client;
    const snapshot = roomSeq % SNAPSHOT_EVERY === 0 ? JSON.stringify(plain(state)) : undefined;
    const own = (INTENTS[kind]?.patch ?? plainOf.players)(state, sessionId);
    const patch = { players: { [sessionId]: own } };
    for (const [collection, key] of touched) {
      (patch[collection] ??= {})[key] = plainOf[collection](state, key);
    }
    Game.store.append({ roomId, roomSeq, sessionId, seq, kind, intent, patch }, () => {
      this.committed(client, seq, kind, intent, roomSeq);
      if (snapshot !== undefined) Game.store.saveSnapshot(roomId, roomSeq, snapshot);
    });
  }

  committed(client, seq, kind, intent, roomSeq) {
    this.committedSeq = roomSeq;
    if (seq === null) return;
    INTENTS[kind].committed?.(this, client, intent, roomSeq);
    acknowledge(client, seq, roomSeq, "applied");
  }
}

function rejectOf(seq, code, message, retryable = false) {
  return { seq, code, message, retryable };
}

/** A reject that uses its number up. */
function refuse(client, seq, code, message, retryable) {
  const reject = rejectOf(seq, code, message, retryable);
  client.userData.settle(seq, reject);
  client.send("event.reject", reject);
}

function acknowledge(client, seq, roomSeq, status) {
  client.send("event.ack", { kind: "intent", seq, roomSeq, status });
}
