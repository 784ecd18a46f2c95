"""A real uvicorn on uvloop with each transport in turn, and endpoints that note what they hear."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
import uvloop

from server.edge.transport import Accept, Endpoint, Later, Refusal, UpgradeRequest, Wire, uvicorn_protocol
from tests.edge.transport.raw_client import Client


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of production: transports see its buffers and its order of events."""
    return {"uvloop": uvloop.new_event_loop}


class Recorder:
    """An endpoint that notes all it hears, and may be told to do something at each step."""

    def __init__(self, on: dict[str, Callable[..., None]] | None = None) -> None:
        self.wire: Wire
        self._on = on or {}
        self._heard: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    async def heard(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self._heard.get(), 10)

    def heard_nothing_more(self) -> bool:
        return self._heard.empty()

    def _note(self, step: str, *what: Any) -> None:
        self._heard.put_nowait((step, *what))
        if step in self._on:
            self._on[step](self.wire, *what)

    def opened(self, wire: Wire) -> None:
        self.wire = wire
        self._note("opened")

    def message(self, frame: bytes) -> None:
        self._note("message", frame)

    def text(self) -> None:
        self._note("text")

    def alive(self) -> None:
        self._note("alive")

    def choked(self) -> None:
        self._note("choked")

    def drained(self) -> None:
        self._note("drained")

    def closed(self, code: int) -> None:
        self._note("closed", code)


class Door:
    """The `Accept` of a test server; each test says what it answers."""

    def __init__(self) -> None:
        self.answer: Endpoint | Refusal | Later | Exception = Refusal(404, "closed")
        self.asked: list[UpgradeRequest] = []

    def accept(self, request: UpgradeRequest) -> Endpoint | Refusal | Later:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Server:
    def __init__(self, transport: Any, accept: Accept) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/p1/r1"
        self.uvicorn = uvicorn.Server(
            uvicorn.Config(hello, ws=uvicorn_protocol(transport, accept), lifespan="off", log_config=None)
        )

    @property
    def sockets(self) -> set[Any]:
        return self.uvicorn.server_state.connections

    async def serve(self) -> None:
        await self.uvicorn.serve(sockets=[self._socket])


async def hello(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def running(transport: Any, accept: Accept) -> AsyncIterator[Server]:
    server = Server(transport, accept)
    serving = asyncio.create_task(server.serve(), name="uvicorn")
    await until(lambda: server.uvicorn.started)
    try:
        yield server
    finally:
        server.uvicorn.should_exit = True
        await asyncio.wait_for(serving, 10)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


class Site:
    """A running server and those who dialled it."""

    def __init__(self, server: Server, door: Door) -> None:
        self.server = server
        self.door = door
        self._clients: list[Client] = []

    async def dial(self) -> Client:
        self._clients.append(await Client.dial(self.server.port))
        return self._clients[-1]

    async def connect(self, endpoint: Endpoint) -> Client:
        """A raw client, upgraded."""
        self.door.answer = endpoint
        client = await self.dial()
        status, _, _ = await client.upgrade()
        assert status == 101
        return client

    async def clear(self) -> None:
        while self._clients:
            self._clients.pop().cut()
        self.door.asked.clear()
        await until(lambda: not self.server.sockets)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["picows", "websockets"])
async def shared_site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """One server for a whole module: starting and stopping uvicorn costs more than a test."""
    door = Door()
    async with running(request.param, door.accept) as server:
        yield Site(server, door)


@pytest_asyncio.fixture(loop_scope="module")
async def site(shared_site: Site) -> AsyncIterator[Site]:
    yield shared_site
    await shared_site.clear()
