"""
Membership: who is in a room, as the journal and snapshots keep it.

Apart from `seats`, for what is read back from bytes is not compiled: mypyc forgets the types by which it is checked.
"""

import msgspec


class Player(msgspec.Struct, frozen=True, rename="camel"):
    """The authenticated person behind a session, as far as a room may know."""

    player_id: str
    name: str
    role: str


class Membership(msgspec.Struct, frozen=True, rename="camel"):
    """What stays the same in a session's life; the cause in its join's entry."""

    session_id: str
    player: Player
    #: As the client said at its join; None for a foreign client.
    protocol_version: str | None = None
    #: Whether it sends `session.resume` after each reconnect.
    resumes: bool = False
