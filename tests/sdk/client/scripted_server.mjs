/**
 * The server's side of the wire, said by the test word for word: matchmaking gives one seat, each connection waits in
 * `connections`, and what it hears waits in `heard`.
 */
import { createServer } from "node:http";
import { pack, unpack } from "msgpackr";
import { WebSocketServer } from "ws";

const JOIN_ROOM = 10;
export const LEAVE_ROOM = 12;
const ROOM_DATA = 13;

class Queue {
  #items = [];
  #takers = [];

  put(item) {
    const taker = this.#takers.shift();
    if (taker) taker(item);
    else this.#items.push(item);
  }

  take() {
    return this.#items.length > 0 ? Promise.resolve(this.#items.shift()) : new Promise((taker) => this.#takers.push(taker));
  }

  get size() {
    return this.#items.length;
  }
}

const short = (text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);

class Connection {
  /** What the client said: `{type, payload}`, or `{type: "joined"}` for its join byte. */
  heard = new Queue();

  constructor(socket, url) {
    this.socket = socket;
    this.url = url;
    socket.on("message", (frame) => this.#take(frame));
  }

  #take(frame) {
    if (frame[0] === JOIN_ROOM) return this.heard.put({ type: "joined" });
    if (frame[0] !== ROOM_DATA) return this.heard.put({ type: frame[0] });
    const end = 2 + (frame[1] & 0x1f);
    this.heard.put({ type: frame.subarray(2, end).toString(), payload: unpack(frame.subarray(end)) });
  }

  /** Lets the client in. */
  admit(token) {
    this.socket.send(Buffer.concat([Buffer.from([JOIN_ROOM]), short(token), short("none"), Buffer.from([0])]));
  }

  /** Lets the client in and waits for its join byte. */
  async welcome(token) {
    this.admit(token);
    while ((await this.heard.take()).type !== "joined");
  }

  say(type, payload) {
    this.socket.send(Buffer.concat([Buffer.from([ROOM_DATA, 0xa0 | type.length]), Buffer.from(type), pack(payload)]));
  }

  close(code) {
    this.socket.close(code);
  }

  /** The network dies: no close frame. */
  cut() {
    this.socket.terminate();
  }
}

export class ScriptedServer {
  connections = new Queue();
  /** The options of each join. */
  joins = [];

  static async start({ refusal } = {}) {
    const server = new ScriptedServer();
    const http = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      server.joins.push(JSON.parse(body));
      response.writeHead(refusal?.status ?? 200, { "content-type": "application/json" });
      response.end(JSON.stringify(refusal?.body ?? { name: "game", sessionId: "S1", roomId: "R1", processId: "P1" }));
    });
    const sockets = new WebSocketServer({ server: http });
    sockets.on("connection", (socket, request) => server.connections.put(new Connection(socket, request.url)));
    await new Promise((listening) => http.listen(0, "127.0.0.1", listening));
    server.url = `http://127.0.0.1:${http.address().port}`;
    server.stop = () => {
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      http.close();
    };
    return server;
  }
}
