"""Bots against a real server: that all is well when it is, and that it is told when it is not."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.core.colyseus.frames import join_room
from server.exit_codes import ExitCode
from server.runtime.tasks import Tasks
from server.tools.bots.bot import Bot
from server.tools.bots.checking import check
from server.tools.bots.colyseus import Colyseus
from server.tools.bots.courses import Still
from server.tools.bots.dialect import NoSuchRoom, Seat
from server.tools.bots.dialects import dialect_of
from server.tools.bots.holdfast import folded
from server.tools.bots.joining import Joiner
from server.tools.bots.plan import plan_of
from server.tools.bots.result import Plan, Progress, Result
from server.tools.bots.room import Room, Stand
from server.tools.bots.run import NothingMeasured, run
from server.tools.bots.tally import Tally
from tests.bots.runs import MACHINE
from tests.cli.command import holdfast, interrupt, start
from tests.serving import Server, Servers

SPECIMENS = json.loads((Path(__file__).parent / "colyseus-schema-vectors.json").read_text())["frames"]


def plan(url: str, **changes: Any) -> Plan:
    asked: dict[str, Any] = {
        "url": url,
        "target": "holdfast",
        "room": "game",
        "rooms": 2,
        "clients": 6,
        "rate_hz": 15,
        "duration": "1.2s",
        "warmup": "0.3s",
        "model": "open",
        "seed": 3,
    }
    return plan_of(**(asked | changes))


async def played(asked: Plan, is_over: asyncio.Event | None = None) -> tuple[Result, list[Progress]]:
    told: list[Progress] = []
    result = await run(asked, dialect_of(asked), MACHINE, told.append, is_over or asyncio.Event())
    return result, told


def assert_nothing_wrong(result: Result) -> None:
    assert [] == result.problems
    assert (0, 0, 0, 0, 0) == (result.lost, result.doubled, result.gaps, result.diverged, result.unanswered)


@pytest.mark.parametrize("room", ["game", "counter"])
@pytest.mark.parametrize("model", ["open", "closed"])
async def test_every_intent_is_acked_shown_to_others_and_in_the_state(server: Server, room: str, model: str) -> None:
    result, told = await played(plan(server.url, room=room, model=model))
    assert_nothing_wrong(result)
    asked = round(6 * 15 * 1.2)
    assert (asked, asked) == (result.sent, result.acked)
    assert (asked, asked) == (result.ack_ms.count, result.seen_ms.count)
    assert result.ack_ms.p50 <= result.seen_ms.p50 < 1000
    assert 0 < result.bytes_in < result.bytes_in_per_client_s * 6 * result.seconds * 1.01
    assert ["joining", "warmup", "measuring", "settling"] == list(dict.fromkeys(each.phase for each in told))
    assert (6, 6) == (told[-1].joined, told[-1].clients)
    assert {} == result.errors


async def test_the_rooms_are_as_many_as_asked_for_and_all_bots_leave(server: Server) -> None:
    before = await server.metric("holdfast_connections")
    joiner = Joiner(asked := plan(server.url, rooms=3, clients=7), dialect_of(asked), Tally(), tasks(), asyncio.Event())
    await joiner.join_all()
    assert [3, 2, 2] == sorted((len(room.bots) for room in joiner.rooms), reverse=True)
    assert before + 7 == await server.metric("holdfast_connections")
    await joiner.leave_all()
    async with asyncio.timeout(5):
        while await server.metric("holdfast_connections") > before:
            await asyncio.sleep(0.02)


async def test_bots_that_only_look_on_ask_for_nothing(server: Server) -> None:
    result, _ = await played(plan(server.url, rate_hz=0, duration="0.3s"))
    assert_nothing_wrong(result)
    assert (0, 0, 0) == (result.sent, result.acked, result.ack_ms.count)


async def test_what_the_server_refuses_is_counted_by_its_code(serve: Servers) -> None:
    server = await serve(intent_rate=5, intent_burst=5)
    result, _ = await played(plan(server.url, rate_hz=40))
    assert_nothing_wrong(result)
    assert {"rate_limited"} == result.rejected.keys()
    assert result.sent == result.acked + result.rejected["rate_limited"]


async def test_bots_that_are_told_to_wait_wait_and_get_in(serve: Servers) -> None:
    """As many requests and sockets at once as two bots need."""
    server = await serve(limit_loopback="true", http_rate=8, http_burst=5, connect_rate=4, connect_burst=2)
    result, told = await played(plan(server.url, duration="0.5s"))
    assert_nothing_wrong(result)
    assert {"joins that had to wait"} == result.errors.keys()
    assert 6 == told[-1].joined


async def test_a_killed_server_loses_nothing_and_the_bots_come_back(serve: Servers) -> None:
    """Killed while intents are always on their way; the bots go on with the one that starts on its port."""
    server = await serve()
    running = asyncio.ensure_future(played(plan(server.url, duration="6s", clients=12)))
    await asyncio.sleep(2)
    await server.kill()
    await serve.again(server)
    result, _ = await running
    assert_nothing_wrong(result)
    assert 12 == result.reconnects
    assert result.errors["closed 1006"] == 12
    assert result.sent == result.acked == 12 * 15 * 6
    # Latency counts from when an intent was due: those that waited for the server say so.
    assert 500 < result.ack_ms.max


async def test_a_run_that_is_ended_early_tells_what_was_measured(server: Server) -> None:
    is_over = asyncio.Event()
    asyncio.get_running_loop().call_later(2.0, is_over.set)
    result, _ = await played(plan(server.url, duration="60s"), is_over)
    assert_nothing_wrong(result)
    assert 0.3 < result.seconds < 3
    assert 0 < result.acked == result.sent


async def test_a_run_that_is_ended_before_it_measured_has_nothing_to_tell(server: Server) -> None:
    is_over = asyncio.Event()
    is_over.set()
    with pytest.raises(NothingMeasured):
        await played(plan(server.url), is_over)


def tasks() -> Tasks:
    return Tasks(lambda name, error: None)


class Joined:
    """Bots of one room, at rest, before they are checked."""

    def __init__(self, joiner: Joiner, tally: Tally, asked: Plan) -> None:
        self.bots = joiner.bots
        self.tally = tally
        self.dialect = dialect_of(asked)

    async def checked(self) -> dict[str, int]:
        await check(self.bots, self.dialect, self.tally)
        counts = {name: getattr(self.tally, name) for name in ("lost", "doubled", "gaps", "diverged")}
        return {name: count for name, count in counts.items() if count}


@pytest.fixture
async def joined(server: Server) -> AsyncIterator[Joined]:
    asked, tally = plan(server.url, rooms=1, clients=4), Tally()
    joiner = Joiner(asked, dialect_of(asked), tally, tasks(), asyncio.Event())
    await joiner.join_all()
    async with asyncio.timeout(5):
        while len({bot.stand.room_seq for bot in joiner.bots}) > 1:
            await asyncio.sleep(0.02)
    yield Joined(joiner, tally, asked)
    await joiner.leave_all()


async def test_states_that_are_the_servers_pass(joined: Joined) -> None:
    assert ({}, []) == (await joined.checked(), joined.tally.problems)


async def test_a_state_that_is_not_the_servers_has_diverged(joined: Joined) -> None:
    """One tile more in one bot's world; the others are not blamed."""
    bot = joined.bots[1]
    bot.stand = Stand(bot.stand.room_seq, folded(bot.stand.state, {"world": {"width": 7}}), bot.stand.epoch)
    assert {"diverged": 1} == await joined.checked()
    assert f"{bot}: at roomSeq {bot.stand.room_seq} its state is not the server's" == joined.tally.problems[0]


async def test_an_ack_without_effect_is_lost(joined: Joined) -> None:
    """As if the server had acked two steps to the right and kept none."""
    for _ in range(2):
        joined.bots[0].course.acked((1, 0))
    assert {"lost": 2} == await joined.checked()


async def test_an_ack_that_no_state_covers_is_lost(joined: Joined) -> None:
    joined.bots[0].room.acked_to = joined.bots[0].stand.room_seq + 5
    assert {"lost": 4} == await joined.checked()


async def test_who_is_not_there_at_the_end_is_not_called_checked(joined: Joined) -> None:
    bot = joined.bots[2]
    assert bot.wire is not None
    bot.on_drop = None
    bot.wire.underlying_transport.abort()
    async with asyncio.timeout(5):
        while bot.is_live:
            await asyncio.sleep(0.01)
    # The others are shown that it has dropped.
    await asyncio.sleep(0.2)
    assert {} == await joined.checked()
    assert [f"{bot}: not connected at the end, so not checked (it was on its way back)"] == joined.tally.problems


async def test_a_room_that_the_server_has_not_is_said_so(server: Server) -> None:
    asked = plan(server.url)
    with pytest.raises(NoSuchRoom, match="nowhere-at-all"):
        await dialect_of(asked).seat("nowhere-at-all", None)


async def test_the_states_of_colyseus_are_followed_from_its_frames() -> None:
    """The official server's frames of a join, whatever the SDK's version."""
    for name in ("join_room_any_sdk", "join_room_017", "join_room_018", "join_room_018_with_input_sections"):
        tally = Tally()
        bot = Bot(Room("r", tally), Seat("r", "s1", "ws://"), Colyseus("http://"), Still(), tally, None)
        bot.connected(Deaf())  # type: ignore[arg-type]
        for frame in (SPECIMENS[name], SPECIMENS["room_state"], *SPECIMENS["patches"]):
            bot.hear(bytes.fromhex(frame))
        state = Colyseus("http://").plain(bot.stand.state)
        assert ([], "tok123", 5) == (tally.problems, bot.token, state["tick"])
        assert {"name": "bob", "x": 56, "y": -2} == state["players"]["s1"]


async def test_a_patch_of_colyseus_that_does_not_fit_is_a_gap() -> None:
    tally = Tally()
    bot = Bot(Room("r", tally), Seat("r", "s1", "ws://"), Colyseus("http://"), Still(), tally, None)
    bot.connected(Deaf())  # type: ignore[arg-type]
    for frame in (SPECIMENS["join_room_018"], SPECIMENS["room_state"], "0fff63810b00"):
        bot.hear(bytes.fromhex(frame))
    assert (1, 1) == (tally.gaps, tally.problem_count)
    bot.hear(join_room("again"))
    assert "again" == bot.token


class Deaf:
    def send(self, kind: object, frame: bytes) -> None:
        pass


# -- the command ------------------------------------------------------------------------------------------------------


async def test_the_command_tells_the_result_to_programs_and_to_people(server: Server, tmp_path: Path) -> None:
    flags = ("--clients", 4, "--rooms", 2, "--duration", "1s", "--warmup", 0, "--url", server.url)
    page = tmp_path / "report.html"
    ended = await holdfast(
        "bots", *flags, "--json", "-", "--report", page, "--assert", "lost==0", "--assert", "acked>=40"
    )
    result = ended.json
    assert (40, 40, 0) == (result["sent"], result["acked"], result["problemCount"])
    assert [True, True] == [asserted["passed"] for asserted in result["assertions"]]
    assert server.url == result["plan"]["url"]
    assert "holdfast" == result["server"]["name"]
    assert page.read_text().startswith("<!doctype html>")
    assert "acked" in ended.err


async def test_an_assertion_that_fails_ends_with_1(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    flags = ("--clients", 2, "--duration", "0.5s", "--warmup", 0, "--url", server.url, "--json", file)
    ended = await holdfast("bots", *flags, "--assert", "ack.p50<0.001ms")
    assert ExitCode.PROBLEM == ended.code
    assert [False] == [asserted["passed"] for asserted in json.loads(file.read_bytes())["assertions"]]


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (("--assert", "ack.p98<5ms"), ExitCode.USAGE, "no such name 'ack.p98'"),
        (("--assert", "lost"), ExitCode.USAGE, "is no assertion"),
        (("--duration", "soon"), ExitCode.USAGE, "--duration: expected a time"),
        (("--duration", "0"), ExitCode.USAGE, "--duration: expected more"),
        (("--rooms", 9, "--clients", 3), ExitCode.USAGE, "--rooms"),
        (("--room", "chess"), ExitCode.USAGE, "the bots know counter, game, plaza"),
        (("--url", "localhost:2567"), ExitCode.USAGE, "--url: expected such as"),
        (("--json", "/nowhere/result.json"), ExitCode.USAGE, "there is no folder"),
        (("--url", "http://127.0.0.1:1"), ExitCode.SERVER, "no server answers at http://127.0.0.1:1"),
    ],
)
async def test_what_can_not_begin_ends_in_one_line(flags: tuple[object, ...], code: ExitCode, told: str) -> None:
    ended = await holdfast("bots", *flags)
    assert (code, "") == (ended.code, ended.out)
    assert told in ended.err
    assert 1 == ended.err.count("\n"), ended.err


async def test_a_server_of_another_kind_is_no_target(server: Server) -> None:
    ended = await holdfast("bots", "--url", f"{server.url}/elsewhere")
    assert (ExitCode.SERVER, 1) == (ended.code, ended.err.count("\n"))
    assert "does not answer as Holdfast does" in ended.err


async def test_ctrl_c_ends_the_load_and_tells_what_was_measured(server: Server) -> None:
    flags = ("--clients", 2, "--duration", "60s", "--warmup", 0, "--url", server.url, "--json", "-")
    process = await start("bots", *flags)
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while b"measuring" not in await process.stderr.readline():
            pass
        await asyncio.sleep(1)
        ended = await interrupt(process)
    assert 0 < ended.json["acked"] == ended.json["sent"]
    assert ended.json["seconds"] < 30


async def test_ctrl_c_before_anything_was_measured_is_an_interruption(server: Server) -> None:
    process = await start("bots", "--warmup", "60s", "--url", server.url)
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while b"warming up" not in await process.stderr.readline():
            pass
        ended = await interrupt(process)
    assert (ExitCode.INTERRUPTED, "") == (ended.code, ended.out)
