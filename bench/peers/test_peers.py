"""
One scenario on ours and on every variant of every peer, each played by its own client library: they are the same game.

`make peers` runs it, as it needs both peers installed.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from bench.peers.puppets import Player, Puppet, puppet
from bench.peers.walking import CLOSED_DOOR, OPEN, OPEN_DOOR, around, place, step, tile, walk
from bench.peers.world import SEED, make_world
from server.embedded import start_embedded

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COLYSEUS = (str(HERE / "colyseus" / "serve"),)
SOCKETIO = (str(HERE / "socketio" / "serve"),)
HOLDFAST = (sys.executable, "-c", "from server.cli import main; main()")
SDK = (str(ROOT / "scripts" / "with-node"), "node", str(HERE / "colyseus" / "puppet.mjs"))
SOCKETIO_CLIENT = (str(HERE / "socketio" / ".venv" / "bin" / "python"), str(HERE / "socketio" / "puppet.py"))
WAIT_S = 30.0


class Kind(NamedTuple):
    #: As the bots call it.
    target: str
    server: tuple[str, ...]
    client: tuple[str, ...]
    variant: str = ""

    @property
    def is_durable(self) -> bool:
        return self.variant != "memory"


KINDS = {
    "holdfast": Kind("holdfast", (*HOLDFAST, "serve"), SDK),
    "colyseus-memory": Kind("colyseus", COLYSEUS, SDK, "memory"),
    "colyseus-insert": Kind("colyseus", COLYSEUS, SDK, "insert"),
    "colyseus-batched": Kind("colyseus", COLYSEUS, SDK, "batched"),
    "socketio-memory": Kind("socketio", SOCKETIO, SOCKETIO_CLIENT, "memory"),
    "socketio-batched": Kind("socketio", SOCKETIO, SOCKETIO_CLIENT, "batched"),
}
PEERS = {name: kind for name, kind in KINDS.items() if kind.target != "holdfast"}
DURABLE = [name for name, kind in PEERS.items() if kind.is_durable]


class Served:
    """A server in a process of its own; `kill` it, and `start` it again."""

    def __init__(self, kind: Kind, environment: Mapping[str, str]) -> None:
        self.kind = kind
        self.database_url = environment.get("DATABASE_URL", "")
        self._environment = environment

    def start(self) -> str:
        """Its URL."""
        self._process = subprocess.Popen(
            self.kind.server, env={**os.environ, **self._environment}, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            _, _, url = line.strip().partition("ready: ")
            if url:
                return url
        raise AssertionError("the server ended before it was ready")

    def end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        assert self._process.wait(WAIT_S) is not None
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pair = asyncio.run(start_embedded(tmp_path_factory.mktemp("databases"), lambda words: None))
    yield pair.database_url
    asyncio.run(pair.stop())


@contextmanager
def _served(name: str, database_url: str, folder: Path) -> Iterator[Served]:
    kind = KINDS[name]
    if kind.target == "holdfast":
        environment = {"HOLDFAST_PORT": "0", "HOLDFAST_DATA_DIR": str(folder / "data")}
    else:
        database = name.replace("-", "_")
        asyncio.run(_fresh_database(database_url, database))
        url = database_url.replace("/holdfast?", f"/{database}?")
        environment = {"PORT": "0", "VARIANT": kind.variant, "DATABASE_URL": url}
    served = Served(kind, environment)
    yield served
    served.end(signal.SIGTERM)


async def _fresh_database(database_url: str, name: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


@pytest.fixture
def served(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Served]:
    with _served(request.param, database_url, tmp_path) as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Puppet]:
    async with puppet(served.kind.client) as client:
        yield client


async def two(served: Served, client: Puppet, url: str) -> tuple[Player, Player]:
    """Ada made the room, Bob is in it as well, and each sees the other."""
    ours = {"protocolVersion": "1", "seed": SEED} if served.kind.target == "holdfast" else {}
    ada = await client.join(url, None, {**ours, "name": "Ada"})
    bob = await client.join(url, ada.room_id, {**ours, "name": "Bob"})
    for player in (ada, bob):
        await player.sees(lambda state: len(state["players"]) == 2, "both")
    return ada, bob


@pytest.mark.parametrize("served", KINDS, indirect=True)
async def test_it_is_the_same_game(served: Served, client: Puppet) -> None:
    ada, bob = await two(served, client, served.start())
    await _same_world(ada, bob)
    await _numbers(ada, bob)
    await _obstacles(ada)
    await _doors(ada, bob)
    await _things(ada, bob)
    await _strikes(ada, bob)
    await _chat(ada, bob)
    await _rate(ada)
    await _same_state(ada, bob)
    if served.kind.is_durable and served.database_url:
        await _rows(served.database_url, [ada, bob])


@pytest.mark.parametrize("served", DURABLE, indirect=True)
async def test_a_room_is_back_after_kill_9(served: Served, client: Puppet) -> None:
    ada, bob = await two(served, client, served.start())
    await _doors(ada, bob)
    await _things(ada, bob)
    before = await ada.state()
    served.end(signal.SIGKILL)
    url = served.start()
    if served.kind.target == "socketio":
        eve = await client.join(url, ada.room_id, {"name": "Eve"})
    else:
        eve = await client.join(url, None, {"name": "Eve", "restore": ada.room_id})
    after = await eve.sees(lambda state: eve.session_id in state["players"], "itself")
    assert eve.room_id == ada.room_id
    del after["players"][eve.session_id]
    for character in before["players"].values():
        character["connected"] = False
    assert after == before
    assert (await eve.ask("intent.move", dx=1, dy=0))["status"] == "applied"


@pytest.mark.parametrize("served", DURABLE, indirect=True)
async def test_an_ack_waits_for_its_commit(served: Served, client: Puppet) -> None:
    ada, _ = await two(served, client, served.start())
    connection = await asyncpg.connect(served.database_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE actions IN ACCESS EXCLUSIVE MODE")
        asked = asyncio.create_task(ada.ask("intent.move", dx=1, dy=0))
        # What is not kept is judged and answered all the same.
        await ada.send("intent.move", {"seq": 999, "dx": 1, "dy": 0})
        assert (await ada.outcome(999))["code"] == "gap"
        await asyncio.sleep(0.3)
        assert not asked.done()
    assert (await asked)["status"] == "applied"
    await connection.close()


@pytest.mark.parametrize("served", [name for name, kind in KINDS.items() if kind.target != "socketio"], indirect=True)
async def test_who_drops_comes_back(served: Served, client: Puppet) -> None:
    """Meanwhile the character stands there, and afterwards the numbers go on."""
    ada, bob = await two(served, client, served.start())
    assert (await ada.ask("intent.move", dx=1, dy=0))["status"] == "applied"

    def is_there(state: dict[str, Any]) -> bool:
        there: bool = state["players"][ada.session_id]["connected"]
        return there

    await ada.cut()
    await bob.sees(lambda state: not is_there(state), "Ada away")
    await bob.sees(is_there, "Ada back")
    assert (await ada.ask("intent.move", dx=-1, dy=0))["status"] == "applied"
    state = await ada.state()
    await bob.sees(lambda bobs: bobs == state, "what Ada sees")


@pytest.mark.parametrize("served", PEERS, indirect=True)
async def test_bots_find_nothing_wrong(served: Served) -> None:
    """They see more than the scenario: order and numbers of every ack, and that no state differs from the server's."""
    url = served.start()
    flags = ["--url", url, "--target", served.kind.target, "--clients", "12", "--rooms", "3", "--duration", "2s"]
    bots = await asyncio.create_subprocess_exec(
        *HOLDFAST,
        "bots",
        *flags,
        "--assert",
        "rejected == 0",
        "--assert",
        "acked > 200",
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await bots.wait() == 0


# -- the scenario -----------------------------------------------------------------------------------------------------


async def _same_world(ada: Player, bob: Player) -> None:
    world = make_world()
    state = await ada.state()
    assert state["tiles"] == world["tiles"]
    assert state["items"] == world["items"]
    for player in (ada, bob):
        own = state["players"][player.session_id]
        assert {"x", "y", "hp", "facing", "inventory", "connected", "name", "playerId"} == own.keys()
        assert (own["hp"], own["facing"], own["inventory"], own["connected"]) == (10, "down", {}, True)
        assert all(46 <= own[axis] <= 50 for axis in "xy")


async def _numbers(ada: Player, bob: Player) -> None:
    """Each has one outcome, again when sent again; what is ahead is a gap, what is malformed uses its number up."""
    x, y = await place(ada)
    first = await ada.ask("intent.move", dx=0, dy=-1)
    assert first["status"] == "applied"
    own = (await bob.sees(lambda state: state["players"][ada.session_id]["y"] == y - 1, "the step"))["players"]
    assert (own[ada.session_id]["x"], own[ada.session_id]["facing"]) == (x, "up")
    await ada.send("intent.move", {"seq": 1, "dx": 0, "dy": -1})
    assert await ada.outcome(1, after=1) == {**first, "status": "duplicate"}
    await ada.send("intent.move", {"seq": 999, "dx": 0, "dy": -1})
    gap = await ada.outcome(999)
    assert (gap["code"], gap["expectedSeq"], gap["retryable"]) == ("gap", 2, True)
    for body in ({"dx": 0, "dy": 0}, {"dx": 2, "dy": 0}, {"dx": 1}, {"dx": "1", "dy": 0}):
        assert (await ada.ask("intent.move", **body))["code"] == "invalid"
    assert (await ada.ask("intent.action", action=""))["code"] == "invalid"
    assert (await ada.ask("intent.action", action="dance"))["code"] == "illegal"
    await ada.send("intent.action", {"seq": ada.seq, "action": "dance"})
    assert (await ada.outcome(ada.seq, after=1))["code"] == "illegal"
    second = await ada.ask("intent.move", dx=0, dy=1)
    assert second["roomSeq"] == first["roomSeq"] + 1
    assert await place(ada) == (x, y)


async def _obstacles(ada: Player) -> None:
    """Nobody walks into walls, water or closed doors."""
    await _is_stopped(ada, "3", "A wall is in the way.")
    await _is_stopped(ada, "4", "The water is too deep.")
    await _is_stopped(ada, "5", "The door is closed.")


async def _is_stopped(ada: Player, obstacle: str, words: str) -> None:
    rows = (await ada.state())["tiles"]
    at = await walk(ada, lambda at: any(tile(rows, beside) == obstacle for beside in around(at)))
    x, y = next(beside for beside in around(at) if tile(rows, beside) == obstacle)
    refusal = await ada.ask("intent.move", dx=x - at[0], dy=y - at[1])
    assert (refusal["code"], refusal["message"], refusal["retryable"]) == ("illegal", words, False)
    assert await place(ada) == at


async def _doors(ada: Player, bob: Player) -> None:
    rows = (await ada.state())["tiles"]
    before = await walk(ada, lambda at: any(tile(rows, beside) == CLOSED_DOOR for beside in around(at)))
    door = next(beside for beside in around(before) if tile(rows, beside) == CLOSED_DOOR)
    target = f"{door[0]},{door[1]}"
    assert (await bob.ask("intent.action", action="open", target=target))["code"] == "illegal"
    assert (await ada.ask("intent.action", action="open", target=target))["status"] == "applied"
    for player in (ada, bob):
        await player.sees(lambda state: tile(state["tiles"], door) == OPEN_DOOR, "the open door")
    await step(ada, before, door)
    stuck = await ada.ask("intent.action", action="open", target=target)
    assert stuck["message"] == "Someone stands in the doorway."
    await step(ada, door, before)
    assert (await ada.ask("intent.action", action="open", target=target))["status"] == "applied"
    await bob.sees(lambda state: tile(state["tiles"], door) == CLOSED_DOOR, "the closed door")
    assert (await ada.ask("intent.move", dx=door[0] - before[0], dy=door[1] - before[1]))["code"] == "illegal"


async def _things(ada: Player, bob: Player) -> None:
    """Taken, it is in one inventory and no more on the ground; dropped, it lies where its owner stands."""
    items = (await ada.state())["items"]
    here = await walk(ada, lambda at: any((item["x"], item["y"]) == at for item in items.values()))
    item_id = next(each for each, item in items.items() if (item["x"], item["y"]) == here)
    kind = items[item_id]["kind"]
    assert (await ada.ask("intent.action", action="take", target=item_id))["status"] == "applied"
    for player in (ada, bob):
        state = await player.sees(lambda state: item_id not in state["items"], "the thing gone")
        assert state["players"][ada.session_id]["inventory"] == {kind: 1}
    assert (await ada.ask("intent.action", action="take", target=item_id))["message"] == "That is not there any more."
    assert (await ada.ask("intent.action", action="drop", target="anvil"))["message"] == "You do not carry that."
    dropped = await ada.ask("intent.action", action="drop")
    new_id = f"i{dropped['roomSeq']}-0"
    state = await bob.sees(lambda state: new_id in state["items"], "the thing again")
    assert state["items"][new_id] == {"kind": kind, "x": here[0], "y": here[1]}
    assert state["players"][ada.session_id]["inventory"] == {}
    assert (await ada.ask("intent.action", action="drop"))["message"] == "You carry nothing."
    assert (await ada.ask("intent.action", action="take"))["status"] == "applied"
    await bob.sees(lambda state: state["players"][ada.session_id]["inventory"] == {kind: 1}, "it taken again")


async def _strikes(ada: Player, bob: Player) -> None:
    """Out of reach, then near, until Bob falls and wakes on the plaza with all his health."""
    strike = {"action": "strike", "target": bob.session_id}
    assert "out of reach" in (await ada.ask("intent.action", **strike))["message"]
    bobs = await place(bob)
    await walk(ada, lambda at: at in around(bobs))
    hp, left = 11, 10
    while left < hp:
        hp = left
        assert (await ada.ask("intent.action", **strike))["status"] == "applied"
        left = await _hp_unlike(bob, hp)
        assert hp - left in (1, 2, 3) or (left == 10 and hp <= 3)
    assert max(map(abs, (axis - 48 for axis in await place(bob)))) <= 2
    assert (await ada.ask("intent.action", action="strike", target=ada.session_id))["code"] == "illegal"


async def _hp_unlike(player: Player, hp: int) -> int:
    def own_hp(state: dict[str, Any]) -> int:
        own: int = state["players"][player.session_id]["hp"]
        return own

    return own_hp(await player.sees(lambda state: own_hp(state) != hp, "a strike"))


async def _chat(ada: Player, bob: Player) -> None:
    said = await ada.ask("intent.chat", text="  hello there ")
    line = await bob.until(lambda: next((body for kind, body in bob.heard if kind == "event.chat"), None), "line")
    assert line["text"] == "hello there"
    assert (line["sessionId"], line["roomSeq"], line["n"]) == (ada.session_id, said["roomSeq"], 0)
    for text in ("", "   ", "x" * 501, "two\nlines"):
        assert (await ada.ask("intent.chat", text=text))["code"] == "invalid"


async def _rate(ada: Player) -> None:
    """40 at once, 20 a second; what is too much is refused under its number."""
    await asyncio.sleep(2.5)
    first, ada.seq = ada.seq + 1, ada.seq + 70
    for seq in range(first, ada.seq + 1):
        await ada.send("intent.chat", {"seq": seq, "text": f"line {seq}"})
    told = [await ada.outcome(seq) for seq in range(first, ada.seq + 1)]
    counts = Counter(outcome.get("status") or outcome["code"] for outcome in told)
    assert set(counts) == {"applied", "rate_limited"}
    assert 40 <= counts["applied"] < 60
    assert all(len(ada.outcomes(seq)) == 1 for seq in range(first, ada.seq + 1))


async def _same_state(ada: Player, bob: Player) -> None:
    """And as Ada's moves and acks say."""
    state = await ada.state()
    await bob.sees(lambda bobs: bobs == state, "what Ada sees")
    assert ada.gaps == bob.gaps == []
    acks = [body["roomSeq"] for kind, body in ada.heard if kind == "event.ack" and body.get("status") == "applied"]
    assert acks == sorted(set(acks))
    assert tile(state["tiles"], await place(ada)) in OPEN


async def _rows(database_url: str, players: list[Player]) -> None:
    """All that was acked, and roomSeqs without a gap."""
    connection = await asyncpg.connect(database_url)
    rows: list[Any] = await connection.fetch("SELECT room_id, room_seq, session_id, seq FROM actions ORDER BY room_seq")
    await connection.close()
    assert [row["room_seq"] for row in rows] == [*range(1, len(rows) + 1)]
    kept = {tuple(row) for row in rows}
    for player in players:
        for kind, body in player.heard:
            if kind == "event.ack" and body.get("status") == "applied":
                assert (player.room_id, body["roomSeq"], player.session_id, body["seq"]) in kept
