"""
Moves: what the entries of one flush do to characters, each character at most once.

PostgreSQL updates a row once a statement, while one flush may move a character several times (a leave here, a join
there). They are folded into what must hold before the first move, and what holds after the last:

    take                  at rest, or already with that session  ->  with that session
    give_back             with that session                      ->  at rest, with the new profile
    give_back, take       with the first session                 ->  with the second, with the new profile

A take that doesn't find what it needs fails the flush, or two rooms would have the character's items. A give-back of
what the session hasn't got changes nothing: by then the row is somebody else's.
"""

from collections.abc import Sequence

import msgspec

from server.core.faults import Poisoned
from server.core.journal import CharacterMove, Entry


class _Folded(msgspec.Struct):
    """The moves of one character, with its fields in the order of PostgreSQL's type `move`."""

    player_id: str
    #: The session that has it before the first move ...
    from_room_id: str
    from_session_id: str
    #: ... unless it is at rest, where that will do.
    from_rest: bool
    #: Whether the flush fails if neither holds.
    takes: bool
    #: Who has it after the last move; None: at rest.
    room_id: str | None
    session_id: str | None
    room_seq: int | None
    #: None: stays as it is.
    profile: bytes | None


def fold_moves(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """The moves for `flush_with_moves.sql`, each a row of PostgreSQL's type `move`; [] if no entry moves anything.

    Raises Poisoned if moves within the flush contradict one another."""
    folded: dict[str, _Folded] = {}
    for entry in entries:
        if entry.character is not None:
            _fold(folded, entry, entry.character)
    return [msgspec.structs.astuple(move) for move in folded.values()]


def _fold(folded: dict[str, _Folded], entry: Entry, move: CharacterMove) -> None:
    assert entry.session_id is not None, "an entry without a session moves a character"
    session = (entry.room_id, entry.session_id)
    takes = move.kind == "take"
    character = folded.get(move.player_id)
    if character is None:
        character = _Folded(move.player_id, *session, takes, False, *session, entry.room_seq, None)
        folded[move.player_id] = character
    elif (character.room_id, character.session_id) not in ((session, (None, None)) if takes else (session,)):
        raise Poisoned(f"room {entry.room_id} moves a character that another session has")
    if takes:
        character.takes = True
        character.room_id, character.session_id, character.room_seq = *session, entry.room_seq
    else:
        character.room_id = character.session_id = character.room_seq = None
    if move.profile is not None:
        character.profile = move.profile
