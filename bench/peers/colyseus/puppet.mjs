/**
 * The official SDK on strings: told on stdin what to do, it says on stdout what came of it, one JSON object a line.
 *
 *     {id, do: "join", url, roomId, options}    {id, player, sessionId, roomId}    a new room where roomId is null
 *     {id, do: "send", player, type, body}      {id}
 *     {id, do: "state", player}                 {id, state}
 *     {id, do: "cut", player}                   {id}                               the SDK comes back by itself
 *     of itself: {player, type, body}           what the server said
 */
import { createInterface } from "node:readline";

import { Client } from "@colyseus/sdk";

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
console.info = console.warn = console.log = () => {};

const TYPES = ["event.ack", "event.reject", "event.chat", "event.state_delta"];
const rooms = [];

const acts = {
  async join({ url, roomId, options }) {
    const client = new Client(url);
    const room = await (roomId === null ? client.create("game", options) : client.joinById(roomId, options));
    const player = rooms.push(room) - 1;
    for (const type of TYPES) room.onMessage(type, (body) => say({ player, type, body }));
    // Else a drop within five seconds of the join is final.
    Object.assign(room.reconnection, { minUptime: 0, minDelay: 50, delay: 50 });
    return { player, sessionId: room.sessionId, roomId: room.roomId };
  },
  send({ player, type, body }) {
    rooms[player].send(type, body);
  },
  cut({ player }) {
    rooms[player].connection.close(4010);
  },
  state: ({ player }) => ({ state: rooms[player].state?.toJSON() ?? null }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: what, ...rest } = JSON.parse(line);
  Promise.resolve(rest).then(acts[what]).then(
    (found) => say({ id, ...found }),
    (error) => say({ id, error: `${error.code ?? ""} ${error.message}` }),
  );
}
process.exit(0);
