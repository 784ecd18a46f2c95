"""
One data folder through its life: verbs find its databases while the server runs, and when it has stopped.

The tests go on from each other, in their order.
"""

import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from server.embedded import read_running
from server.embedded.pair import homes_in
from server.storage.migrations import load_migrations
from tests.cli.command import Ended, holdfast, interrupt, start
from tests.serving import Server
from tests.wire import Client


class Life:
    """The folder, the server that now runs on it, and what a player saw last in the room they left behind."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.server = self.new_server()
        self.room_id = ""
        self.room_seq = 0
        self.state: dict[str, Any] = {}
        self.log = Ended(0, "", "")

    def new_server(self) -> Server:
        runs = Path(tempfile.mkdtemp(dir=self.data_dir.parent))
        return Server(runs, ["--data-dir", str(self.data_dir), "--port", "0"], {})

    async def play(self) -> None:
        await self.server.ready()
        client = Client(self.server.url)
        player = await client.join("game")
        ack = await player.act("intent.move", dx=1, dy=0)
        self.state = deepcopy(await player.caught_up(ack["roomSeq"]))
        self.room_id, self.room_seq = player.room_id, player.room_seq
        await player.leave()
        await client.end()

    async def verb(self, *args: object) -> Ended:
        return await holdfast(*args, "--data-dir", self.data_dir)


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    with tempfile.TemporaryDirectory(prefix="holdfast-cli-") as folder:
        life = Life(Path(folder))
        asyncio.run(life.play())
        yield life
        life.server.end()
        assert [] == life.server.leaks()
        asyncio.run(homes_in(life.data_dir).end(1.0))


async def test_serve_says_one_line_on_stdout_with_its_url(life: Life) -> None:
    said = (life.server.log.parent / "said").read_text()
    assert f"Holdfast is ready: {life.server.url}\n" == said


async def test_verbs_find_the_databases_of_a_running_server(life: Life) -> None:
    life.log = await life.verb("log", life.room_id, "--json")
    kinds = ["room.create", "session.join", "intent.move", "session.leave"]
    assert kinds == [row["kind"] for row in life.log.rows]
    state = await life.verb("state", life.room_id, "--at", life.room_seq, "--json")
    assert life.state == state.json["state"]


async def test_a_second_server_on_the_folder_says_who_has_it(life: Life) -> None:
    second = await life.verb("serve", "--port", 0)
    assert (75, "") == (second.code, second.out)
    assert f"in use by process {life.server.process.pid}" in second.err


async def test_a_port_that_is_taken_is_named(life: Life) -> None:
    urls = read_running(life.data_dir)
    assert urls is not None
    flags = ("--database-url", urls.database_url, "--redis-url", urls.redis_url)
    ended = await holdfast("serve", "--port", life.server.port, *flags)
    why = f"holdfast: cannot listen on 127.0.0.1:{life.server.port}: Address already in use\n"
    assert (71, "", why) == ended


async def test_a_doctor_finds_a_running_server_well_and_says_no_secret(life: Life) -> None:
    urls = read_running(life.data_dir)
    assert urls is not None
    settings = {"port": life.server.port, "database_url": urls.database_url, "redis_url": urls.redis_url}
    ended = await holdfast("doctor", "--json", **settings)
    found = {(finding["about"], finding["what"]): finding["found"] for finding in ended.json["findings"]}
    assert ended.json["isHealthy"]
    assert "holdfast" in found["machine", "port"]
    assert f"{len(load_migrations())} applied, 0 pending" == found["databases", "migrations"]
    assert not any(url.split(":")[2].split("@")[0] in ended.out for url in (urls.database_url, urls.redis_url))


async def test_a_log_is_followed_over_a_restart_of_server_and_databases(life: Life) -> None:
    following = await start("log", life.room_id, "--follow", "--json", "--data-dir", life.data_dir)
    assert following.stdout is not None
    for _ in life.log.rows:
        await following.stdout.readline()
    assert 0 == await life.server.stop()
    life.server = life.new_server()
    await life.server.ready()
    client = Client(life.server.url)
    player = await client.join(life.room_id, "joinById")
    row = json.loads(await following.stdout.readline())
    assert ("session.join", player.session_id, 2) == (row["kind"], row["sessionId"], row["epoch"])
    await player.leave()
    await client.end()
    assert 0 == (await interrupt(following)).code
    life.log = await life.verb("log", life.room_id, "--json")


async def test_sigterm_ends_the_server_and_its_databases_within_five_seconds(life: Life) -> None:
    before = time.monotonic()
    assert 0 == await life.server.stop()
    assert time.monotonic() - before < 5
    assert read_running(life.data_dir) is None


async def test_verbs_start_the_databases_of_a_stopped_server_for_the_while(life: Life) -> None:
    assert life.log == await life.verb("log", life.room_id, "--json")
    state = await life.verb("state", life.room_id, "--at", life.room_seq, "--json")
    assert life.state == state.json["state"]
    assert [("dormant", None)] == [(r["status"], r["nodeId"]) for r in (await life.verb("rooms", "--json")).json]
    assert read_running(life.data_dir) is None


async def test_a_verb_ended_by_sigterm_leaves_no_database_behind(life: Life) -> None:
    waiting = await start("doctor", "--data-dir", life.data_dir)
    while read_running(life.data_dir) is None:
        await asyncio.sleep(0.01)
    waiting.send_signal(signal.SIGTERM)
    out, _ = await waiting.communicate()
    assert (143, b"") == (waiting.returncode, out)
    assert read_running(life.data_dir) is None
