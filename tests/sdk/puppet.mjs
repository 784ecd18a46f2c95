/**
 * An official SDK on strings: `node puppet.mjs <package>` does what it is told on stdin and says on stdout what happens,
 * one JSON object a line.
 *
 *   {id, do: "create" | "join" | "joinOrCreate" | "joinById" | "reconnect", url, args}   {id, room, sessionId, ...}
 *   {id, do: "send" | "request" | "leave" | "cut", room, args}                           {id, answer} or {id, error}
 *   of itself: {room, event: "message" | "drop" | "reconnect" | "leave" | "error", ...}
 */
import { createInterface } from "node:readline";

const { Client } = await import(process.argv[2]);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
// The SDKs tell their reconnects to the console.
console.info = console.warn = console.log = () => {};

const TYPES = [
  "event.ack", "event.reject", "event.state_delta", "event.chat", "event.degraded", "event.session", "event.version_mismatch",
];
const rooms = [];

function watch(room) {
  const number = rooms.push(room) - 1;
  for (const type of TYPES) room.onMessage(type, (body) => say({ room: number, event: "message", type, body }));
  room.onError((code, message) => say({ room: number, event: "error", code, message }));
  room.onLeave((code, reason) => say({ room: number, event: "leave", code, reason }));
  room.onDrop?.((code, reason) => say({ room: number, event: "drop", code, reason }));
  room.onReconnect?.(() => say({ room: number, event: "reconnect" }));
  // Else a drop within five seconds of the join is final.
  if (room.reconnection) Object.assign(room.reconnection, { minUptime: 0, minDelay: 20, delay: 20, maxRetries: 200, maxDelay: 200 });
  return { room: number, sessionId: room.sessionId, roomId: room.roomId, token: room.reconnectionToken };
}

const acts = {
  send: (room, type, body) => room.send(type, body),
  request: (room, type, body) => room.request(type, body),
  leave: (room, consented) => room.leave(consented),
  token: (room) => room.reconnectionToken,
};

async function obey({ do: what, url, room, args }) {
  if (what in acts) return { answer: (await acts[what](rooms[room], ...args)) ?? null };
  return { answer: watch(await new Client(url)[what](...args)) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  obey(command).then(
    (result) => say({ id: command.id, ...result }),
    (error) => say({ id: command.id, error: { name: error.name, code: error.code, message: error.message, reason: error.reason } }),
  );
}
process.exit(0);
