"""
Hostile entries: whatever they hold, what is read back is what was flushed, or nothing of that flush is there.
"""

import itertools

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import limits
from server.core.faults import Poisoned
from server.core.journal import CharacterMove, Entry
from server.storage.characters import CharacterRow, Characters
from server.storage.journal import Journal
from tests.storage.parts import ME, entry, give_back, take

#: What would matter to some way of writing a value down: in SQL, in an array, in a row, in JSON, joined, or as bytes.
MARKS = [
    "",
    "NULL",
    "null",
    "\\N",
    "{}",
    "{,}",
    "()",
    '"',
    "'",
    "\\",
    '\\"',
    ",",
    ";",
    "\n",
    "\t",
    "\x1f",
    "\x7f",
    "é",
    "😀",
    "\ufeff",
]
TEXTS = st.sampled_from(MARKS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20
)
NUMBERS = st.sampled_from([0, -1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
BYTES = st.sampled_from([b"", b"\x00", b"\xff", b"\\x00", b"NULL", b"{}", b"\x00\x00\x00\x01"]) | st.binary(max_size=60)
ENTRIES = st.lists(
    st.builds(
        Entry,
        room_id=TEXTS,
        room_seq=NUMBERS,
        epoch=NUMBERS,
        kind=TEXTS,
        at=NUMBERS,
        session_id=st.none() | TEXTS,
        player_id=st.none() | TEXTS,
        seq=st.none() | NUMBERS,
        intent=st.none() | BYTES,
        patch=st.none() | BYTES,
        events=st.none() | BYTES,
        tokens=st.none() | BYTES,
    ),
    min_size=1,
    max_size=12,
    # Once each by both of the table's keys.
    unique_by=(
        lambda entry: (entry.room_id, entry.room_seq),
        lambda entry: (entry.room_id, entry.session_id, entry.room_seq if entry.seq is None else entry.seq),
    ),
)
#: PostgreSQL holds neither NUL nor half a surrogate pair.
REFUSED = st.tuples(TEXTS, st.sampled_from(["\x00", "\ud800", "\udfff"]), TEXTS).map("".join)
#: Each example empties the table that it finds.
EXAMPLES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MEGABYTE = bytes(range(256)) * 4096


async def _written(operator: asyncpg.Connection) -> list[Entry]:
    rows = await operator.fetch(
        "SELECT room_id, room_seq, epoch, kind, at, session_id, player_id, seq, intent, patch, events, tokens "
        "FROM actions"
    )
    return _in_order([Entry(*row) for row in rows])


def _in_order(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.room_id, entry.room_seq))


@EXAMPLES
@given(ENTRIES)
async def test_entries_of_any_content_come_back_as_they_went_in(
    journal: Journal, operator: asyncpg.Connection, entries: list[Entry]
) -> None:
    await operator.execute("DELETE FROM actions")
    await journal.flush(ME, entries)
    assert _in_order(entries) == await _written(operator)


@EXAMPLES
@given(ENTRIES, TEXTS, TEXTS, BYTES)
async def test_so_do_those_that_are_flushed_with_a_move_and_the_character(
    journal: Journal,
    characters: Characters,
    operator: asyncpg.Connection,
    entries: list[Entry],
    player_id: str,
    session_id: str,
    profile: bytes,
) -> None:
    await operator.execute("DELETE FROM actions; DELETE FROM characters")
    await characters.get_or_create(ME, player_id, "Kelp", b"{}")
    room_id = "room of the moves"
    joined = entry(1, room_id, session_id=session_id, character=CharacterMove("take", player_id, profile))
    await journal.flush(ME, [*entries, joined])
    taken = CharacterRow(player_id, "Kelp", profile, room_id, session_id, 1)
    assert taken == await characters.get(player_id)
    await journal.flush(ME, [give_back(2, room_id, session_id, profile[::-1], player_id)])
    assert CharacterRow(player_id, "Kelp", profile[::-1], None, None, None) == await characters.get(player_id)
    written = await _written(operator)
    assert _in_order(entries) == [row for row in written if row.room_id != room_id]


@EXAMPLES
@given(ENTRIES, st.sampled_from(["room_id", "kind", "session_id", "player_id"]), REFUSED, st.integers(0, 12))
async def test_one_that_postgresql_cannot_hold_is_poisoned_and_neither_sinks_nor_shifts_its_neighbours(
    journal: Journal, operator: asyncpg.Connection, entries: list[Entry], field: str, refused: str, place: int
) -> None:
    await operator.execute("DELETE FROM actions")
    hostile = entry(1, **{"room_id": "room of the refused", field: refused})
    for flushed in ([*entries[:place], hostile, *entries[place:]], [hostile]):
        with pytest.raises(Poisoned):
            await journal.flush(ME, flushed)
    assert [] == await _written(operator)
    await journal.flush(ME, entries)
    assert _in_order(entries) == await _written(operator)


@pytest.mark.parametrize("player_id", ["\x00", "\ud800"])
async def test_a_move_of_a_character_that_cannot_be_is_poisoned(
    journal: Journal, operator: asyncpg.Connection, player_id: str
) -> None:
    with pytest.raises(Poisoned):
        await journal.flush(ME, [entry(1, "room-b"), take(1, "room-a", "session-1", player_id)])
    assert [] == await _written(operator)


async def test_a_flush_of_all_that_fits_comes_back_as_it_went_in(
    journal: Journal, operator: asyncpg.Connection
) -> None:
    rows, patch_bytes = limits.FLUSH_ROWS_MAX, limits.FLUSH_BYTES_MAX // limits.FLUSH_ROWS_MAX
    patches = (MEGABYTE[n : n + patch_bytes] for n in itertools.count())
    entries = [
        entry(n, f"room-{n % 7}", seq=n, patch=next(patches), events=None if n % 2 else b"") for n in range(rows)
    ]
    await journal.flush(ME, entries)
    assert _in_order(entries) == await _written(operator)


async def test_one_as_large_as_a_flush_comes_back_among_small_ones(
    journal: Journal, operator: asyncpg.Connection
) -> None:
    entries = [entry(1), entry(2, intent=MEGABYTE, patch=MEGABYTE * 2, events=MEGABYTE, tokens=b""), entry(3)]
    await journal.flush(ME, entries)
    assert entries == await _written(operator)
