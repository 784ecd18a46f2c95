"""
Characters: never in two places, and moved with the entry that says so or not at all.
"""

import asyncio

import asyncpg
import pytest

from server.core.faults import Fenced, Poisoned
from server.core.journal import Entry
from server.storage.characters import CharacterRow, Characters
from server.storage.journal import End, Journal
from server.storage.nodes import Nodes
from tests.storage.parts import ME, count, end_of, give_back, take

AT_REST = CharacterRow("player-1", "Kelp", b'{"hp":9}', None, None, None)
TAKEN = CharacterRow("player-1", "Kelp", b'{"hp":9}', "room-a", "session-1", 1)


@pytest.fixture(autouse=True)
async def at_rest(characters: Characters) -> None:
    await characters.get_or_create(ME, "player-1", "Kelp", b'{"hp":9}')


async def test_a_character_is_made_once_and_then_stays(characters: Characters) -> None:
    assert AT_REST == await characters.get_or_create(ME, "player-1", "Other", b"{}")
    assert await characters.get("player-unheard-of") is None


async def test_made_by_many_at_once_it_is_one(characters: Characters) -> None:
    made = await asyncio.gather(*(characters.get_or_create(ME, "player-2", f"n{n}", b"{}") for n in range(10)))
    assert 1 == len(set(made))


async def test_a_join_takes_it_and_a_leave_gives_it_back_changed(characters: Characters, journal: Journal) -> None:
    await journal.flush(ME, [take(1, "room-a", "session-1")])
    assert TAKEN == await characters.get("player-1")
    await journal.flush(ME, [give_back(2, "room-a", "session-1", b'{"hp":1}')])
    assert CharacterRow("player-1", "Kelp", b'{"hp":1}', None, None, None) == await characters.get("player-1")


async def test_a_session_may_take_again_what_it_has(characters: Characters, journal: Journal) -> None:
    await journal.flush(ME, [take(1, "room-a", "session-1")])
    await journal.flush(ME, [take(2, "room-a", "session-1")])
    found = await characters.get("player-1")
    assert found is not None
    assert 2 == found.room_seq


@pytest.mark.parametrize("session", [("room-b", "session-1"), ("room-a", "session-2")])
async def test_what_one_session_has_no_other_can_take_and_nothing_of_that_flush_lands(
    characters: Characters, journal: Journal, operator: asyncpg.Connection, session: tuple[str, str]
) -> None:
    await journal.flush(ME, [take(1, "room-a", "session-1")])
    with pytest.raises(Poisoned):
        await journal.flush(ME, [take(7, "room-c", "session-3", "player-2"), take(5, *session)])
    assert (TAKEN, 1) == (await characters.get("player-1"), await count(operator, "actions"))


async def test_a_character_that_is_not_there_cannot_be_taken(journal: Journal, operator: asyncpg.Connection) -> None:
    with pytest.raises(Poisoned):
        await journal.flush(ME, [take(1, "room-a", "session-1", "player-unheard-of")])
    assert 0 == await count(operator, "actions")


async def test_giving_back_what_one_has_not_got_changes_nothing(characters: Characters, journal: Journal) -> None:
    await journal.flush(ME, [take(1, "room-a", "session-1")])
    await journal.flush(ME, [give_back(1, "room-b", "session-2", b"{}")])
    assert TAKEN == await characters.get("player-1")
    assert End(1, 1) == await end_of(journal, "room-b")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (
            [give_back(2, "room-a", "session-1", b"new"), take(1, "room-b", "session-2")],
            CharacterRow("player-1", "Kelp", b"new", "room-b", "session-2", 1),
        ),
        (
            [
                give_back(2, "room-a", "session-1", b"new"),
                take(1, "room-b", "session-2"),
                give_back(2, "room-b", "session-2", b"newer"),
            ],
            CharacterRow("player-1", "Kelp", b"newer", None, None, None),
        ),
    ],
    ids=["into the next room", "and out again"],
)
async def test_one_flush_may_move_a_character_several_times(
    characters: Characters, journal: Journal, entries: list[Entry], expected: CharacterRow
) -> None:
    await journal.flush(ME, [take(1, "room-a", "session-1")])
    await journal.flush(ME, entries)
    assert expected == await characters.get("player-1")


@pytest.mark.parametrize(
    "entries",
    [
        [take(1, "room-a", "session-1"), take(1, "room-b", "session-2")],
        [take(1, "room-a", "session-1"), give_back(1, "room-b", "session-2", b"{}")],
        [give_back(1, "room-a", "session-1", b"{}"), take(1, "room-b", "session-2")],
    ],
    ids=["two take it", "one takes, another gives", "one gives what it has not got, another takes"],
)
async def test_moves_that_contradict_each_other_poison_the_flush(
    characters: Characters, journal: Journal, operator: asyncpg.Connection, entries: list[Entry]
) -> None:
    with pytest.raises(Poisoned):
        await journal.flush(ME, entries)
    assert (AT_REST, 0) == (await characters.get("player-1"), await count(operator, "actions"))


async def test_a_fenced_node_moves_nothing(characters: Characters, journal: Journal, nodes: Nodes) -> None:
    await nodes.fence(ME)
    with pytest.raises(Fenced):
        await journal.flush(ME, [take(1, "room-a", "session-1")])
    assert AT_REST == await characters.get("player-1")


async def test_an_orphan_is_given_back_only_from_the_session_that_has_it(
    characters: Characters, journal: Journal
) -> None:
    await journal.flush(ME, [take(1, "room-a", "session-1")])
    assert not await characters.give_back_orphan(ME, "player-1", "room-a", "session-2", b"{}")
    assert TAKEN == await characters.get("player-1")
    assert await characters.give_back_orphan(ME, "player-1", "room-a", "session-1", b"{}")
    assert CharacterRow("player-1", "Kelp", b"{}", None, None, None) == await characters.get("player-1")
