/**
 * What the durable variants keep in PostgreSQL: every action, and now and then a snapshot to start from.
 *
 *     insert    one INSERT an action, through a pool
 *     batched   one INSERT for the actions of all rooms that have come while the one before was in flight
 *
 * `append` calls back once the action is committed; after a failure it calls `failed`, and never again calls back.
 */
import pg from "pg";

import { applyPatch } from "./state.mjs";

const POOL = 20;
const BATCH_ROWS_MAX = 1000;

const TABLES = `
  CREATE TABLE IF NOT EXISTS actions (
    room_id text COLLATE "C", room_seq bigint, session_id text, seq bigint,
    kind text NOT NULL, intent json, patch json NOT NULL, PRIMARY KEY (room_id, room_seq));
  CREATE TABLE IF NOT EXISTS snapshots (
    room_id text COLLATE "C" PRIMARY KEY, room_seq bigint NOT NULL, state json NOT NULL)`;

const ONE = { name: "one", text: "INSERT INTO actions VALUES ($1, $2, $3, $4, $5, $6, $7)" };

const MANY = {
  name: "many",
  text: `INSERT INTO actions SELECT * FROM json_to_recordset($1)
    AS row (room_id text, room_seq bigint, session_id text, seq bigint, kind text, intent json, patch json)`,
};

class Store {
  constructor(connectionString, failed) {
    this.failed = failed;
    this.pool = new pg.Pool({ connectionString, max: POOL });
    this.pool.on("error", failed);
  }

  async open() {
    await this.pool.query(TABLES);
    return this;
  }

  saveSnapshot(roomId, roomSeq, state) {
    const text = `INSERT INTO snapshots VALUES ($1, $2, $3)
      ON CONFLICT (room_id) DO UPDATE SET room_seq = excluded.room_seq, state = excluded.state`;
    this.pool.query({ name: "snapshot", text, values: [roomId, roomSeq, state] }).catch(this.failed);
  }

  /** A room's plain collections and its last roomSeq, from its last snapshot and the actions since. */
  async restore(roomId, fresh) {
    const found = await this.pool.query("SELECT room_seq, state FROM snapshots WHERE room_id = $1", [roomId]);
    let { room_seq: roomSeq, state } = found.rows[0] ?? { room_seq: 0, state: fresh };
    const after = "SELECT room_seq, patch FROM actions WHERE room_id = $1 AND room_seq > $2 ORDER BY room_seq";
    const { rows } = await this.pool.query(after, [roomId, roomSeq]);
    for (const row of rows) {
      applyPatch(state, row.patch);
      roomSeq = row.room_seq;
    }
    return { state, roomSeq: Number(roomSeq) };
  }

  close() {
    return this.pool.end();
  }
}

/** INSERTs overtake each other in a pool, so each room calls back in its order: what was acked has no gap before it. */
class Inserts extends Store {
  /** By room, the actions on their way. */
  #pending = new Map();

  append(action, committed) {
    const { roomId, roomSeq, sessionId, seq, kind, intent, patch } = action;
    const entry = { committed, isCommitted: false };
    let queue = this.#pending.get(roomId);
    if (queue === undefined) this.#pending.set(roomId, (queue = []));
    queue.push(entry);
    const values = [roomId, roomSeq, sessionId, seq, kind, JSON.stringify(intent), JSON.stringify(patch)];
    this.pool.query({ ...ONE, values }).then(() => {
      entry.isCommitted = true;
      while (queue[0]?.isCommitted) queue.shift().committed();
      if (queue.length === 0) this.#pending.delete(roomId);
    }, this.failed);
  }
}

class Batches extends Store {
  #rows = [];
  #waiting = [];
  #isWriting = false;

  append(action, committed) {
    const { roomId, roomSeq, sessionId, seq, kind, intent, patch } = action;
    this.#rows.push({ room_id: roomId, room_seq: roomSeq, session_id: sessionId, seq, kind, intent, patch });
    this.#waiting.push(committed);
    if (!this.#isWriting) this.#write().catch(this.failed);
  }

  async #write() {
    this.#isWriting = true;
    while (this.#rows.length > 0) {
      const rows = this.#rows.splice(0, BATCH_ROWS_MAX);
      const waiting = this.#waiting.splice(0, BATCH_ROWS_MAX);
      await this.pool.query({ ...MANY, values: [JSON.stringify(rows)] });
      for (const committed of waiting) committed();
    }
    this.#isWriting = false;
  }
}

/** The store of a variant, or null for one that keeps nothing. */
export function openStore(variant, databaseUrl, failed) {
  const Kind = { insert: Inserts, batched: Batches }[variant];
  return Kind === undefined ? null : new Kind(databaseUrl, failed).open();
}
