"""
A client for tests that speaks the wire itself: HTTP by httpx, frames by hand.

It does what an SDK does and no more, and says what it hears in order. On the way it checks what must hold for every
client at every time: a delta starts where the last one ended, and no event comes after the delta that covers it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.core.state import apply_in_place
from server.tools.wire import (
    JOIN_BYTE,
    LEAVE_BYTE,
    PING_BYTE,
    Failed,
    Joined,
    Message,
    Response,
    read,
    room_data,
    room_request,
)
from tests.canaries import KNOWN
from tests.serving import Server

WAIT_S = 10.0


class Heard(NamedTuple):
    """A message, or a signal under the name of its opcode."""

    type: str
    body: Any


class Answer(NamedTuple):
    """What came back for a `room.request`."""

    status: int
    body: Any


class Refused(Exception):
    """Matchmaking said no."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"{response.status_code} {response.text}")
        self.status = response.status_code
        self.body = response.json()
        self.headers = response.headers


class Connection:
    """One socket of a session, and what its client knows: the state, and where it stands."""

    def __init__(self, socket: ClientConnection, seat: dict[str, Any], before: "Connection | None" = None) -> None:
        self.socket = socket
        self.seat = seat
        self.session_id: str = seat["sessionId"]
        self.room_id: str = seat["roomId"]
        self.heard: list[Heard] = []
        self.token = ""
        #: The code and text of an ERROR frame.
        self.error: tuple[int, str] | None = None
        self.state: dict[str, Any] = {} if before is None else before.state
        self.room_seq = -1 if before is None else before.room_seq
        self.epoch = 0 if before is None else before.epoch
        self.next_seq = 1 if before is None else before.next_seq
        #: What must never be: said so by `check`.
        self.wrong: list[str] = []
        self._read: dict[str, int] = {}
        self._news = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    # -- what is heard --------------------------------------------------------------------------------------------

    async def expect(self, message_type: str, **fields: Any) -> Any:
        """The body of the next message of this type that has these fields; each is given out once."""
        return await self.until(lambda: self._next(message_type, fields), f"{message_type} {fields}")

    async def until(self, found: Callable[[], Any], what: str) -> Any:
        """What `found` returns, as soon as that is neither None nor False."""
        try:
            async with asyncio.timeout(WAIT_S), self._news:
                while (result := found()) is None or result is False:
                    assert not self._listening.done(), f"closed {self.close_code} before {what}; {self._last_words}"
                    await self._news.wait()
                return result
        except TimeoutError:
            raise AssertionError(f"no {what}; {self._last_words}") from None

    async def caught_up(self, room_seq: int) -> dict[str, Any]:
        """The state, once it is at least that of `room_seq`."""
        await self.until(lambda: self.room_seq >= room_seq, f"state at {room_seq}")
        return self.state

    async def is_let_in(self) -> bool:
        """Whether its dial ends with JOIN_ROOM, or with its close."""
        async with asyncio.timeout(WAIT_S), self._news:
            while not self.token and not self._listening.done():
                await self._news.wait()
        return bool(self.token)

    async def closed(self) -> int:
        """The close code, once the server has closed."""
        async with asyncio.timeout(WAIT_S):
            await asyncio.wait([self._listening])
        assert self.close_code is not None
        return self.close_code

    async def lost(self) -> None:
        """The server is gone without a word."""
        await asyncio.wait([self._listening])

    @property
    def close_code(self) -> int | None:
        return self.socket.close_code

    @property
    def close_reason(self) -> str | None:
        return self.socket.close_reason

    def of(self, message_type: str) -> list[Any]:
        """The bodies of all messages of this type so far."""
        return [heard.body for heard in self.heard if heard.type == message_type]

    async def silent(self) -> list[Heard]:
        """What has come by the time that a ping, sent now, is answered: frames keep their order."""
        pongs = len(self.of("pong"))
        await self.raw(PING_BYTE)
        await self.until(lambda: len(self.of("pong")) > pongs, "pong")
        return self.heard

    # -- what is said ---------------------------------------------------------------------------------------------

    async def raw(self, frame: bytes | str) -> None:
        await self.socket.send(frame)

    async def send(self, message_type: str | int, body: Any = None) -> None:
        """A message as the SDKs send it."""
        await self.raw(room_data(message_type, body))

    async def request(self, request_id: int, message_type: str, body: Any) -> Answer:
        """`room.request` of SDK 0.18."""
        await self.raw(room_request(request_id, message_type, body))
        return await self.until(lambda: self._next_of(f"response {request_id}"), f"response {request_id}")

    async def intent(self, message_type: str, **fields: Any) -> int:
        """The next intent; its number."""
        seq, self.next_seq = self.next_seq, self.next_seq + 1
        await self.send(message_type, {"seq": seq, **fields})
        return seq

    async def add(self, amount: int = 1) -> int:
        return await self.intent("intent.add", amount=amount)

    async def act(self, message_type: str, **fields: Any) -> dict[str, Any]:
        """The outcome of the next intent: its ack, or its reject."""
        return await self.outcome(await self.intent(message_type, **fields))

    async def added(self, amount: int = 1) -> int:
        """The roomSeq of an addition, acked."""
        ack = await self.act("intent.add", amount=amount)
        assert ack.get("status") == "applied", ack
        return int(ack["roomSeq"])

    async def outcome(self, seq: int) -> dict[str, Any]:
        """The next answer that carries this number."""

        def answered() -> Any:
            return self._next("event.ack", {"seq": seq}) or self._next("event.reject", {"seq": seq})

        return await self.until(answered, f"the outcome of {seq}")

    async def confirm(self) -> None:
        await self.raw(JOIN_BYTE)

    def stop_reading(self) -> None:
        """From now on the socket fills."""
        self.socket.transport.pause_reading()

    def read_on(self) -> None:
        self.socket.transport.resume_reading()

    async def leave(self) -> int:
        await self.raw(LEAVE_BYTE)
        return await self.closed()

    async def cut(self) -> None:
        """The network is gone."""
        self.socket.transport.abort()
        await asyncio.wait([self._listening])

    async def end(self) -> None:
        await self.cut()
        await self.socket.wait_closed()

    # -- inside ---------------------------------------------------------------------------------------------------

    @property
    def _last_words(self) -> str:
        return f"last heard {self.heard[-6:]}"

    def _next(self, message_type: str, fields: dict[str, Any]) -> Any:
        for index in range(self._read.get(message_type, 0), len(self.heard)):
            heard = self.heard[index]
            if heard.type == message_type and all(heard.body.get(name) == value for name, value in fields.items()):
                self._read[message_type] = index + 1
                return heard.body
        return None

    def _next_of(self, message_type: str) -> Any:
        return next((heard.body for heard in self.heard if heard.type == message_type), None)

    async def _listen(self) -> None:
        try:
            async for frame in self.socket:
                assert isinstance(frame, bytes), "the server sends no text"
                async with self._news:
                    self._take(frame)
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        finally:
            async with self._news:
                self._news.notify_all()

    def _take(self, frame: bytes) -> None:
        said = read(frame)
        if isinstance(said, Message):
            self.heard.append(Heard(said.type, said.body))
            self._follow(said.type, said.body)
        elif isinstance(said, Joined):
            self.token = said.token
            KNOWN.know(self.token)
            self.heard.append(Heard("joined", {}))
        elif isinstance(said, Failed):
            self.error = (said.code, said.message)
            self.heard.append(Heard("error", {}))
        elif isinstance(said, Response):
            self.heard.append(Heard(f"response {said.request_id}", Answer(said.status, said.body)))
        else:
            self.heard.append(Heard("pong", {}))

    def _follow(self, message_type: str, body: Any) -> None:
        if message_type == "event.chat" and body["roomSeq"] <= self.room_seq:
            self.wrong.append(f"an event of {body['roomSeq']} came at {self.room_seq}")
        if message_type != "event.state_delta" or body["kind"] == "volatile":
            return
        if body["kind"] == "snapshot":
            self.state = deepcopy(body["state"])
        else:
            if body["baseSeq"] != self.room_seq:
                self.wrong.append(f"a delta from {body['baseSeq']} came at {self.room_seq}")
            for patch in body["patches"]:
                apply_in_place(self.state, patch)
        if body["epoch"] < self.epoch:
            self.wrong.append(f"epoch {body['epoch']} came after {self.epoch}")
        self.room_seq, self.epoch = body["roomSeq"], body["epoch"]


class Client:
    """Dials one server; `end` ends all it dialled."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Without certificates, which take longer to load than most tests.
        hooks = {"request": [_know_bearer]}
        self.http = httpx.AsyncClient(base_url=url, timeout=WAIT_S, verify=False, event_hooks=hooks)
        self._connections: list[Connection] = []

    async def matchmake(self, method: str, name: str, token: str | None = None, **options: Any) -> dict[str, Any]:
        """A seat; raises Refused."""
        KNOWN.know(options.get("accessToken"))
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        response = await self.http.post(f"/matchmake/{method}/{name}", json=options, headers=headers)
        if response.status_code != 200:
            raise Refused(response)
        return dict(response.json())

    async def dial(
        self, seat: dict[str, Any], token: str | None = None, before: Connection | None = None, **headers: str
    ) -> Connection:
        """The seat's WebSocket, open; nothing of the room has been heard."""
        query = {"sessionId": seat["sessionId"]} | ({} if token is None else {"reconnectionToken": token})
        url = f"{self.url.replace('http', 'ws', 1)}/{seat['processId']}/{seat['roomId']}?{urlencode(query)}"
        socket = await connect(url, additional_headers=headers, compression=None, max_size=None, proxy=None)
        self._connections.append(Connection(socket, seat, before))
        return self._connections[-1]

    async def join(self, name: str = "counter", method: str = "create", **options: Any) -> Connection:
        """A session in a room (by default a new one), with its first snapshot."""
        return await self.enter(await self.matchmake(method, name, **options))

    async def join_by_id(self, other: Connection, **options: Any) -> Connection:
        """Another session in the same room."""
        return await self.join(other.room_id, "joinById", **options)

    async def enter(self, seat: dict[str, Any]) -> Connection:
        connection = await self.dial(seat)
        await connection.expect("joined")
        await connection.confirm()
        await connection.expect("event.ack", kind="handshake")
        await connection.expect("event.state_delta", kind="snapshot")
        return connection

    async def redial(self, before: Connection, token: str | None = None) -> Connection:
        """What an SDK does when its socket is gone: the same session, by its token. Not yet confirmed."""
        return await self.dial(before.seat, token or before.token, before)

    async def back(self, before: Connection) -> Connection:
        """Redialled, and confirmed: the handshake has been heard."""
        connection = await self.redial(before)
        await connection.expect("joined")
        await connection.confirm()
        await connection.expect("event.ack", kind="handshake")
        return connection

    async def guest(self, name: str = "Ada") -> dict[str, Any]:
        response = await self.http.post("/api/auth/guest", json={"name": name})
        assert response.status_code == 200, response.text
        KNOWN.know(response.json()["accessToken"])
        return dict(response.json())

    async def end(self) -> None:
        for connection in self._connections:
            await connection.end()
        await self.http.aclose()
        assert not (wrong := [words for connection in self._connections for words in connection.wrong]), wrong


async def _know_bearer(request: httpx.Request) -> None:
    KNOWN.know(request.headers.get("Authorization", "").removeprefix("Bearer "))


class Clients:
    """Makes clients for one test."""

    def __init__(self) -> None:
        self._clients: list[Client] = []

    def __call__(self, server: Server | str) -> Client:
        self._clients.append(Client(server if isinstance(server, str) else server.url))
        return self._clients[-1]

    async def end(self) -> None:
        for client in self._clients:
            await client.end()


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    made = Clients()
    yield made
    await made.end()


@pytest.fixture
async def client(server: Server, clients: Clients) -> Client:
    """A client of the shared server."""
    return clients(server)
