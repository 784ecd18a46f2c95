/**
 * A session as its client lives it, fed by a Colyseus room, read like a store:
 *
 *     connecting --handshake, snapshot--> live <----- resume, or snapshot -----.
 *         |                               |  `--drop--> dropped --reconnect--> resuming
 *         |                               `--event.session--> terminating --.      |  (dropped again)
 *         `------------------------- a final close, at any time ------------+--> ended
 *
 * The SDK dials and dials again; this keeps what was seen (`reducer.ts`) and what was asked (`intents.ts`) across its
 * connections, says `session.resume` after each reconnect and at each gap, and explains the end. It never joins again by
 * itself: that is another session, and the player's choice.
 */

import { type Clock, systemClock } from "./clock.js";
import { type Ending, endingOf, failedJoin } from "./endings.js";
import type {
  AckEvent,
  ChatEvent,
  ClientMessages,
  Degraded,
  HandshakeAck,
  RejectEvent,
  Resume,
  SessionEvent,
  StateEvent,
} from "./generated.js";
import { CLOSE_CODES, PROTOCOL_VERSION } from "./generated.js";
import { IntentSender, type Outcome } from "./intents.js";
import type { Tree } from "./merge.js";
import { emptyView, reduce, type View, type ViewEvent } from "./reducer.js";

/** Options that a join needs beside the token and the room's own. */
export const JOIN_OPTIONS = { protocolVersion: PROTOCOL_VERSION, resume: true } as const;

/** Attempts of one outage. Long before them the server says whether the seat is still held. */
const RECONNECTS_MAX = 300;
const RECONNECT_DELAY_MS_MAX = 2000;

/** What this uses of the SDK's room, 0.17 or 0.18. */
export interface WireRoom {
  reconnection: {
    enabled: boolean;
    minUptime: number;
    maxRetries: number;
    maxEnqueuedMessages: number;
    backoff: (attempt: number, delay: number) => number;
  };
  onMessage(type: string, take: (message: any) => void): unknown;
  onDrop(take: (code: number, reason?: string) => void): unknown;
  onReconnect(take: () => void): unknown;
  onLeave(take: (code: number, reason?: string) => void): unknown;
  onError(take: (code: number, message?: string) => void): unknown;
  send(type: string, message?: unknown): void;
  leave(consented?: boolean): Promise<number>;
}

export type Status = "connecting" | "live" | "dropped" | "resuming" | "terminating" | "ended";

export interface SessionView<State extends object = Tree> {
  readonly status: Status;
  readonly room: View<State>;
  /** The newest handshake: who this is and what it may do. */
  readonly identity: HandshakeAck | undefined;
  /** Which attempt to reconnect is under way; 0 while connected. */
  readonly attempt: number;
  /** Intents without an outcome. */
  readonly pending: number;
  /** From the newest intent to its ack. */
  readonly ackMs: number | undefined;
  /** What the server says it lacks at the moment. */
  readonly degraded: readonly Degraded[];
  /** The newest refusal, `gap` aside, which is repaired here. */
  readonly reject: RejectEvent | undefined;
  /** Why the server is about to end the session, or has. */
  readonly ending: Ending | undefined;
}

export interface SessionOptions {
  readonly clock?: Clock;
  /** A number from 0 up to 1, so that clients dropped together don't return together. */
  readonly random?: () => number;
}

type IntentType<Messages> = Extract<keyof Messages, `intent.${string}`>;

export class Session<State extends object = Tree, Messages = ClientMessages> {
  private readonly listeners = new Set<() => void>();
  private readonly sender: IntentSender;
  private wire: WireRoom | undefined;
  private awaitsResume = false;
  private hasLeft = false;
  private view: SessionView<State> = {
    status: "connecting",
    room: emptyView<State>(),
    identity: undefined,
    attempt: 0,
    pending: 0,
    ackMs: undefined,
    degraded: [],
    reject: undefined,
    ending: undefined,
  };

  private constructor(private readonly random: () => number, clock: Clock) {
    this.sender = new IntentSender(
      { transmit: (type, payload) => this.wire?.send(type, payload), resume: () => this.resume() },
      clock,
    );
  }

  /**
   * Starts `dial`, which should join with `JOIN_OPTIONS`, and lives the session it leads to. A failed join is an ended
   * session: nothing throws.
   *
   *     Session.join<GameState>(() => client.joinOrCreate("game", { ...JOIN_OPTIONS, accessToken }))
   */
  static join<State extends object = Tree, Messages = ClientMessages>(
    dial: () => Promise<WireRoom>,
    { clock = systemClock, random = Math.random }: SessionOptions = {},
  ): Session<State, Messages> {
    const session = new Session<State, Messages>(random, clock);
    dial().then(
      (room) => session.attach(room),
      (problem) => session.end(failedJoin(problem)),
    );
    return session;
  }

  /** The session now. The same object until something changes. */
  readonly getSnapshot = (): SessionView<State> => this.view;

  /** Calls `listener` after each change; the answer ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Asks for something; its number is added here. Resolves with its one outcome, however many connections that takes. */
  send<Type extends IntentType<Messages>>(type: Type, payload: Omit<Messages[Type], "seq">): Promise<Outcome> {
    const outcome = this.sender.send(type, payload);
    this.change({ pending: this.sender.size });
    return outcome;
  }

  /** Leaves the room on purpose: the seat is given back. */
  leave(): void {
    if (this.view.status === "ended") return;
    this.hasLeft = true;
    if (this.wire) this.wire.reconnection.enabled = false;
    if (this.wire && this.view.status !== "dropped") void this.wire.leave();
    else this.end(endingOf(CLOSE_CODES.CONSENTED));
  }

  /** Ends all of the player's sessions and their tokens. */
  logout(): void {
    this.wire?.send("session.logout", {});
  }

  private attach(room: WireRoom): void {
    this.wire = room;
    if (this.view.status === "ended") return void room.leave();
    room.reconnection.minUptime = 0;
    room.reconnection.maxRetries = RECONNECTS_MAX;
    // The SDK would keep the newest ten messages, without regard to order or session; the sender keeps all.
    room.reconnection.maxEnqueuedMessages = 0;
    room.reconnection.backoff = (attempt, delayMs) =>
      Math.min(RECONNECT_DELAY_MS_MAX, delayMs * 2 ** attempt) * (0.5 + this.random() / 2);

    room.onMessage("event.ack", (ack: AckEvent) => this.acked(ack));
    room.onMessage("event.reject", (reject: RejectEvent) => this.rejected(reject));
    room.onMessage("event.state_delta", (event: StateEvent) => this.heard(event));
    room.onMessage("event.chat", (line: ChatEvent) => this.heard(line));
    room.onMessage("event.degraded", (event: Degraded) => this.degraded(event));
    room.onMessage("event.session", (event: SessionEvent) => this.terminating(event));
    // The close behind it, 4500, says the same.
    room.onMessage("event.version_mismatch", () => {});
    room.onDrop(() => this.dropped());
    room.onReconnect(() => this.reconnected());
    // A connection that is lost while the player leaves has been left.
    room.onLeave((code, reason) => this.end(endingOf(this.hasLeft ? CLOSE_CODES.CONSENTED : code, reason)));
    // Errors of a dial come with a drop, those of a session with a close: both are told there.
    room.onError(() => {});
  }

  private acked(ack: AckEvent): void {
    switch (ack.kind) {
      case "handshake":
        return this.greeted(ack);
      case "resume":
        this.awaitsResume = false;
        this.heard(ack);
        if (ack.recovered && this.view.status === "resuming") this.change({ status: "live" });
        return;
      case "intent":
        this.change({ ackMs: this.sender.acked(ack) ?? this.view.ackMs, pending: this.sender.size });
    }
  }

  private greeted(handshake: HandshakeAck): void {
    const isFirst = this.view.identity === undefined;
    this.change({ identity: handshake, attempt: 0 });
    // The resume goes first: it tells the server which numbers are taken, should it have forgotten.
    if (!isFirst) this.resume();
    this.sender.open(handshake);
  }

  private resume(): void {
    const { roomSeq, epoch } = this.view.room;
    this.awaitsResume = true;
    this.wire?.send("session.resume", { roomSeq, epoch, seq: this.sender.answeredSeq } satisfies Resume);
  }

  private rejected(reject: RejectEvent): void {
    this.sender.rejected(reject);
    if (reject.code !== "gap") this.change({ reject, pending: this.sender.size });
  }

  private heard(event: ViewEvent): void {
    const room = reduce(this.view.room, event);
    this.change({ room });
    const isSnapshot = "kind" in event && event.kind === "snapshot";
    if (isSnapshot && (this.view.status === "connecting" || this.view.status === "resuming")) {
      this.change({ status: "live" });
    }
    // While a resume is under way, deltas that don't fit are the live ones that overtook its answer.
    if (room.gap && !this.awaitsResume) this.resume();
  }

  private degraded(event: Degraded): void {
    const others = this.view.degraded.filter(({ dependency }) => dependency !== event.dependency);
    this.change({ degraded: event.status === "recovered" ? others : [...others, event] });
  }

  private terminating({ reason }: SessionEvent): void {
    this.change({ status: "terminating", ending: { ...endingOf(0, reason), title: "The server ends this session" } });
  }

  private dropped(): void {
    if (this.view.status === "ended") return;
    this.sender.close();
    this.awaitsResume = false;
    this.change({ status: "dropped", attempt: this.view.attempt + 1, ending: undefined });
  }

  private reconnected(): void {
    // Left while the SDK was dialling: it has no way to be told but this.
    if (this.view.status === "ended") void this.wire?.leave();
    else this.change({ status: "resuming" });
  }

  private end(ending: Ending): void {
    if (this.view.status === "ended") return;
    this.sender.end();
    this.change({ status: "ended", ending, attempt: 0, pending: 0 });
  }

  private change(changes: Partial<SessionView<State>>): void {
    const view = this.view;
    const changed = Object.entries(changes).some(([key, value]) => view[key as keyof SessionView<State>] !== value);
    if (!changed) return;
    this.view = { ...view, ...changes };
    for (const listener of [...this.listeners]) listener();
  }
}
