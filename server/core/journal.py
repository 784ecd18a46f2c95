"""
Journal entries: what a room writes down before anyone sees it.

An entry is an action with its cause and effect: the intent, the merge patch it made, and the
events it emitted. A room's creation, joins, drops, reconnects and leaves are entries like
intents, so the journal explains every change from nothing on. Nothing here writes anything;
`storage.journal` does.
"""

from typing import Final, Literal

import msgspec
from mypy_extensions import mypyc_attr

#: What an entry weighs besides its intent, patch and events, about.
_ROW_BYTES: Final = 200

Row = tuple[
    str,
    int,
    int,
    str,
    int,
    str | None,
    str | None,
    int | None,
    bytes | None,
    bytes | None,
    bytes | None,
    bytes | None,
]


class CharacterMove(msgspec.Struct, frozen=True):
    """A player's character goes into a room (`take`) or back to rest (`give_back`), in the flush of its entry."""

    kind: Literal["take", "give_back"]
    player_id: str
    #: The character as it rests, JSON; None with `take`: the row keeps what it has.
    profile: bytes | None = None


@mypyc_attr(acyclic=True)
class Entry:
    """One row of the journal, not to be changed. Bytes are JSON; their content never decides how it is written."""

    __slots__ = (
        "at",
        "character",
        "epoch",
        "events",
        "intent",
        "kind",
        "patch",
        "player_id",
        "room_id",
        "room_seq",
        "seq",
        "session_id",
        "size_bytes",
        "tokens",
    )

    def __init__(
        self,
        room_id: str,
        room_seq: int,
        epoch: int,
        kind: str,
        at: int,
        session_id: str | None = None,
        player_id: str | None = None,
        seq: int | None = None,
        intent: bytes | None = None,
        patch: bytes | None = None,
        events: bytes | None = None,
        tokens: bytes | None = None,
        character: CharacterMove | None = None,
    ) -> None:
        self.room_id: Final = room_id
        self.room_seq: Final = room_seq
        self.epoch: Final = epoch
        #: A message type, or one of `contracts.codes.Kind`.
        self.kind: Final = kind
        #: Milliseconds since the Unix epoch.
        self.at: Final = at
        self.session_id: Final = session_id
        self.player_id: Final = player_id
        #: The intent's number; None where no intent is behind the entry.
        self.seq: Final = seq
        #: The intent as it was understood.
        self.intent: Final = intent
        #: The RFC 7386 merge patch it caused; None if nothing durable changed.
        self.patch: Final = patch
        #: The durable events it emitted, a JSON array of {"type", "body", "to"}.
        self.events: Final = events
        #: SHA-256 of the reconnection tokens that count from here on, 32 bytes each, joined; shown to no reader.
        #: With joins, drops and reconnects.
        self.tokens: Final = tokens
        self.character: Final = character
        #: About what the entry weighs in a flush or in memory.
        self.size_bytes: Final = (
            _ROW_BYTES
            + (0 if intent is None else len(intent))
            + (0 if patch is None else len(patch))
            + (0 if events is None else len(events))
        )

    def row(self) -> Row:
        """Its row of the journal, in the order in which `Entry` takes it; its move is none of it."""
        return (
            self.room_id,
            self.room_seq,
            self.epoch,
            self.kind,
            self.at,
            self.session_id,
            self.player_id,
            self.seq,
            self.intent,
            self.patch,
            self.events,
            self.tokens,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self.row() == other.row() and self.character == other.character

    def __repr__(self) -> str:
        return f"Entry{(*self.row(), self.character)}"
