"""
Presence: what Redis sees of players who come, stay and go, by its own counts; a part of `bench.storage`.

The server is the command as installed, with its default settings. What it asks of Redis depends on who comes and goes
and on time, not on what is played.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio
import websockets.asyncio.client as websockets

from contracts import PROTOCOL_VERSION
from server.core.colyseus.frames import Opcode
from server.embedded import Urls

SESSIONS = 100
ROOMS = 4
IDLE_S = 60.0
#: Until what a room tells Redis has been written.
SETTLED_S = 0.5
READY_S = 60.0
_READY = "Holdfast is ready: "
#: Asked by this module and by clients that connect.
_NOT_OURS = ("info", "hello", "client|setinfo", "auth", "flushdb", "scan", "memory|usage")


class Seen(msgspec.Struct, frozen=True):
    """What Redis saw of one thing."""

    #: Commands, with those that scripts ran.
    commands: float
    cpu_us: float
    bytes_in: float
    bytes_out: float


class Presence(msgspec.Struct, frozen=True):
    join: Seen
    leave: Seen
    #: A minute of these sessions, that do nothing, in `ROOMS` rooms; most of it is the node's own.
    idle_minute: Seen
    memory_bytes_a_session: float


class Counts(msgspec.Struct, frozen=True):
    commands: dict[str, tuple[int, int]]
    bytes_in: int
    bytes_out: int


async def measure(urls: Urls, sessions: int = SESSIONS, idle_s: float = IDLE_S) -> Presence:
    """Redis must be empty, and the database have its tables."""
    async with redis.asyncio.Redis.from_url(urls.redis_url, decode_responses=True) as client:
        with _serving(urls) as url:
            await asyncio.sleep(SETTLED_S)
            without = await _memory(client)
            start = await _counts(client)
            sockets = await _join(url, sessions)
            await asyncio.sleep(SETTLED_S)
            joined = await _counts(client)
            await asyncio.sleep(idle_s)
            idled = await _counts(client)
            memory = await _memory(client) - without
            leaving = await _counts(client)
            for socket in sockets:
                await socket.send(bytes((Opcode.LEAVE_ROOM,)))
                await socket.wait_closed()
            await asyncio.sleep(SETTLED_S)
            left = await _counts(client)
    return Presence(
        join=_seen(start, joined, sessions),
        leave=_seen(leaving, left, sessions),
        idle_minute=_seen(joined, idled, idle_s / 60),
        memory_bytes_a_session=memory / sessions,
    )


@contextmanager
def _serving(urls: Urls) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        command = [str(Path(sys.executable).with_name("holdfast")), "serve", "--port", "0"]
        with log.open("wb") as out:
            server = subprocess.Popen(
                [*command, "--database-url", urls.database_url, "--redis-url", urls.redis_url],
                stdout=out,
                stderr=out,
            )
        try:
            deadline = time.monotonic() + READY_S
            while _READY not in (said := log.read_text()):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not come up:\n{said[-2000:]}")
                time.sleep(0.05)
            yield said.partition(_READY)[2].split()[0]
        finally:
            server.terminate()
            server.wait()


async def _join(url: str, sessions: int) -> list[websockets.ClientConnection]:
    """Guests who have joined by matchmaking, each with its snapshot."""
    sockets: list[websockets.ClientConnection] = []
    rooms: list[str] = []
    for number in range(sessions):
        place = "create/game" if number < ROOMS else f"joinById/{rooms[number % ROOMS]}"
        seat = await asyncio.to_thread(_seat, url, place)
        rooms.append(seat["roomId"])
        at = f"{url.replace('http', 'ws', 1)}/{seat['processId']}/{seat['roomId']}?sessionId={seat['sessionId']}"
        socket = await websockets.connect(at, max_size=None, max_queue=None, compression=None, ping_interval=None)
        while (await socket.recv())[0] != Opcode.JOIN_ROOM:
            pass
        await socket.send(bytes((Opcode.JOIN_ROOM,)))
        sockets.append(socket)
    return sockets


def _seat(url: str, place: str) -> dict[str, str]:
    guest = _post(f"{url}/api/auth/guest", {})
    options = {"accessToken": guest["accessToken"], "protocolVersion": PROTOCOL_VERSION, "resume": False}
    return _post(f"{url}/matchmake/{place}", options)


def _post(url: str, body: dict[str, Any]) -> dict[str, str]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        found: dict[str, str] = json.load(answer)
    return found


async def _counts(client: "redis.asyncio.Redis[str]") -> Counts:
    commands = await client.info("commandstats")
    stats = await client.info("stats")
    return Counts(
        {
            name.removeprefix("cmdstat_"): (each["calls"], each["usec"])
            for name, each in commands.items()
            if not name.removeprefix("cmdstat_").startswith(_NOT_OURS)
        },
        stats["total_net_input_bytes"],
        stats["total_net_output_bytes"],
    )


async def _memory(client: "redis.asyncio.Redis[str]") -> int:
    """Bytes of all keys with their values. What else Redis takes and frees, like buffers, is not the sessions'."""
    keys = [key async for key in client.scan_iter(count=1_000)]
    return sum([await client.memory_usage(key, samples=0) or 0 for key in keys])


def _seen(before: Counts, after: Counts, times: float) -> Seen:
    calls = {name: each[0] - before.commands.get(name, (0, 0))[0] for name, each in after.commands.items()}
    cpu_us = {name: each[1] - before.commands.get(name, (0, 0))[1] for name, each in after.commands.items()}
    return Seen(
        commands=sum(calls.values()) / times,
        cpu_us=sum(cpu_us.values()) / times,
        bytes_in=(after.bytes_in - before.bytes_in) / times,
        bytes_out=(after.bytes_out - before.bytes_out) / times,
    )
