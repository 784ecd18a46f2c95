import assert from "node:assert/strict";
import { test } from "node:test";
import { JOIN_OPTIONS, PROTOCOL_VERSION, Session } from "holdfast-client";
import { Client as Client017 } from "sdk-017";
import { Client as Client018 } from "sdk-018";
import { LEAVE_ROOM, ScriptedServer } from "./scripted_server.mjs";

// The SDKs tell their reconnects to the console.
console.info = () => {};

const handshake = (lastSeq = 0) => ({
  kind: "handshake", sessionId: "S1", playerId: "p1", protocolVersion: PROTOCOL_VERSION, lastSeq, roomSeq: 5, epoch: 2,
  permissions: [], intentRate: 20, intentBurst: 40, serverTime: 1, heartbeatMs: 20000,
});
const snapshot = (roomSeq, state) => ({ kind: "snapshot", roomSeq, epoch: 2, tick: 0, state, serverTime: 1 });
const delta = (baseSeq, roomSeq, patch) => ({
  kind: "delta", baseSeq, roomSeq, epoch: 2, tick: 0, patches: [patch], serverTime: 1,
});
const resumed = (recovered, roomSeq, lastSeq = 0) => ({ kind: "resume", roomSeq, epoch: 2, lastSeq, recovered });
const ack = (seq, roomSeq, status = "applied") => ({ kind: "intent", seq, roomSeq, status });
const step = { dx: 1, dy: 0 };

/** Resolves with the session's view as soon as `holds` is true of it. */
function until(session, holds) {
  return new Promise((resolve) => {
    const look = () => {
      if (!holds(session.getSnapshot())) return;
      stop();
      resolve(session.getSnapshot());
    };
    const stop = session.subscribe(look);
    look();
  });
}

const is = (status) => (view) => view.status === status;

for (const [version, Client] of [["0.17", Client017], ["0.18", Client018]]) {
  const told = (fact, run) =>
    test(`SDK ${version}: ${fact}`, { timeout: 10_000 }, async (context) => {
      const server = await ScriptedServer.start();
      context.after(server.stop);
      const dial = () => new Client(server.url).joinOrCreate("game", JOIN_OPTIONS);
      const session = Session.join(dial, { random: () => 0 });
      context.after(() => session.leave());
      await run(session, server);
    });

  /** The first connection, joined and live at roomSeq 5. */
  async function joined(server) {
    const connection = await server.connections.take();
    await connection.welcome("token1");
    connection.say("event.ack", handshake());
    connection.say("event.state_delta", snapshot(5, { total: 1 }));
    return connection;
  }

  told("a session is live when it has been greeted and has a snapshot", async (session, server) => {
    const connection = await server.connections.take();
    assert.equal(session.getSnapshot().status, "connecting");
    await connection.welcome("token1");
    connection.say("event.ack", handshake());
    await until(session, (view) => view.identity !== undefined);
    assert.equal(session.getSnapshot().status, "connecting");
    connection.say("event.state_delta", snapshot(5, { total: 1 }));
    const view = await until(session, is("live"));
    assert.deepEqual([view.room.state, view.identity.sessionId], [{ total: 1 }, "S1"]);
    assert.deepEqual(server.joins, [{ protocolVersion: PROTOCOL_VERSION, resume: true }]);
  });

  told("an intent is numbered on the wire and its ack is its outcome", async (session, server) => {
    const connection = await joined(server);
    await until(session, is("live"));
    const outcome = session.send("intent.move", step);
    assert.equal(session.getSnapshot().pending, 1);
    assert.deepEqual(await connection.heard.take(), { type: "intent.move", payload: { ...step, seq: 1 } });
    connection.say("event.ack", ack(1, 6));
    assert.deepEqual(await outcome, { status: "applied", seq: 1, roomSeq: 6 });
    assert.equal(session.getSnapshot().pending, 0);
  });

  told("a drop at once after the join is not the end, and a resume comes before what is unanswered", async (session, server) => {
    const first = await joined(server);
    await until(session, is("live"));
    const outcome = session.send("intent.move", step);
    await first.heard.take();
    first.cut();
    await until(session, is("dropped"));
    void session.send("intent.chat", { text: "said while away" });
    const second = await server.connections.take();
    assert.match(second.url, /reconnectionToken=token1/);
    await second.welcome("token2");
    await until(session, is("resuming"));
    second.say("event.ack", handshake(0));
    assert.deepEqual(await second.heard.take(), { type: "session.resume", payload: { roomSeq: 5, epoch: 2, seq: 0 } });
    assert.deepEqual(await second.heard.take(), { type: "intent.move", payload: { ...step, seq: 1 } });
    assert.deepEqual(await second.heard.take(), { type: "intent.chat", payload: { text: "said while away", seq: 2 } });
    second.say("event.ack", resumed(true, 6, 1));
    second.say("event.state_delta", delta(5, 6, { total: 2 }));
    second.say("event.ack", ack(1, 6, "duplicate"));
    assert.equal((await outcome).status, "duplicate");
    const view = await until(session, is("live"));
    assert.deepEqual([view.room.state, view.attempt], [{ total: 2 }, 0]);
    assert.equal(second.heard.size, 0);
  });

  told("a resume that could not be whole is live again with its snapshot", async (session, server) => {
    const first = await joined(server);
    await until(session, is("live"));
    first.close(4010);
    const second = await server.connections.take();
    await second.welcome("token2");
    second.say("event.ack", handshake());
    await second.heard.take();
    second.say("event.ack", resumed(false, 9));
    await until(session, (view) => view.status === "resuming" && view.identity !== undefined);
    second.say("event.state_delta", snapshot(9, { total: 9 }));
    assert.deepEqual((await until(session, is("live"))).room.state, { total: 9 });
  });

  told("attempts to reconnect are counted until one succeeds", async (session, server) => {
    const first = await joined(server);
    await until(session, is("live"));
    first.cut();
    (await server.connections.take()).close(4010);
    (await server.connections.take()).close(4010);
    await until(session, (view) => view.attempt === 3);
    const last = await server.connections.take();
    await last.welcome("token2");
    last.say("event.ack", handshake());
    await until(session, (view) => view.attempt === 0);
  });

  told("a gap is told once and closed by what was missed", async (session, server) => {
    const connection = await joined(server);
    await until(session, is("live"));
    connection.say("event.state_delta", delta(6, 7, { total: 7 }));
    connection.say("event.state_delta", delta(7, 8, { total: 8 }));
    assert.deepEqual(await connection.heard.take(), {
      type: "session.resume", payload: { roomSeq: 5, epoch: 2, seq: 0 },
    });
    connection.say("event.ack", resumed(true, 8));
    connection.say("event.state_delta", delta(5, 8, { total: 8 }));
    const view = await until(session, ({ room }) => room.roomSeq === 8);
    assert.deepEqual([view.room.state, view.room.gap, connection.heard.size], [{ total: 8 }, false, 0]);
  });

  told("a final close ends the session, and what is unanswered is unknown", async (session, server) => {
    const connection = await joined(server);
    await until(session, is("live"));
    const outcome = session.send("intent.move", step);
    connection.say("event.session", { status: "terminating", reason: "idle" });
    await until(session, is("terminating"));
    connection.close(4503);
    const { ending } = await until(session, is("ended"));
    assert.deepEqual([ending.code, ending.remedy], [4503, "rejoin"]);
    assert.deepEqual(await outcome, { status: "unknown" });
  });

  told("a refusal and a lost dependency can be seen", async (session, server) => {
    const connection = await joined(server);
    connection.say("event.reject", { seq: 1, code: "illegal", message: "The door is closed.", retryable: false });
    connection.say("event.degraded", { dependency: "redis", status: "unavailable", reason: "refused", since: 1 });
    const view = await until(session, ({ degraded }) => degraded.length === 1);
    assert.equal(view.reject.message, "The door is closed.");
    connection.say("event.degraded", { dependency: "redis", status: "recovered", reason: "", since: 2 });
    await until(session, ({ degraded }) => degraded.length === 0);
  });

  told("one who leaves while the SDK is dialling stays gone", async (session, server) => {
    const first = await joined(server);
    await until(session, is("live"));
    first.cut();
    await until(session, is("dropped"));
    session.leave();
    assert.equal(session.getSnapshot().ending.code, 4000);
    const second = await server.connections.take();
    second.admit("token2");
    assert.deepEqual(await second.heard.take(), { type: LEAVE_ROOM });
  });

  test(`SDK ${version}: a refused join is an ended session that says what to do`, async (context) => {
    const body = { code: "version_mismatch", message: "expected 2", expected: "2", received: "1" };
    const server = await ScriptedServer.start({ refusal: { status: 409, body } });
    context.after(server.stop);
    const session = Session.join(() => new Client(server.url).joinOrCreate("game", JOIN_OPTIONS));
    const { ending } = await until(session, is("ended"));
    assert.deepEqual([ending.code, ending.remedy], [409, "reload"]);
  });
}
