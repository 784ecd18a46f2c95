// Generated from contracts/ by `holdfast types`. Do not edit.

/**
 * Why an intent had no effect.
 */
export type RejectCode =
  | "degraded"
  | "forbidden"
  | "gap"
  | "illegal"
  | "internal"
  | "invalid"
  | "not_durable"
  | "overloaded"
  | "rate_limited"
  | "terminating";
export type AckEvent = HandshakeAck | ResumeAck | IntentAck;
export type StateEvent = Snapshot | Delta | VolatileDelta;

/**
 * Each room's state, by the room's name.
 */
export interface RoomStates {
  game: GameState;
  counter: CounterState;
  plaza: PlazaState;
}
/**
 * The `game` room: a tile world and who is in it, by session.
 */
export interface GameState {
  world: WorldState;
  players: {
    [k: string]: PlayerState;
  };
}
/**
 * The tiles lie in chunks of 16 x 16: `tiles["cx,cy"]["row"]` is a row of tile numbers (see TILE_NAMES).
 */
export interface WorldState {
  name: string;
  width: number;
  height: number;
  /**
   * by chunk "cx,cy", then by row in the chunk
   */
  tiles: {
    [k: string]: {
      [k: string]: number[];
    };
  };
  items: {
    [k: string]: ItemState;
  };
}
/**
 * An item lying on a tile.
 */
export interface ItemState {
  kind: string;
  x: number;
  y: number;
}
/**
 * A session's character in the world. `inventory` counts items by kind.
 */
export interface PlayerState {
  playerId: string;
  name: string;
  x: number;
  y: number;
  hp: number;
  facing: "down" | "left" | "right" | "up";
  inventory: {
    [k: string]: number;
  };
  connected: boolean;
}
/**
 * The `counter` room: a total, and how much each session here added to it. `last`, a name, is volatile.
 */
export interface CounterState {
  total: number;
  added: {
    [k: string]: number;
  };
  last?: string | null;
}
/**
 * The `plaza` room, as far as a client gets it: of `players`, by session, those in the nine chunks around it.
 */
export interface PlazaState {
  width: number;
  height: number;
  players: {
    [k: string]: WalkerState;
  };
}
/**
 * A session on the plaza.
 */
export interface WalkerState {
  name: string;
  x: number;
  y: number;
  connected: boolean;
}
/**
 * One step to a neighbouring tile, diagonals included.
 */
export interface Move {
  /**
   * the session's number of this intent, from 1 without gaps
   */
  seq: number;
  dx: -1 | 0 | 1;
  dy: -1 | 0 | 1;
}
/**
 * A line said to everyone in the room; `text` holds it trimmed.
 */
export interface Chat {
  /**
   * the session's number of this intent, from 1 without gaps
   */
  seq: number;
  /**
   * 1 to 500 characters after trimming, no control characters
   */
  text: string;
}
/**
 * Something done in the world; the `game` room knows `open`, `take`, `drop` and `strike`.
 */
export interface Action {
  /**
   * the session's number of this intent, from 1 without gaps
   */
  seq: number;
  action: string;
  target?: string | null;
  args?: {
    [k: string]: unknown;
  } | null;
}
/**
 * Adds to the total of a `counter` room.
 */
export interface Add {
  /**
   * the session's number of this intent, from 1 without gaps
   */
  seq: number;
  amount?: number;
}
/**
 * Where a client stands: the last roomSeq it applied, its epoch, and the highest number whose outcome it holds.
 */
export interface Resume {
  roomSeq: number;
  epoch?: number | null;
  seq?: number | null;
}
/**
 * Ends the player's sessions and revokes their tokens.
 */
export interface Logout {}
/**
 * First after each join byte: who the session is and where it stands.
 */
export interface HandshakeAck {
  kind: "handshake";
  sessionId: string;
  playerId: string;
  protocolVersion: string;
  /**
   * the highest intent number that has an outcome
   */
  lastSeq: number;
  roomSeq: number;
  epoch: number;
  permissions: string[];
  /**
   * intents a second
   */
  intentRate: number;
  intentBurst: number;
  /**
   * milliseconds since the Unix epoch, UTC
   */
  serverTime: number;
  heartbeatMs: number;
}
/**
 * Answers `session.resume`; `recovered` says that exactly what was missed follows, else a snapshot does.
 */
export interface ResumeAck {
  kind: "resume";
  roomSeq: number;
  epoch: number;
  lastSeq: number;
  recovered: boolean;
}
/**
 * The intent is durable in PostgreSQL at `roomSeq`; `duplicate` when its number had been answered before.
 */
export interface IntentAck {
  kind: "intent";
  seq: number;
  roomSeq: number;
  status: "applied" | "duplicate";
}
/**
 * The intent had no effect. `seq` is null when none could be read; `expectedSeq` comes with `gap`.
 */
export interface RejectEvent {
  seq: number | null;
  code: RejectCode;
  message: string;
  retryable: boolean;
  expectedSeq?: number | null;
}
/**
 * The whole state at `roomSeq`.
 */
export interface Snapshot {
  kind: "snapshot";
  roomSeq: number;
  epoch: number;
  tick: number;
  state: {
    [k: string]: unknown;
  };
  /**
   * milliseconds since the Unix epoch, UTC
   */
  serverTime: number;
}
/**
 * The merged patches from `baseSeq` to `roomSeq`, applied in order; a `baseSeq` not yours is a gap: resume.
 */
export interface Delta {
  kind: "delta";
  baseSeq: number;
  roomSeq: number;
  epoch: number;
  tick: number;
  /**
   * RFC 7386 merge patches
   */
  patches: {
    [k: string]: unknown;
  }[];
  /**
   * milliseconds since the Unix epoch, UTC
   */
  serverTime: number;
}
/**
 * Patches of what is never stored (cursors, typing); it has no roomSeq.
 */
export interface VolatileDelta {
  kind: "volatile";
  patches: {
    [k: string]: unknown;
  }[];
}
/**
 * A line somebody said; `n` counts the events of one action. Always sent before the delta that covers `roomSeq`.
 */
export interface ChatEvent {
  roomSeq: number;
  n: number;
  sessionId: string;
  name: string;
  text: string;
  /**
   * milliseconds since the Unix epoch, UTC
   */
  at: number;
}
/**
 * A store the server depends on changed its health.
 */
export interface Degraded {
  dependency: "postgres" | "redis";
  status: "degraded" | "recovered" | "unavailable";
  reason: string;
  /**
   * milliseconds since the Unix epoch, UTC
   */
  since: number;
}
/**
 * The client speaks another protocol version; close 4500 follows.
 */
export interface VersionMismatch {
  expected: string;
  received: string;
}
/**
 * Comes before a close that the server decides.
 */
export interface SessionEvent {
  status: "terminating";
  reason: string;
}
/**
 * Every answer but 200. `code` is a word, in matchmaking Colyseus' number; `error` then repeats `message`.
 */
export interface ErrorBody {
  code: string | number;
  message: string;
  error?: string | null;
  field?: string | null;
}
/**
 * 409: the client was built for another protocol version.
 */
export interface VersionMismatchBody {
  code: "version_mismatch";
  message: string;
  expected: string;
  received: string | null;
}
/**
 * Asks for a guest's access token; `name` holds it trimmed, None lets the server choose.
 */
export interface GuestRequest {
  name?: string | null;
}
export interface GuestAnswer {
  accessToken: string;
  /**
   * seconds
   */
  expiresIn: number;
  playerId: string;
}
export interface BootstrapRequest {
  protocolVersion: string;
}
export interface BootstrapAnswer {
  playerId: string;
  character: CharacterProfile;
  protocolVersion: string;
  permissions: string[];
  /**
   * names of the rooms this server knows
   */
  rooms: string[];
  /**
   * milliseconds since the Unix epoch, UTC
   */
  serverTime: number;
}
/**
 * A player's character as it rests between rooms. `inventory` counts items by kind.
 */
export interface CharacterProfile {
  name: string;
  hp: number;
  inventory: {
    [k: string]: number;
  };
}
export interface LogoutAnswer {
  /**
   * how many sessions were ended
   */
  sessions: number;
}
export interface VersionAnswer {
  name: string;
  version: string;
  protocolVersion: string;
  schemaHash: string;
}
/**
 * A room as anyone may see it.
 */
export interface RoomListing {
  roomId: string;
  name: string;
  clients: number;
  maxClients: number;
  locked: boolean;
  private: boolean;
  metadata: {
    [k: string]: unknown;
  };
  /**
   * milliseconds since the Unix epoch, UTC
   */
  createdAt: number;
}
export interface ReadyAnswer {
  ready: boolean;
  dependencies: {
    [k: string]: DependencyHealth;
  };
}
export interface DependencyHealth {
  status: "degraded" | "ok" | "unavailable";
  reason?: string;
}
/**
 * A seat reservation in the shape all three SDKs accept (colyseus-wire.md 1.3).
 */
export interface Seat {
  name: string;
  sessionId: string;
  roomId: string;
  processId: string;
  room: SeatRoom;
  publicAddress?: string | null;
}
/**
 * The seat's room once more, nested, where the SDK of 0.16 looks for it.
 */
export interface SeatRoom {
  name: string;
  roomId: string;
  processId: string;
  publicAddress?: string | null;
}
/**
 * What the server sends, by the message's type.
 */
export interface ServerMessages {
  "event.ack": AckEvent;
  "event.reject": RejectEvent;
  "event.state_delta": StateEvent;
  "event.chat": ChatEvent;
  "event.degraded": Degraded;
  "event.version_mismatch": VersionMismatch;
  "event.session": SessionEvent;
}
/**
 * What a client sends, by the message's type.
 */
export interface ClientMessages {
  "intent.move": Move;
  "intent.chat": Chat;
  "intent.action": Action;
  "intent.add": Add;
  "session.resume": Resume;
  "session.logout": Logout;
}

export const PROTOCOL_VERSION = "1" as const;

export const SCHEMA_HASH = "1aaf57ac39f3b922565716c202c81a3695d748b64255f12123760128733c3138" as const;

export const TILE_NAMES = [
  "grass",
  "sand",
  "floor",
  "wall",
  "water",
  "door_closed",
  "door_open"
] as const;

export const HP_MAX = 10 as const;

export const NAME_CHARS_MAX = 32 as const;

export const CHAT_CHARS_MAX = 500 as const;

export const CLOSE_CODES = {
  "PROTOCOL": 1002,
  "TOO_BIG": 1009,
  "CONSENTED": 4000,
  "ERROR": 4002,
  "FAILED_TO_RECONNECT": 4003,
  "MAY_RECONNECT": 4010,
  "VERSION_MISMATCH": 4500,
  "REPLACED": 4501,
  "REMOVED": 4502,
  "IDLE": 4503,
  "LOGGED_OUT": 4504,
  "FLOOD": 4505,
  "PROTOCOL_ERROR": 4506,
  "TOO_SLOW": 4507,
  "ACCESS_REVOKED": 4508
} as const;
