"""Players of the scenario: client libraries in processes of their own, told what to do; their states in one form."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from server.core.state import apply_in_place

WAIT_S = 10.0
#: Slower than the servers' rate, so that only who wants to is limited.
PACE_S = 0.055
FACINGS = ("up", "down", "left", "right")

Body = dict[str, Any]


class Player:
    """One client in a room. `tree` is its state as messages have made it, on servers that send it so."""

    def __init__(self, puppet: "Puppet", number: int, room_id: str, session_id: str) -> None:
        self.room_id = room_id
        self.session_id = session_id
        self.heard: list[tuple[str, Body]] = []
        self.tree: Body | None = None
        self.room_seq = -1
        self.gaps: list[str] = []
        self.seq = 0
        self._puppet = puppet
        self._number = number
        self._news = asyncio.Condition()

    # -- what it does -------------------------------------------------------------------------------------------------

    async def send(self, message_type: str, body: Body) -> None:
        await self._puppet.call({"do": "send", "player": self._number, "type": message_type, "body": body})

    async def cut(self) -> None:
        """Lose the connection; its library dials again."""
        await self._puppet.call({"do": "cut", "player": self._number})

    async def ask(self, message_type: str, **body: Any) -> Body:
        """The next intent, and its outcome."""
        await asyncio.sleep(PACE_S)
        self.seq += 1
        await self.send(message_type, {"seq": self.seq, **body})
        return await self.outcome(self.seq)

    async def outcome(self, seq: int, after: int = 0) -> Body:
        """The first ack or reject of that number, past so many others of it."""
        return await self.until(lambda: (self.outcomes(seq)[after:] or [None])[0], f"an outcome of {seq}")

    def outcomes(self, seq: int) -> list[Body]:
        return [body for kind, body in self.heard if kind in ("event.ack", "event.reject") and body.get("seq") == seq]

    # -- what it sees -------------------------------------------------------------------------------------------------

    async def state(self) -> Body:
        """What it is shown, of all that it was acked. Tiles as in `world.json`; the game's own fields only."""
        acked = [body["roomSeq"] for kind, body in self.heard if kind == "event.ack" and body["kind"] == "intent"]
        return (await self._shown(lambda room_seq, state: room_seq >= max(acked, default=0), "what was acked"))[1]

    async def sees(self, is_so: Callable[[Body], Any], what: str) -> Body:
        """What it is shown, once it is so."""
        return (await self._shown(lambda room_seq, state: is_so(state), what))[1]

    async def _shown(self, is_so: Callable[[int, Body], Any], what: str) -> tuple[int, Body]:
        deadline = time.monotonic() + WAIT_S
        while True:
            tree = self.tree or (await self._puppet.call({"do": "state", "player": self._number}))["state"]
            if tree and tree["players"]:
                room_seq, state = tree.get("roomSeq", self.room_seq), _in_one_form(tree)
                if is_so(room_seq, state):
                    return room_seq, state
            assert time.monotonic() < deadline, f"no {what}; last heard {self.heard[-5:]}"
            await asyncio.sleep(0.02)

    async def until(self, found: Callable[[], Any], what: str) -> Any:
        try:
            async with asyncio.timeout(WAIT_S), self._news:
                while (result := found()) is None:
                    await self._news.wait()
                return result
        except TimeoutError:
            raise AssertionError(f"no {what}; last heard {self.heard[-5:]}") from None

    async def hear(self, message_type: str, body: Body) -> None:
        async with self._news:
            if message_type == "event.state_delta":
                self._follow(body)
            self.heard.append((message_type, body))
            self._news.notify_all()

    def _follow(self, body: Body) -> None:
        if body["kind"] == "snapshot":
            self.tree = body["state"]
        else:
            assert self.tree is not None
            if body["baseSeq"] != self.room_seq:
                self.gaps.append(f"a delta from {body['baseSeq']} came at {self.room_seq}")
            for patch in body["patches"]:
                apply_in_place(self.tree, patch)
        self.room_seq = body["roomSeq"]


def _in_one_form(tree: Body) -> Body:
    players = {
        session_id: {**own, "facing": FACINGS[own["facing"]] if type(own["facing"]) is int else own["facing"]}
        for session_id, own in tree["players"].items()
    }
    return {"tiles": _rows(tree["world"]["tiles"]), "items": dict(tree["world"]["items"]), "players": players}


def _rows(tiles: Any) -> list[str]:
    if isinstance(tiles, list):
        return tiles
    rows: dict[int, dict[int, str]] = {}
    for chunk, lines in tiles.items():
        cx, cy = map(int, chunk.split(","))
        for line, row in lines.items():
            rows.setdefault(cy * 16 + int(line), {})[cx] = "".join(map(str, row))
    return ["".join(parts[cx] for cx in sorted(parts)) for _, parts in sorted(rows.items())]


class Puppet:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[Body]] = {}
        self._players: dict[int, Player] = {}
        #: What players heard before `join` was answered.
        self._early: list[tuple[int, str, Body]] = []
        self._listening = asyncio.create_task(self._listen())

    async def join(self, url: str, room_id: str | None, options: Body) -> Player:
        """A new room without a room id."""
        said = await self.call({"do": "join", "url": url, "roomId": room_id, "options": options})
        player = self._players[said["player"]] = Player(self, said["player"], said["roomId"], said["sessionId"])
        early, self._early = self._early, []
        for number, message_type, body in early:
            await self._players[number].hear(message_type, body)
        return player

    async def call(self, command: Body) -> Body:
        number = len(self._answers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"id": number, **command}) + b"\n")
        said: Body = await asyncio.wait_for(answer, WAIT_S)
        assert "error" not in said, said["error"]
        return said

    async def end(self) -> None:
        self._process.kill()
        await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = msgspec.json.decode(line)
            if "id" in said:
                self._answers[said["id"]].set_result(said)
            elif said["player"] in self._players:
                await self._players[said["player"]].hear(said["type"], said["body"])
            else:
                self._early.append((said["player"], said["type"], said["body"]))


@asynccontextmanager
async def puppet(argv: Sequence[str]) -> AsyncIterator[Puppet]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, limit=8 * 1024 * 1024)
    made = Puppet(process)
    try:
        yield made
    finally:
        await made.end()
