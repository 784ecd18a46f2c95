"""
The journal: what is flushed is there, once, as it was; what isn't, isn't in part.
"""

import asyncio
import time

import asyncpg
import pytest

import server
from server.core.faults import Fenced, Poisoned, TookTooLong
from server.core.journal import Entry
from server.storage.database import SERVER_SHARE
from server.storage.journal import FLUSH_S, End, Journal
from server.storage.nodes import Nodes
from tests.storage.parts import ME, OTHER, backend, count, end_of, entry

#: After which PostgreSQL gives up a flush that waits for nothing.
STATEMENT_S = FLUSH_S * SERVER_SHARE
WHOLE = Entry(
    room_id="room-a",
    room_seq=1,
    epoch=3,
    kind="intent.chat",
    at=1_700_000_000_123,
    session_id="session-1",
    player_id="player-1",
    seq=7,
    intent=b'{"seq":7}',
    patch=b'{"a":null}',
    events=b"[]",
    tokens=b"\x00\xff" * 32,
)
BARE = Entry(room_id="room-a", room_seq=2, epoch=3, kind="tick", at=0)


async def test_entries_come_back_as_they_went_in(journal: Journal) -> None:
    await journal.flush(ME, [WHOLE, BARE])
    assert [WHOLE, BARE] == await journal.read("room-a")


@pytest.mark.parametrize("payload", [b"\x00", b'{"text":"\\u0000"}', b"\xff\xfe", b"'; DROP TABLE actions; --", b""])
async def test_no_payload_can_fail_a_flush(journal: Journal, payload: bytes) -> None:
    hostile = entry(1, intent=payload, patch=payload, events=payload)
    await journal.flush(ME, [hostile])
    assert [hostile] == await journal.read("room-a")


async def test_one_flush_holds_entries_of_many_rooms(journal: Journal) -> None:
    await journal.flush(ME, [entry(1, f"room-{n}") for n in range(100)])
    assert {f"room-{n}": End(1, 1) for n in range(100)} == await journal.ends([f"room-{n}" for n in range(100)])


async def test_a_page_is_what_lies_between_in_order(journal: Journal) -> None:
    await journal.flush(ME, [entry(n) for n in (5, 3, 1, 2, 4)])
    assert [3, 4] == [row.room_seq for row in await journal.read("room-a", after=2, up_to=4)]
    assert [1, 2] == [row.room_seq for row in await journal.read("room-a", limit=2)]
    assert [] == await journal.read("room-a", after=5)


async def test_the_end_is_the_last_entry_and_its_epoch(journal: Journal) -> None:
    assert End(0, 0) == await end_of(journal)
    await journal.flush(ME, [entry(1, epoch=1), entry(2, epoch=4)])
    assert End(2, 4) == await end_of(journal)


async def test_an_intents_number_finds_its_place(journal: Journal) -> None:
    await journal.flush(ME, [entry(1), entry(2, seq=1), entry(3, seq=2), entry(4, seq=9, session_id="session-2")])
    assert (2, 3, None) == tuple([await journal.room_seq_of("room-a", "session-1", seq) for seq in (1, 2, 3)])


@pytest.mark.parametrize(
    "repeated", [entry(1, seq=2), entry(2, seq=1)], ids=["the same place", "the same number of a session"]
)
async def test_what_is_there_already_poisons_the_whole_flush(
    journal: Journal, operator: asyncpg.Connection, repeated: Entry
) -> None:
    await journal.flush(ME, [entry(1, seq=1)])
    with pytest.raises(Poisoned):
        await journal.flush(ME, [entry(1, "room-b"), repeated])
    assert 1 == await count(operator, "actions")


async def test_entries_without_a_number_may_be_many(journal: Journal) -> None:
    await journal.flush(ME, [entry(1), entry(2)])
    assert End(2, 1) == await end_of(journal)


@pytest.mark.parametrize(
    "changes",
    [{"kind": "a\x00b"}, {"kind": "\ud800"}, {"seq": 2**63}],
    ids=["NUL", "half", "big"],
)
async def test_a_value_that_postgresql_refuses_poisons_the_flush_and_the_next_one_works(
    journal: Journal, changes: dict[str, object]
) -> None:
    with pytest.raises(Poisoned):
        await journal.flush(ME, [entry(1, "room-b"), entry(1, **changes)])
    await journal.flush(ME, [entry(1)])
    assert [] == await journal.read("room-b")


async def test_an_entry_that_lacks_what_each_has_is_refused(journal: Journal) -> None:
    """By PostgreSQL; where entries are compiled, they refuse it themselves."""
    with pytest.raises(TypeError if server.is_compiled else Poisoned):
        await journal.flush(ME, [entry(1, "room-b"), entry(1, epoch=None)])
    await journal.flush(ME, [entry(1)])
    assert [] == await journal.read("room-b")


async def test_a_fenced_node_writes_nothing(journal: Journal, nodes: Nodes, operator: asyncpg.Connection) -> None:
    await nodes.fence(ME)
    with pytest.raises(Fenced):
        await journal.flush(ME, [entry(1), entry(2)])
    assert 0 == await count(operator, "actions")
    await journal.flush(OTHER, [entry(1)])


async def test_a_node_that_never_registered_is_as_good_as_fenced(journal: Journal) -> None:
    with pytest.raises(Fenced):
        await journal.flush("node-unheard-of", [entry(1)])


async def test_the_ends_of_many_journals_are_read_at_once_also_of_those_that_are_empty(journal: Journal) -> None:
    await journal.flush(ME, [entry(1), entry(2, epoch=3), entry(7, "room-b", epoch=2)])
    ends = await journal.ends(["room-a", "room-b", "room-empty"])
    assert {"room-a": End(2, 3), "room-b": End(7, 2), "room-empty": End(0, 0)} == ends
    assert {} == await journal.ends([])


async def test_a_row_that_another_session_is_writing_holds_up_a_flush_only_briefly(
    journal: Journal, holder: asyncpg.Connection
) -> None:
    """Then it surely wasn't written, and can be once the other is gone."""
    async with holder.transaction():
        await holder.execute("INSERT INTO actions (room_id, room_seq, epoch, kind, at) VALUES ('room-a', 1, 1, '', 0)")
        started_s = time.monotonic()
        with pytest.raises(TookTooLong):
            await journal.flush(ME, [entry(1, "room-b"), entry(1)])
        assert time.monotonic() - started_s < STATEMENT_S
        await holder.execute("DELETE FROM actions")
    await journal.flush(ME, [entry(1, "room-b"), entry(1)])


async def test_a_flush_that_waits_in_one_lane_does_not_hold_up_the_other(
    journal: Journal, operator: asyncpg.Connection, holder: asyncpg.Connection
) -> None:
    async with holder.transaction():
        await holder.execute("INSERT INTO actions (room_id, room_seq, epoch, kind, at) VALUES ('room-a', 1, 1, '', 0)")
        waiting = asyncio.create_task(journal.flush(ME, [entry(1)], lane=1))
        await backend(operator, application_name=ME, wait_event_type="Lock")
        await journal.flush(ME, [entry(1, "room-b")])
        with pytest.raises(TookTooLong):
            await waiting
    assert End(1, 1) == await end_of(journal, "room-b")
