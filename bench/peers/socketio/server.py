"""
The peer as a process: PORT (0: any free one), VARIANT (memory, batched), DATABASE_URL for the durable one.

A client connects with `auth` {roomId, name}: who comes first makes the room, from what is kept of it if anything is.
"""

import asyncio
import os
import socket
from functools import partial
from typing import Any

import orjson
import socketio
import uvicorn
import uvloop
from room import INTENTS, Room
from state import World, fresh_state
from store import Store

CLIENTS_MAX = 1_000
NAME_CHARS_MAX = 32


class Json:
    """orjson in the shape that python-socketio asks for: text, and keywords of the standard library's."""

    loads = staticmethod(orjson.loads)

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        return orjson.dumps(value).decode()


class Peer:
    def __init__(self, store: Store | None) -> None:
        self._store = store
        #: By id, each a promise while it is being restored.
        self._rooms: dict[str, asyncio.Future[Room]] = {}
        self._room_of: dict[str, Room] = {}
        # Handlers run one after the other in the connection's own task: intents are taken in their order.
        self.sio = socketio.AsyncServer(
            async_mode="asgi", transports=["websocket"], async_handlers=False, always_connect=True, json=Json
        )
        self.sio.on("connect", self._connect)
        self.sio.on("disconnect", self._disconnect)
        for kind in INTENTS:
            self.sio.on(kind, partial(self._take, kind))

    async def _connect(self, session_id: str, environ: dict[str, Any], auth: Any) -> None:
        about = auth if isinstance(auth, dict) else {}
        room_id, name = about.get("roomId"), about.get("name")
        if not isinstance(room_id, str):
            raise socketio.exceptions.ConnectionRefusedError("auth: expected a roomId")
        room = await self._room(room_id)
        if len(room.sessions) >= CLIENTS_MAX:
            raise socketio.exceptions.ConnectionRefusedError("the room is full")
        self._room_of[session_id] = room
        await room.join(session_id, name if isinstance(name, str) and 0 < len(name) <= NAME_CHARS_MAX else "Guest")

    async def _disconnect(self, session_id: str, reason: str) -> None:
        room = self._room_of.pop(session_id, None)
        if room is None:
            return
        await room.leave(session_id)
        if room.sessions:
            return
        while not room.is_over:
            await self.sio.sleep(0.01)
            if room.sessions:
                return
        self._rooms.pop(room.room_id, None)

    async def _take(self, kind: str, session_id: str, body: Any = None) -> None:
        if (room := self._room_of.get(session_id)) is not None:
            await room.take(session_id, kind, body)

    async def _room(self, room_id: str) -> Room:
        if room_id not in self._rooms:
            self._rooms[room_id] = asyncio.ensure_future(self._make(room_id))
        return await self._rooms[room_id]

    async def _make(self, room_id: str) -> Room:
        state, room_seq = (fresh_state(), 0) if self._store is None else await self._store.restore(room_id)
        for character in state["players"].values():
            character["connected"] = False
        return Room(room_id, World(state, room_seq, self._store is not None), self.sio, self._store)


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"ready: http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


async def main() -> None:
    variant = os.environ.get("VARIANT", "memory")
    if variant not in ("memory", "batched"):
        raise SystemExit(f"VARIANT: memory or batched, not {variant}")
    store = await Store.open(os.environ["DATABASE_URL"]) if variant == "batched" else None
    app = socketio.ASGIApp(Peer(store).sio)
    # Engine.IO has pings of its own.
    config = uvicorn.Config(
        app,
        port=int(os.environ.get("PORT", "2568")),
        log_level="error",
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        timeout_graceful_shutdown=1,
    )
    ends = [asyncio.create_task(Server(config).serve())]
    if store is not None:
        ends.append(asyncio.create_task(store.write()))
    done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


if __name__ == "__main__":
    uvloop.run(main())
