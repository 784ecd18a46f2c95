"""The official SDKs in Node.js, told from a test what to do: see `puppet.mjs`."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from server.core.state import apply_in_place
from tests.canaries import KNOWN

ROOT = Path(__file__).parents[2]
WAIT_S = 20.0
SDKS = {"0.18": "sdk-018", "0.17": "sdk-017", "0.16": "colyseus.js"}

needs_node = pytest.mark.skipif(
    not (ROOT / "node_modules").exists() and not os.environ.get("CI"), reason="no node_modules"
)


class Failed(Exception):
    """The SDK's promise was rejected."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.code = error.get("code")
        self.message = error.get("message")
        self.reason = error.get("reason")


class Happened(NamedTuple):
    event: str
    details: dict[str, Any]


class Puppet:
    """One SDK in its own process."""

    def __init__(self, process: asyncio.subprocess.Process, version: str) -> None:
        self.version = version
        #: 0.16 knows no automatic reconnect, and no requests.
        self.reconnects = version != "0.16"
        self.requests = version == "0.18"
        self._process = process
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._rooms: dict[int, Room] = {}
        self._listening = asyncio.create_task(self._listen())

    async def join(self, url: str, how: str, *args: Any) -> "Room":
        """A room, as `client[how](...args)` gives it. Raises Failed."""
        answer = await self.call({"do": how, "url": url, "args": list(args)})
        room = self._room(answer["room"])
        room.session_id, room.room_id, room.token = answer["sessionId"], answer["roomId"], answer["token"]
        KNOWN.know(room.token.partition(":")[2])
        return room

    async def call(self, command: dict[str, Any]) -> Any:
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"id": number, **command}) + b"\n")
        return await asyncio.wait_for(self._answers[number], WAIT_S)

    def _room(self, number: int) -> "Room":
        if number not in self._rooms:
            self._rooms[number] = Room(self, number)
        return self._rooms[number]

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = msgspec.json.decode(line)
            if "id" not in said:
                await self._room(said.pop("room")).happened(Happened(said.pop("event"), said))
            elif "error" in said:
                self._answers[said["id"]].set_exception(Failed(said["error"]))
            else:
                self._answers[said["id"]].set_result(said["answer"])

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), WAIT_S)
        await self._listening


class Room:
    """The SDK's room, and the state that its messages make."""

    def __init__(self, puppet: Puppet, number: int) -> None:
        self.session_id = self.room_id = self.token = ""
        self.all: list[Happened] = []
        self.state: dict[str, Any] = {}
        self.room_seq = -1
        self.epoch = 0
        self.snapshots = 0
        self.wrong: list[str] = []
        self._puppet = puppet
        self._number = number
        self._read = 0
        self._news = asyncio.Condition()

    async def send(self, message_type: str, body: Any) -> None:
        await self._do("send", message_type, body)

    async def request(self, message_type: str, body: Any) -> Any:
        return await self._do("request", message_type, body)

    async def leave(self, consented: bool = True) -> None:
        await self._do("leave", consented)

    async def current_token(self) -> str:
        return str(await self._do("token"))

    async def expect(self, event: str, **details: Any) -> dict[str, Any]:
        """The next event with these details; those before it are passed over."""

        def found() -> dict[str, Any] | None:
            for index in range(self._read, len(self.all)):
                happened = self.all[index]
                if happened.event == event and details.items() <= happened.details.items():
                    self._read = index + 1
                    return happened.details
            return None

        return await self._until(found, f"{event} {details}")

    async def message(self, message_type: str, **fields: Any) -> dict[str, Any]:
        """The body of the next message of this type with these fields."""
        while True:
            body = (await self.expect("message", type=message_type))["body"]
            if fields.items() <= body.items():
                return dict(body)

    async def caught_up(self, room_seq: int) -> dict[str, Any]:
        return await self._until(lambda: self.state if self.room_seq >= room_seq else None, f"state at {room_seq}")

    async def happened(self, what: Happened) -> None:
        async with self._news:
            self.all.append(what)
            if what.event == "message" and what.details["type"] == "event.state_delta":
                self._follow(what.details["body"])
            self._news.notify_all()

    def _follow(self, body: dict[str, Any]) -> None:
        if body["kind"] == "volatile":
            return
        if body["kind"] == "snapshot":
            self.state = msgspec.json.decode(msgspec.json.encode(body["state"]))
            self.snapshots += 1
        else:
            if body["baseSeq"] != self.room_seq:
                self.wrong.append(f"a delta from {body['baseSeq']} came at {self.room_seq}")
            for patch in body["patches"]:
                apply_in_place(self.state, patch)
        self.room_seq, self.epoch = body["roomSeq"], body["epoch"]

    async def _do(self, what: str, *args: Any) -> Any:
        return await self._puppet.call({"do": what, "room": self._number, "args": list(args)})

    async def _until(self, found: Any, what: str) -> Any:
        try:
            async with asyncio.timeout(WAIT_S), self._news:
                while (result := found()) is None:
                    await self._news.wait()
                return result
        except TimeoutError:
            raise AssertionError(f"no {what}; last {self.all[-5:]}") from None


@asynccontextmanager
async def puppet(version: str) -> AsyncIterator[Puppet]:
    process = await asyncio.create_subprocess_exec(
        str(ROOT / "scripts/with-node"),
        "node",
        str(ROOT / "tests/sdk/puppet.mjs"),
        SDKS[version],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT / "tests/sdk",
        limit=8 * 1024 * 1024,
    )
    made = Puppet(process, version)
    try:
        yield made
    finally:
        await made.end()
