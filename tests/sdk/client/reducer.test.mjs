import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT_LINES_MAX, emptyView, reduce, withVolatile } from "holdfast-client";

const snapshot = (roomSeq, state, epoch = 1) => ({
  kind: "snapshot", roomSeq, epoch, tick: 0, state, serverTime: 1000 + roomSeq,
});
const delta = (baseSeq, roomSeq, ...patches) => ({
  kind: "delta", baseSeq, roomSeq, epoch: 1, tick: 0, patches, serverTime: 1000 + roomSeq,
});
const line = (roomSeq, n, text = "hello") => ({ roomSeq, n, sessionId: "s", name: "Ada", text, at: 0 });
const after = (...events) => events.reduce(reduce, emptyView());

test("a snapshot is the state at its roomSeq", () => {
  const view = after(snapshot(5, { a: 1 }, 3));
  assert.deepEqual([view.state, view.roomSeq, view.epoch, view.gap], [{ a: 1 }, 5, 3, false]);
});

test("a delta that follows moves the state and the roomSeq", () => {
  const view = after(snapshot(5, { a: 1 }), delta(5, 7, { a: null }, { a: { b: 2 } }));
  assert.deepEqual([view.state, view.roomSeq, view.gap], [{ a: { b: 2 } }, 7, false]);
});

test("an empty delta moves the roomSeq and shares the state", () => {
  const before = after(snapshot(5, { a: 1 }));
  const view = reduce(before, delta(5, 6));
  assert.equal(view.state, before.state);
  assert.equal(view.roomSeq, 6);
});

test("a delta that does not follow is a gap and changes nothing", () => {
  const view = after(snapshot(5, { a: 1 }), delta(6, 7, { a: 2 }));
  assert.deepEqual([view.state, view.roomSeq, view.gap], [{ a: 1 }, 5, true]);
});

test("a delta before any snapshot is a gap", () => {
  assert.equal(after(delta(0, 1, { a: 1 })).gap, true);
});

test("the delta that was missed ends a gap", () => {
  const view = after(snapshot(5, { a: 1 }), delta(6, 7, { a: 3 }), delta(5, 7, { a: 3 }));
  assert.deepEqual([view.state, view.roomSeq, view.gap], [{ a: 3 }, 7, false]);
});

test("a snapshot ends a gap", () => {
  assert.equal(after(snapshot(5, {}), delta(6, 7), snapshot(7, {})).gap, false);
});

test("a whole resume with nothing missed ends a gap and tells the epoch", () => {
  const view = after(snapshot(5, {}), delta(6, 7), {
    kind: "resume", roomSeq: 5, epoch: 4, lastSeq: 0, recovered: true,
  });
  assert.deepEqual([view.gap, view.epoch], [false, 4]);
});

test("a resume that something still has to follow ends nothing", () => {
  const ack = { kind: "resume", roomSeq: 7, epoch: 4, lastSeq: 0, recovered: true };
  assert.equal(after(snapshot(5, {}), delta(6, 7), ack).gap, true);
});

test("volatile patches never enter the durable state, nor move the roomSeq", () => {
  const view = after(snapshot(5, { a: { x: 1 } }), { kind: "volatile", patches: [{ a: { typing: true } }] });
  assert.deepEqual([view.state, view.roomSeq], [{ a: { x: 1 } }, 5]);
  assert.deepEqual(withVolatile(view), { a: { x: 1, typing: true } });
});

test("volatile values of what is removed go with it", () => {
  const typing = { kind: "volatile", patches: [{ a: { typing: true } }] };
  const view = after(snapshot(5, { a: { x: 1 } }), typing, delta(5, 6, { a: null }));
  assert.deepEqual(withVolatile(view), {});
});

test("a snapshot comes with no volatile values: those that count are sent behind it", () => {
  const view = after(snapshot(5, {}), { kind: "volatile", patches: [{ last: "ada" }] }, snapshot(6, {}));
  assert.deepEqual(view.volatile, {});
});

test("a chat line that comes again is dropped", () => {
  const view = after(line(3, 0), line(3, 1), line(3, 0), line(3, 1), line(2, 9), line(4, 0));
  assert.deepEqual(view.chat.map(({ roomSeq, n }) => [roomSeq, n]), [[3, 0], [3, 1], [4, 0]]);
});

test("a chat line that says nothing new leaves the very same view", () => {
  const view = after(line(3, 0));
  assert.equal(reduce(view, line(3, 0)), view);
});

test("the list of chat lines is bounded and keeps the newest", () => {
  const view = after(...Array.from({ length: CHAT_LINES_MAX + 5 }, (_, at) => line(at, 0)));
  assert.deepEqual([view.chat.length, view.chat[0].roomSeq], [CHAT_LINES_MAX, 5]);
});

test("no event writes to the view that it came upon", () => {
  const before = Object.freeze(after(snapshot(5, Object.freeze({ a: 1 })), line(3, 0)));
  Object.freeze(before.chat);
  for (const event of [delta(5, 6, { a: 2 }), line(6, 0), snapshot(9, {}), { kind: "volatile", patches: [{ b: 1 }] }]) {
    assert.notEqual(reduce(before, event), before);
  }
  assert.deepEqual([before.state, before.roomSeq, before.chat.length], [{ a: 1 }, 5, 1]);
});
