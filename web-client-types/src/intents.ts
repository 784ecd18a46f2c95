/**
 * The sender of intents: each gets a number, is kept until its outcome is known, and is sent again after every
 * reconnect; the server answers a number it has seen with its first outcome, so nothing happens twice.
 *
 *     queued --sent, with the session's next number--> waiting --ack or reject--> (outcome)
 *        ^------------ reconnect, `gap` --------------'
 *     the session's end: queued or waiting --> `unknown`
 *
 * It sends only while the session's connection is open, in order, at the pace that the handshake allows. It belongs to
 * one session: another session has another sender, so no intent ever reaches a session it was not meant for.
 */

import type { Clock } from "./clock.js";
import type { HandshakeAck, IntentAck, RejectCode, RejectEvent } from "./generated.js";

/** Intents without an outcome that a sender keeps; further ones are refused `overloaded` on the spot. */
export const PENDING_MAX = 256;

export type Outcome =
  /** Durable at `roomSeq`; `duplicate` if it had been applied before this answer to a resend. */
  | { readonly status: "applied" | "duplicate"; readonly seq: number; readonly roomSeq: number }
  /** Without effect. `retryable` says that it may be asked for again, as a new intent. */
  | { readonly status: "rejected"; readonly code: RejectCode; readonly message: string; readonly retryable: boolean }
  /** The session ended first: it may have been applied, or not. */
  | { readonly status: "unknown" };

export interface Wire {
  /** Puts one message on the open connection. Throws if the payload can't be packed. */
  transmit(type: string, payload: object): void;
  /** Says `session.resume` with `answeredSeq`: the server has forgotten numbers that it had answered. */
  resume(): void;
}

interface Pending {
  readonly type: string;
  readonly payload: object;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (problem: unknown) => void;
  /** Given when first sent, and kept. */
  seq?: number;
  /** When it went over this connection; undefined if it has to be sent (again). */
  sentAt: number | undefined;
}

export class IntentSender {
  private pending: Pending[] = [];
  private nextSeq = 1;
  private answered = 0;
  private isOpen = false;
  private hasEnded = false;
  private pace: Pace | undefined;
  private cancelPump = () => {};
  /** Numbers in flight behind a gap: their `gap` rejects are foreseen and say nothing new. */
  private readonly behindGap = new Set<number>();

  constructor(
    private readonly wire: Wire,
    private readonly clock: Clock,
  ) {}

  /** The highest number whose outcome is known here. */
  get answeredSeq(): number {
    return this.answered;
  }

  /** How many intents have no outcome yet. */
  get size(): number {
    return this.pending.length;
  }

  /** Sends `payload` with the next number as soon as that may be. Rejects only if it can't be packed. */
  send(type: string, payload: object): Promise<Outcome> {
    if (this.hasEnded) return Promise.resolve({ status: "unknown" });
    if (this.pending.length >= PENDING_MAX) return Promise.resolve(TOO_MANY);
    return new Promise((resolve, reject) => {
      this.pending.push({ type, payload, resolve, reject, sentAt: undefined });
      this.pump();
    });
  }

  /** The handshake has come: everything without an outcome is sent (again), in order. */
  open(handshake: Pick<HandshakeAck, "lastSeq" | "intentRate" | "intentBurst">): void {
    this.nextSeq = Math.max(this.nextSeq, handshake.lastSeq + 1);
    this.pace ??= new Pace(handshake.intentBurst, this.clock.now());
    this.pace.rate = handshake.intentRate;
    this.pace.burst = handshake.intentBurst;
    this.isOpen = true;
    this.behindGap.clear();
    for (const intent of this.pending) intent.sentAt = undefined;
    this.pump();
  }

  /** The connection is gone: nothing is sent until the next handshake. */
  close(): void {
    this.isOpen = false;
    this.cancelPump();
  }

  /** The session is over: whatever has no outcome ends as `unknown`. */
  end(): void {
    this.close();
    this.hasEnded = true;
    for (const intent of this.pending.splice(0)) intent.resolve({ status: "unknown" });
  }

  /** Takes an ack; the milliseconds since its intent was last sent, or undefined if none waited for it. */
  acked({ seq, roomSeq, status }: IntentAck): number | undefined {
    return this.settle(seq, { status, seq, roomSeq });
  }

  rejected(reject: RejectEvent): void {
    if (reject.seq === null) return;
    if (reject.code === "gap") this.rewind(reject.seq, reject.expectedSeq ?? 1);
    else this.settle(reject.seq, outcomeOf(reject));
  }

  private settle(seq: number, outcome: Outcome): number | undefined {
    const at = this.pending.findIndex((intent) => intent.seq === seq);
    this.answered = Math.max(this.answered, seq);
    const intent = this.pending[at];
    if (!intent) return undefined;
    this.pending.splice(at, 1);
    intent.resolve(outcome);
    return intent.sentAt === undefined ? undefined : this.clock.now() - intent.sentAt;
  }

  private rewind(refused: number, expected: number): void {
    if (this.behindGap.delete(refused)) return;
    const waiting = this.pending.filter((intent) => intent.sentAt !== undefined && intent.seq! >= expected);
    const first = waiting[0];
    if (!first) return;
    // What the server expects was answered long ago, but it forgot: only a resume moves it on.
    if (expected < first.seq!) this.wire.resume();
    for (const intent of waiting) {
      intent.sentAt = undefined;
      if (intent.seq! > refused) this.behindGap.add(intent.seq!);
    }
    this.pump();
  }

  private pump(): void {
    this.cancelPump();
    for (const intent of this.pending.filter(({ sentAt }) => sentAt === undefined)) {
      if (!this.isOpen || !this.pace) return;
      const waitMs = this.pace.take(this.clock.now());
      if (waitMs > 0) {
        this.cancelPump = this.clock.after(waitMs, () => this.pump());
        return;
      }
      this.transmit(intent);
    }
  }

  private transmit(intent: Pending): void {
    const seq = intent.seq ?? this.nextSeq;
    try {
      this.wire.transmit(intent.type, { ...intent.payload, seq });
    } catch (problem) {
      // Nothing went out, so its number is still free for the next.
      this.pending.splice(this.pending.indexOf(intent), 1);
      intent.reject(problem);
      return;
    }
    intent.seq = seq;
    intent.sentAt = this.clock.now();
    this.nextSeq = Math.max(this.nextSeq, seq + 1);
  }
}

/** A token bucket: `burst` at once, `rate` a second. */
class Pace {
  rate = 1;

  constructor(
    public burst: number,
    private at: number,
    private tokens = burst,
  ) {}

  /** Takes one token, or says in how many milliseconds there will be one. */
  take(now: number): number {
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) * this.rate) / 1000);
    this.at = now;
    if (this.tokens < 1) return Math.ceil(((1 - this.tokens) * 1000) / this.rate);
    this.tokens -= 1;
    return 0;
  }
}

const TOO_MANY: Outcome = {
  status: "rejected",
  code: "overloaded",
  message: "Too much is waiting for an answer.",
  retryable: true,
};

function outcomeOf({ code, message, retryable }: RejectEvent): Outcome {
  return { status: "rejected", code, message, retryable };
}
