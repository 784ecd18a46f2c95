"""
Journal entries: what a room writes down before anyone sees it.

An entry is an action with its cause and effect: the intent, the merge patch it made, and the
events it emitted. A room's creation, joins, drops, reconnects and leaves are entries like
intents, so the journal explains every change from nothing on. Nothing here writes anything;
`storage.journal` does.
"""

from typing import Literal

import msgspec


class CharacterMove(msgspec.Struct, frozen=True):
    """A player's character goes into a room (`take`) or back to rest (`give_back`), in the flush of its entry."""

    kind: Literal["take", "give_back"]
    player_id: str
    #: The character as it rests, JSON; None with `take`: the row keeps what it has.
    profile: bytes | None = None


class Entry(msgspec.Struct, frozen=True):
    """One row of the journal. Bytes are JSON; their content never decides how it is written."""

    room_id: str
    room_seq: int
    epoch: int
    #: A message type, or one of `contracts.codes.Kind`.
    kind: str
    #: Milliseconds since the Unix epoch.
    at: int
    session_id: str | None = None
    player_id: str | None = None
    #: The intent's number; None where no intent is behind the entry.
    seq: int | None = None
    #: The intent as it was understood.
    intent: bytes | None = None
    #: The RFC 7386 merge patch it caused; None if nothing durable changed.
    patch: bytes | None = None
    #: The durable events it emitted, a JSON array of {"type", "body", "to"}.
    events: bytes | None = None
    #: SHA-256 of the reconnection tokens that count from here on, 32 bytes each, joined; shown to no reader.
    #: With joins, drops and reconnects.
    tokens: bytes | None = None
    character: CharacterMove | None = None

    def size_bytes(self) -> int:
        """About what the entry weighs in a flush or in memory."""
        return 200 + len(self.intent or b"") + len(self.patch or b"") + len(self.events or b"")
