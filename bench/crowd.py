"""
A crowd: thousands of connections in a process of their own, which mostly keep still.

It does what its owner asks, through a pipe, one thing at a time: `Grow`, `Play`, nothing (None) at the end. A member
answers JOIN_ROOM and pings, and counts; what the frames say is checked by other benchmarks.
"""

import asyncio
import json
import resource
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from contracts import PROTOCOL_VERSION
from contracts.events import IntentAck, Snapshot
from contracts.intents import Add, Move
from server.core.colyseus.frames import Opcode, header

#: Members on their way in at once.
JOINING_AT_ONCE = 32
#: For one member to be in.
JOIN_S = 30.0
#: After the last intent, for what is not yet answered.
ANSWERS_S = 3.0

_ACK = header(IntentAck.TYPE)
_STATE = header(Snapshot.TYPE)
_JOIN_BYTE = bytes((Opcode.JOIN_ROOM,))
_INTENTS: Mapping[str, tuple[bytes, Callable[[int], dict[str, int]]]] = {
    # A step to the right and back: the tiles beside a spawn tile are always open.
    "game": (header(Move.TYPE), lambda seq: {"seq": seq, "dx": 1 if seq % 2 else -1, "dy": 0}),
    "counter": (header(Add.TYPE), lambda seq: {"seq": seq, "amount": 1}),
}


class Grow(msgspec.Struct, frozen=True):
    """Join until there are so many; the answer is how many there are."""

    to: int


class Play(msgspec.Struct, frozen=True):
    """The first `members` send so many intents a second each; the answer is how many were sent and how many acked."""

    members: int
    rate: float
    seconds: float


class Crowd(msgspec.Struct, frozen=True):
    """What rooms it sits in: each is filled in turn."""

    room: str
    rooms: int


class Member(WSListener):
    """One connection."""

    __slots__ = ("acked", "is_closed", "joined", "sent", "wire")

    def __init__(self) -> None:
        self.sent = 0
        self.acked = 0
        self.is_closed = False
        self.joined: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.wire = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.BINARY:
            return
        payload = frame.get_payload_as_bytes()
        if self.joined is None:
            self.acked += payload.startswith(_ACK)
        elif payload.startswith(_STATE):
            self.joined.set_result(None)
            self.joined = None
        elif payload.startswith(_JOIN_BYTE):
            transport.send(WSMsgType.BINARY, _JOIN_BYTE)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_closed = True
        if self.joined is not None:
            self.joined.set_exception(ConnectionError("a member was closed before it was in"))


class Http:
    """One HTTP connection, kept open: a crowd asks twice for each member."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)

    async def open(self) -> "Http":
        self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        return self

    async def post(self, path: str, body: dict[str, object]) -> dict[str, str]:
        """The answer's JSON; anything but 200 is a RuntimeError."""
        sent = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {self._address.netloc}\r\nContent-Length: {len(sent)}\r\n\r\n"
        self._writer.write(head.encode() + sent)
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        got = await self._reader.readexactly(length)
        if " 200 " not in status:
            raise RuntimeError(f"{path}: {status}: {got.decode()}")
        found: dict[str, str] = json.loads(got)
        return found

    def close(self) -> None:
        self._writer.close()


def run(url: str, crowd: Crowd, pipe: Connection) -> None:
    """The process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_obey(url, crowd, pipe))


async def _obey(url: str, crowd: Crowd, pipe: Connection) -> None:
    rooms: list[str] = []
    members: list[Member] = []
    # In a thread, for the members' pings have to be answered meanwhile.
    while (order := await asyncio.to_thread(pipe.recv)) is not None:
        if isinstance(order, Grow):
            await grow(url, crowd, rooms, members, order.to)
            pipe.send(len(members))
        else:
            pipe.send(await _play(crowd.room, members[: order.members], order))
        lost = sum(member.is_closed for member in members)
        if lost:
            raise RuntimeError(f"{lost} members were closed")
    for member in members:
        member.wire.disconnect()


async def grow(url: str, crowd: Crowd, rooms: list[str], members: list[Member], to: int) -> None:
    """Add members until there are `to`, and to `rooms` their ids as they are made."""
    https = [await Http(url).open() for _ in range(JOINING_AT_ONCE)]
    while len(rooms) < crowd.rooms and len(members) < to:
        members.append(await _join(url, https[0], f"create/{crowd.room}", rooms))
    places = iter(range(len(members), to))

    async def joining(http: Http) -> None:
        for place in places:
            members.append(await _join(url, http, f"joinById/{rooms[place % len(rooms)]}"))

    await asyncio.gather(*(joining(http) for http in https))
    for http in https:
        http.close()


async def _join(url: str, http: Http, place: str, rooms: list[str] | None = None) -> Member:
    """By matchmaking as an SDK does it: a guest's token, a seat, a socket, the join byte."""
    guest = await http.post("/api/auth/guest", {})
    options = {"accessToken": guest["accessToken"], "protocolVersion": PROTOCOL_VERSION, "resume": True}
    seat = await http.post(f"/matchmake/{place}", options)
    if rooms is not None:
        rooms.append(seat["roomId"])
    socket = f"{url.replace('http', 'ws', 1)}/{seat['processId']}/{seat['roomId']}?sessionId={seat['sessionId']}"
    member = Member()
    joined = member.joined
    assert joined is not None
    await ws_connect(lambda: member, socket)
    async with asyncio.timeout(JOIN_S):
        await joined
    return member


async def _play(room: str, members: list[Member], play: Play) -> tuple[int, int]:
    """Each at its own phase of the period."""
    began, turns = time.perf_counter(), round(play.seconds * play.rate)
    for turn in range(turns):
        for place, member in enumerate(members):
            wait_s = began + (turn + place / len(members)) / play.rate - time.perf_counter()
            if wait_s > 0.001:
                await asyncio.sleep(wait_s)
            member.sent += 1
            member.wire.send(WSMsgType.BINARY, _frame(room, member.sent))
        await asyncio.sleep(0)
    await asyncio.sleep(ANSWERS_S)
    return sum(member.sent for member in members), sum(member.acked for member in members)


def _frame(room: str, seq: int) -> bytes:
    head, body = _INTENTS[room]
    return head + msgspec.msgpack.encode(body(seq))
