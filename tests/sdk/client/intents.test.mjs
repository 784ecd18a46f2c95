import assert from "node:assert/strict";
import { test } from "node:test";
import { IntentSender, PENDING_MAX } from "holdfast-client";
import { ManualClock } from "./clock.mjs";

const handshake = { lastSeq: 0, intentRate: 20, intentBurst: 40 };

/** A sender, what it put on the wire (numbers, or "resume"), and its clock. */
function sender(opened = handshake) {
  const clock = new ManualClock();
  const sent = [];
  const wire = {
    transmit(_type, payload) {
      if (payload.problem) throw payload.problem;
      sent.push(payload.seq);
    },
    resume: () => sent.push("resume"),
  };
  const intents = new IntentSender(wire, clock);
  if (opened) intents.open(opened);
  const take = () => sent.splice(0);
  return { intents, clock, take };
}

const ack = (seq, status = "applied") => ({ kind: "intent", seq, roomSeq: seq + 100, status });
const gap = (seq, expectedSeq) => ({ seq, code: "gap", message: "", retryable: true, expectedSeq });
const refusal = (seq, code = "illegal") => ({ seq, code, message: "no", retryable: false });

test("intents are numbered from 1 without gaps", () => {
  const { intents, take } = sender();
  for (let count = 0; count < 3; count++) void intents.send("intent.move", { dx: 1 });
  assert.deepEqual(take(), [1, 2, 3]);
});

test("numbers go on behind the session's last", () => {
  const { intents, take } = sender({ ...handshake, lastSeq: 7 });
  void intents.send("intent.move", {});
  assert.deepEqual(take(), [8]);
});

test("an ack resolves its intent, whatever the order", async () => {
  const { intents } = sender();
  const [first, second] = [intents.send("intent.move", {}), intents.send("intent.move", {})];
  intents.acked(ack(2));
  intents.acked(ack(1, "duplicate"));
  assert.deepEqual(await first, { status: "duplicate", seq: 1, roomSeq: 101 });
  assert.deepEqual(await second, { status: "applied", seq: 2, roomSeq: 102 });
  assert.equal(intents.size, 0);
});

test("an ack tells how long it took", () => {
  const { intents, clock } = sender();
  void intents.send("intent.move", {});
  clock.pass(12);
  assert.equal(intents.acked(ack(1)), 12);
  assert.equal(intents.acked(ack(1)), undefined);
});

test("a reject is an outcome and consumes its number", async () => {
  const { intents, take } = sender();
  const refused = intents.send("intent.move", {});
  intents.rejected(refusal(1));
  void intents.send("intent.move", {});
  assert.deepEqual(await refused, { status: "rejected", code: "illegal", message: "no", retryable: false });
  assert.deepEqual(take(), [1, 2]);
});

test("nothing is sent before the handshake", () => {
  const { intents, take } = sender(null);
  void intents.send("intent.move", {});
  assert.deepEqual(take(), []);
  intents.open(handshake);
  assert.deepEqual(take(), [1]);
});

test("nothing is sent while the connection is lost, and everything unanswered goes again with its number", () => {
  const { intents, take } = sender();
  for (let count = 0; count < 3; count++) void intents.send("intent.move", {});
  intents.acked(ack(1));
  take();
  intents.close();
  void intents.send("intent.move", {});
  assert.deepEqual(take(), []);
  intents.open({ ...handshake, lastSeq: 2 });
  assert.deepEqual(take(), [2, 3, 4]);
});

test("a server that forgot what it answered does not get those numbers again", () => {
  const { intents, take } = sender();
  void intents.send("intent.move", {});
  void intents.send("intent.move", {});
  intents.rejected(refusal(1));
  intents.rejected(refusal(2));
  take();
  intents.close();
  intents.open({ ...handshake, lastSeq: 0 });
  void intents.send("intent.move", {});
  assert.deepEqual(take(), [3]);
  assert.equal(intents.answeredSeq, 2);
});

test("a burst goes at once, the rest at the rate", () => {
  const { intents, clock, take } = sender({ lastSeq: 0, intentRate: 10, intentBurst: 3 });
  for (let count = 0; count < 6; count++) void intents.send("intent.move", {});
  assert.deepEqual(take(), [1, 2, 3]);
  clock.pass(99);
  assert.deepEqual(take(), []);
  clock.pass(1);
  assert.deepEqual(take(), [4]);
  clock.pass(200);
  assert.deepEqual(take(), [5, 6]);
});

test("a reconnect brings no new burst", () => {
  const { intents, clock, take } = sender({ lastSeq: 0, intentRate: 10, intentBurst: 2 });
  for (let count = 0; count < 2; count++) void intents.send("intent.move", {});
  take();
  intents.close();
  intents.open({ lastSeq: 0, intentRate: 10, intentBurst: 2 });
  assert.deepEqual(take(), []);
  clock.pass(200);
  assert.deepEqual(take(), [1, 2]);
});

test("a closed sender's timer sends nothing", () => {
  const { intents, clock, take } = sender({ lastSeq: 0, intentRate: 10, intentBurst: 1 });
  void intents.send("intent.move", {});
  void intents.send("intent.move", {});
  take();
  intents.close();
  clock.pass(1000);
  assert.deepEqual(take(), []);
});

test("a gap is repaired once, from the expected number, though each intent behind it is refused", () => {
  const { intents, take } = sender();
  for (let count = 0; count < 4; count++) void intents.send("intent.move", {});
  take();
  for (const seq of [2, 3, 4]) intents.rejected(gap(seq, 1));
  assert.deepEqual(take(), [1, 2, 3, 4]);
});

test("a second gap after the first was repaired is repaired too", () => {
  const { intents, take } = sender();
  for (let count = 0; count < 2; count++) void intents.send("intent.move", {});
  take();
  intents.rejected(gap(2, 1));
  intents.rejected(gap(2, 1));
  assert.deepEqual(take(), [1, 2, 1, 2]);
});

test("a gap below everything unanswered asks for a resume first: the server has forgotten", () => {
  const { intents, take } = sender();
  void intents.send("intent.move", {});
  intents.rejected(refusal(1));
  void intents.send("intent.move", {});
  take();
  intents.rejected(gap(2, 1));
  assert.deepEqual(take(), ["resume", 2]);
});

test("at the session's end all that has no outcome is unknown, and stays unsent", async () => {
  const { intents, clock, take } = sender({ lastSeq: 0, intentRate: 1, intentBurst: 1 });
  const outcomes = [intents.send("intent.move", {}), intents.send("intent.move", {})];
  take();
  intents.end();
  clock.pass(5000);
  assert.deepEqual(await Promise.all(outcomes), [{ status: "unknown" }, { status: "unknown" }]);
  assert.deepEqual(await intents.send("intent.move", {}), { status: "unknown" });
  assert.deepEqual(take(), []);
});

test("what waits is bounded: more is refused on the spot and may be asked again", async () => {
  const { intents } = sender(null);
  for (let count = 0; count < PENDING_MAX; count++) void intents.send("intent.move", {});
  const { status, code, retryable } = await intents.send("intent.move", {});
  assert.deepEqual([status, code, retryable], ["rejected", "overloaded", true]);
});

test("a payload that can't be packed fails its caller and costs no number", async () => {
  const { intents, take } = sender();
  const problem = new Error("unpackable");
  await assert.rejects(intents.send("intent.move", { problem }), problem);
  void intents.send("intent.move", {});
  assert.deepEqual(take(), [1]);
});
