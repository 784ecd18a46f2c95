/** Why a session ended, in words for its player, and what they can do about it. */

import { CLOSE_CODES } from "./generated.js";

/** `reload` the page, `rejoin` as the same player, `signIn` anew, or nothing. */
export type Remedy = "reload" | "rejoin" | "signIn" | "none";

export interface Ending {
  /** The close code, or the code of the failed join; 0 if there was no answer at all. */
  readonly code: number;
  /** What the server or the SDK gave as its reason; for logs more than for players. */
  readonly reason: string;
  readonly title: string;
  readonly advice: string;
  readonly remedy: Remedy;
}

const ENDINGS: Readonly<Record<number, readonly [title: string, advice: string, remedy: Remedy]>> = {
  [CLOSE_CODES.CONSENTED]: ["You left the room", "Your character waits for you.", "rejoin"],
  [CLOSE_CODES.FAILED_TO_RECONNECT]: ["You were away too long", "Your seat is free again. Join to go on.", "rejoin"],
  [CLOSE_CODES.VERSION_MISMATCH]: ["There is a new version", "Reload the page to get it.", "reload"],
  [CLOSE_CODES.REPLACED]: ["You are playing somewhere else", "Another tab or device took over this seat.", "rejoin"],
  [CLOSE_CODES.REMOVED]: ["An operator removed you", "Ask them before you join again.", "none"],
  [CLOSE_CODES.IDLE]: ["You were idle for a long time", "Your seat was given back. Join to go on.", "rejoin"],
  [CLOSE_CODES.LOGGED_OUT]: ["You are logged out", "Sign in to play again.", "signIn"],
  [CLOSE_CODES.FLOOD]: ["Too many messages", "The server had to hang up. Join again, a little calmer.", "rejoin"],
  [CLOSE_CODES.PROTOCOL_ERROR]: ["The server could not read this page", "Reload it to get a fresh one.", "reload"],
  [CLOSE_CODES.TOO_SLOW]: ["Your connection is too slow", "It could not keep up with the room.", "rejoin"],
  [CLOSE_CODES.ACCESS_REVOKED]: ["Your access was revoked", "Sign in to play again.", "signIn"],
  [CLOSE_CODES.PROTOCOL]: ["The server could not read this page", "Reload it to get a fresh one.", "reload"],
  [CLOSE_CODES.TOO_BIG]: ["A message was too big", "The server had to hang up. Join again.", "rejoin"],
};

/** Statuses and codes of a join that failed. */
const FAILED_JOINS: Readonly<Record<number, readonly [title: string, advice: string, remedy: Remedy]>> = {
  401: ["Your sign-in is not valid", "Sign in to play.", "signIn"],
  409: ENDINGS[CLOSE_CODES.VERSION_MISMATCH]!,
  429: ["Too many attempts", "Wait a moment, then try again.", "rejoin"],
  503: ["The server is not ready", "It may be starting or stopping. Try again in a moment.", "rejoin"],
  525: ["Your sign-in is not valid", "Sign in to play.", "signIn"],
};

/** What to tell the player when the connection closed for good with `code`. */
export function endingOf(code: number, reason = ""): Ending {
  const [title, advice, remedy] = ENDINGS[code] ?? ["The connection ended", "Join again to go on.", "rejoin"];
  return { code, reason, title, advice, remedy };
}

/** What to tell the player when `join` failed with `problem`, as the SDK throws it. */
export function failedJoin(problem: unknown): Ending {
  const { code, message } = problem as { code?: unknown; message?: unknown };
  const status = typeof code === "number" ? code : 0;
  const reason = String(message ?? problem);
  const [title, advice, remedy] = FAILED_JOINS[status] ??
    ENDINGS[status] ?? ["The room can't be reached", "Check your connection, then try again.", "rejoin"];
  return { code: status, reason, title, advice, remedy };
}
