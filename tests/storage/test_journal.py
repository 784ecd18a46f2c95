"""
The journal: what is flushed is there, once, as it was; what isn't, isn't in part.
"""

import asyncpg
import pytest

from server.core.faults import Fenced, Poisoned
from server.core.journal import Entry
from server.storage.journal import Journal
from server.storage.nodes import Nodes
from tests.storage.parts import ME, OTHER, count, entry

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
    assert [(1, 1)] * 100 == [await journal.end(f"room-{n}") for n in range(100)]


async def test_a_page_is_what_lies_between_in_order(journal: Journal) -> None:
    await journal.flush(ME, [entry(n) for n in (5, 3, 1, 2, 4)])
    assert [3, 4] == [row.room_seq for row in await journal.read("room-a", after=2, up_to=4)]
    assert [1, 2] == [row.room_seq for row in await journal.read("room-a", limit=2)]
    assert [] == await journal.read("room-a", after=5)


async def test_the_end_is_the_last_entry_and_its_epoch(journal: Journal) -> None:
    assert (0, 0) == await journal.end("room-a")
    await journal.flush(ME, [entry(1, epoch=1), entry(2, epoch=4)])
    assert (2, 4) == await journal.end("room-a")


async def test_an_intents_number_finds_its_place(journal: Journal) -> None:
    await journal.flush(ME, [entry(1), entry(2, seq=1), entry(3, seq=2), entry(4, seq=9, session_id="session-2")])
    assert (2, 3, None) == tuple([await journal.room_seq_of("room-a", "session-1", seq) for seq in (1, 2, 3)])
    assert (2, 9, 0) == tuple([await journal.last_seq_of("room-a", f"session-{n}") for n in (1, 2, 3)])


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
    assert (2, 1) == await journal.end("room-a")


@pytest.mark.parametrize(
    "changes",
    [{"kind": "a\x00b"}, {"kind": "\ud800"}, {"seq": 2**63}, {"epoch": None}],
    ids=["NUL", "half", "big", "no"],
)
async def test_a_value_that_postgresql_refuses_poisons_the_flush_and_the_next_one_works(
    journal: Journal, changes: dict[str, object]
) -> None:
    with pytest.raises(Poisoned):
        await journal.flush(ME, [entry(1, "room-b"), entry(1, **changes)])
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
