/** The peer as a process: PORT (0: any free one), VARIANT (memory, insert, batched), DATABASE_URL for the last two. */
import { createServer } from "node:http";

import { Server } from "@colyseus/core";
import { WebSocketTransport } from "@colyseus/ws-transport";

import { Game } from "./game.mjs";
import { openStore } from "./store.mjs";

const { PORT = "2567", VARIANT = "memory", DATABASE_URL } = process.env;

/** What memory shows is no longer what is kept, so nobody goes on from it. */
function failed(error) {
  console.error("actions could not be kept:", error.message);
  process.exit(1);
}

Game.store = await openStore(VARIANT, DATABASE_URL, failed);
const http = createServer();
const server = new Server({
  greet: false,
  transport: new WebSocketTransport({ server: http, pingInterval: 10_000, pingMaxRetries: 2 }),
});
server.define("game", Game);
server.onShutdown(() => Game.store?.close());
await server.listen(Number(PORT));
console.log(`ready: http://127.0.0.1:${http.address().port}`);
