/**
 * What a client knows of its room, as a value: each event makes a new view and shares with the old one what is the same.
 *
 *     nothing --snapshot--> whole --delta that fits--> whole --delta that does not--> gap --resume, snapshot--> whole
 *
 * Only snapshots and deltas move `roomSeq`. In a gap, deltas that don't fit are left out until what was missed has come.
 * Volatile patches live in a tree of their own and never mix into the durable state.
 */

import type { ChatEvent, Delta, ResumeAck, Snapshot, StateEvent } from "./generated.js";
import { applyPatch, type Tree, uncovered } from "./merge.js";

/** Chat lines that a view keeps; older ones are forgotten. */
export const CHAT_LINES_MAX = 200;

export interface View<State extends object = Tree> {
  /** The durable state at `roomSeq`; undefined until the first snapshot. */
  readonly state: State | undefined;
  /** The values of volatile fields, at their place in the tree. */
  readonly volatile: Tree;
  readonly roomSeq: number;
  readonly epoch: number;
  readonly tick: number;
  /** Milliseconds since the Unix epoch at which the server sent the newest snapshot or delta. */
  readonly serverTime: number;
  /** True when a delta came that does not follow from what is here: say `session.resume`. */
  readonly gap: boolean;
  /** What was said, in order, each line once. */
  readonly chat: readonly ChatEvent[];
}

export type ViewEvent = StateEvent | ChatEvent | ResumeAck;

/** The view of one who has heard nothing yet. */
export function emptyView<State extends object = Tree>(): View<State> {
  return { state: undefined, volatile: {}, roomSeq: 0, epoch: 0, tick: 0, serverTime: 0, gap: false, chat: [] };
}

/** The view after `event`; the same view if the event says nothing new. */
export function reduce<State extends object>(view: View<State>, event: ViewEvent): View<State> {
  if (!("kind" in event)) return heard(view, event);
  switch (event.kind) {
    case "snapshot":
      return replaced(view, event);
    case "delta":
      return advanced(view, event);
    case "volatile":
      return { ...view, volatile: event.patches.reduce<Tree>(applyPatch, view.volatile) };
    case "resume":
      // The volatile values that count now follow in any case. With nothing missed no delta does, so this alone may end a gap.
      return event.recovered && event.roomSeq === view.roomSeq
        ? { ...view, volatile: {}, epoch: event.epoch, gap: false }
        : { ...view, volatile: {} };
  }
}

/** The state with the volatile values in their places, as players see it. */
export function withVolatile<State extends object>(view: View<State>): State | undefined {
  return view.state && applyPatch(view.state, view.volatile);
}

function replaced<State extends object>(view: View<State>, snapshot: Snapshot): View<State> {
  const { roomSeq, epoch, tick, serverTime } = snapshot;
  // The volatile values that count now are sent again behind a snapshot.
  return { ...view, state: snapshot.state as State, volatile: {}, roomSeq, epoch, tick, serverTime, gap: false };
}

function advanced<State extends object>(view: View<State>, delta: Delta): View<State> {
  if (view.state === undefined || delta.baseSeq !== view.roomSeq) return view.gap ? view : { ...view, gap: true };
  const { roomSeq, epoch, tick, serverTime, patches } = delta;
  const state = patches.reduce<State>(applyPatch, view.state);
  const volatile = patches.reduce<Tree>(uncovered, view.volatile);
  return { ...view, state, volatile, roomSeq, epoch, tick, serverTime, gap: false };
}

function heard<State extends object>(view: View<State>, line: ChatEvent): View<State> {
  const last = view.chat.at(-1);
  if (last && (line.roomSeq < last.roomSeq || (line.roomSeq === last.roomSeq && line.n <= last.n))) return view;
  return { ...view, chat: [...view.chat, line].slice(-CHAT_LINES_MAX) };
}
