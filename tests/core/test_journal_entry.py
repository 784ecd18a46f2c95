"""An entry of the journal: what it was made of, and what it weighs."""

import pytest

from server.core.journal import CharacterMove, Entry

WHOLE = Entry(
    "room", 7, 2, "intent.add", 1_750_000_000_000, "ada", "p", 3, b"{}", b'{"n":1}', b"[]", b"t" * 32,
    CharacterMove("take", "p"),
)  # fmt: skip
BARE = Entry("room", 1, 1, "tick", 0)


@pytest.mark.parametrize("entry", [WHOLE, BARE])
def test_an_entry_is_made_again_from_its_row_and_its_move(entry: Entry) -> None:
    assert entry == Entry(*entry.row(), entry.character)


@pytest.mark.parametrize("place", range(13))
def test_entries_that_differ_anywhere_are_not_equal(place: int) -> None:
    values, others = ([*entry.row(), entry.character] for entry in (WHOLE, BARE))
    values[place] = others[place] if values[place] != others[place] else "other"
    assert Entry(*values) != WHOLE  # type: ignore[arg-type]


def test_a_failing_test_shows_what_an_entry_holds() -> None:
    assert repr(BARE) == "Entry('room', 1, 1, 'tick', 0, None, None, None, None, None, None, None, None)"


def test_an_entry_weighs_its_bytes_and_a_row() -> None:
    assert WHOLE.size_bytes - BARE.size_bytes == len(b"{}") + len(b'{"n":1}') + len(b"[]")
