/** The client's half of Holdfast, for use with the Colyseus SDK 0.17 or 0.18. */

export { type Clock, systemClock } from "./clock.js";
export { type Ending, endingOf, failedJoin, type Remedy } from "./endings.js";
export * from "./generated.js";
/** What `event.state_delta` carries. */
export type { StateEvent as StateDelta } from "./generated.js";
export { IntentSender, type Outcome, PENDING_MAX, type Wire } from "./intents.js";
export { applyPatch, type Tree, uncovered } from "./merge.js";
export { CHAT_LINES_MAX, emptyView, reduce, type View, type ViewEvent, withVolatile } from "./reducer.js";
export {
  JOIN_OPTIONS,
  Session,
  type SessionOptions,
  type SessionView,
  type Status,
  type WireRoom,
} from "./session.js";
