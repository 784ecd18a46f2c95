"""Resumes from before what memory holds, on a real journal."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts import limits
from contracts.intents import Resume
from server.embedded import Urls
from server.runtime.runner import RoomRunner
from server.storage import migrations
from tests.games import Loud
from tests.runtime.parts import Station, Tape, add, seat, station, until


@pytest.fixture
async def urls(databases: Urls, monkeypatch: pytest.MonkeyPatch) -> Urls:
    monkeypatch.setattr(limits, "HISTORY_ENTRIES_MAX", 5)
    await migrations.up(databases.database_url)
    return databases


@pytest.fixture
async def here(urls: Urls) -> AsyncIterator[Station]:
    async with station(urls, games={"loud": Loud}) as here:
        yield here


@pytest.fixture
async def operator(urls: Urls) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(urls.database_url)
    yield connection
    await connection.close()


async def played(here: Station, lines: int = 30) -> tuple[RoomRunner, Tape]:
    """A session that has said so many lines, joined at roomSeq 2; memory has forgotten all but the last few."""
    runner = await here.node.create("loud", {})
    link = seat(runner, "ada")
    for seq in range(1, lines + 1):
        add(runner, link, seq)
    await runner.durable()
    history = runner.room.output.history
    await until(lambda: history.last_seq - history.base_seq <= limits.HISTORY_ENTRIES_MAX)
    link.heard.clear()
    return runner, link


def resume(runner: RoomRunner, link: Tape, room_seq: int = 2) -> None:
    runner.step(lambda room: room.resume(link, Resume(room_seq=room_seq, epoch=1), 0))


def told(link: Tape) -> list[str]:
    """What a resume brought, a word each, in order."""
    return [body.get("kind", message_type) for _, message_type, body in link.heard]


async def answered(link: Tape) -> bool:
    await until(
        lambda: bool(link.of("event.state_delta", kind="delta") or link.of("event.state_delta", kind="snapshot"))
    )
    return bool(link.of("event.ack", kind="resume")[0]["recovered"])


async def test_it_is_as_whole_as_one_from_memory(here: Station) -> None:
    runner, link = await played(here)
    resume(runner, link)
    assert told(link) == []
    assert await answered(link)
    assert told(link) == ["resume", *["event.chat"] * 30, "delta"]
    assert [line["roomSeq"] for line in link.of("event.chat")] == list(range(3, 33))
    (delta,) = link.of("event.state_delta")
    assert (delta["baseSeq"], delta["roomSeq"], delta["patches"]) == (2, 32, [{"total": 30}])


async def test_it_is_read_in_pages_and_the_room_goes_on_meanwhile(
    here: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECALL_PAGE_ROWS", 7)
    runner, link = await played(here, 100)
    other = seat(runner, "bob")
    resume(runner, link)
    seq = 0
    while not link.of("event.ack", kind="resume"):
        seq += 1
        add(runner, other, seq)
        await runner.durable()
    assert await answered(link)
    lines = [line["roomSeq"] for line in link.of("event.chat")]
    assert lines == sorted({*lines}), "in order, once"
    (delta, *_) = link.of("event.state_delta", kind="delta")
    assert (delta["baseSeq"], delta["patches"][0]["total"]) == (2, delta["roomSeq"] - 3)
    assert {*range(3, 103), *range(104, delta["roomSeq"] + 1)} <= {*lines}, "all but Bob's join is a line"


@pytest.mark.parametrize("bound", ["RECALL_BYTES_MAX", "RECALL_ENTRIES_MAX", "RECALLS_MAX"])
async def test_past_each_bound_there_is_a_snapshot(here: Station, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(limits, bound, 0)
    runner, link = await played(here)
    resume(runner, link)
    assert not await answered(link)
    assert told(link) == ["resume", "snapshot"]


async def test_when_one_read_has_ended_another_may_begin(here: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECALLS_MAX", 1)
    (runner, link), (other_runner, other) = await played(here), await played(here)
    resume(runner, link)
    resume(other_runner, other)
    assert [await answered(link), await answered(other)] == [True, False]
    other.heard.clear()
    resume(other_runner, other)
    assert await answered(other)


async def test_a_journal_that_cannot_be_read_makes_it_a_snapshot(here: Station, operator: asyncpg.Connection) -> None:
    runner, link = await played(here)
    async with operator.transaction():
        await operator.execute("LOCK TABLE actions IN ACCESS EXCLUSIVE MODE")
        resume(runner, link)
        assert not await answered(link)
    assert told(link) == ["resume", "snapshot"]
    assert here.crashes == []


async def test_a_room_released_meanwhile_is_left_alone(
    here: Station, operator: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECALLS_MAX", 1)
    (runner, link), (other_runner, other) = await played(here), await played(here)
    async with operator.transaction():
        await operator.execute("LOCK TABLE actions IN ACCESS EXCLUSIVE MODE")
        resume(runner, link)
        await asyncio.sleep(0)
        runner.release()
    while not other.of("event.ack", kind="resume", recovered=True):
        other.heard.clear()
        resume(other_runner, other)
        await answered(other)
    assert (told(link), here.crashes) == ([], [])
