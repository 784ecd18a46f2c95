// Compiled, never run: what users of the package write has the types they expect, with both SDKs.
import {
  type ClientMessages,
  type GameState,
  JOIN_OPTIONS,
  type Outcome,
  type ServerMessages,
  Session,
  type StateDelta,
  type StateEvent,
} from "holdfast-client";
import { Client as Client017 } from "sdk-017";
import { Client as Client018 } from "sdk-018";

export async function withTheSdkAlone(url: string): Promise<void> {
  const room = await new Client018(url).joinOrCreate("game", JOIN_OPTIONS);
  room.onMessage<StateEvent>("event.state_delta", (event) => {
    if (event.kind === "snapshot") event.state satisfies object;
    else if (event.kind === "delta") event.baseSeq satisfies number;
    // @ts-expect-error a volatile delta has no roomSeq
    else event.roomSeq;
  });
  room.onMessage<StateDelta>("event.state_delta", ({ kind }) => kind satisfies "snapshot" | "delta" | "volatile");
  room.onMessage<ServerMessages["event.ack"]>("event.ack", (ack) => {
    if (ack.kind === "handshake") ack.intentRate satisfies number;
    if (ack.kind === "intent") ack.status satisfies "applied" | "duplicate";
  });
  room.send<ClientMessages["intent.move"]>("intent.move", { seq: 1, dx: 1, dy: 0 });
}

export async function withTheSdkBefore(url: string): Promise<void> {
  const room = await new Client017(url).joinOrCreate("game", JOIN_OPTIONS);
  room.onMessage<StateEvent>("event.state_delta", ({ kind }) => kind satisfies "snapshot" | "delta" | "volatile");
  room.send<ClientMessages["intent.move"]>("intent.move", { seq: 1, dx: 1, dy: 0 });
}

export async function withASession(url: string): Promise<Outcome> {
  const session = Session.join<GameState>(() => new Client018(url).joinOrCreate("game", JOIN_OPTIONS));
  Session.join<GameState>(() => new Client017(url).joinOrCreate("game", JOIN_OPTIONS));
  session.subscribe(() => session.getSnapshot().room.state?.players["id"]?.hp satisfies number | undefined);
  void session.send("intent.action", { action: "open" });
  // @ts-expect-error a move has two parts
  void session.send("intent.move", { dx: 1 });
  // @ts-expect-error its number is the sender's
  void session.send("intent.chat", { text: "", seq: 1 });
  // @ts-expect-error no intent
  void session.send("session.logout", {});
  return session.send("intent.move", { dx: 1, dy: -1 });
}

interface OwnMessages {
  "intent.paint": { seq: number; colour: string };
}

export function withARoomOfOnesOwn(url: string): Promise<Outcome> {
  const session = Session.join<{ pixels: Record<string, string> }, OwnMessages>(() =>
    new Client018(url).joinOrCreate("canvas", JOIN_OPTIONS),
  );
  return session.send("intent.paint", { colour: "teal" });
}
