"""
Characters: players' characters as they rest, and who has them.

A character is at rest, or with one session since one entry. Joins take it and leaves give it back in the flush of their
entries (`moves.py`); here it is made, read, and repaired.
"""

import msgspec

from server.storage.database import Database


class CharacterRow(msgspec.Struct, frozen=True):
    """A player's character. `room_id`, `session_id` and `room_seq` say who has it since when; None at rest."""

    player_id: str
    name: str
    #: JSON, as it last rested.
    profile: bytes
    room_id: str | None
    session_id: str | None
    room_seq: int | None


class Characters:
    """The table of characters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, player_id: str) -> CharacterRow | None:
        """The player's character, or None. Raises Unavailable."""
        rows = await self._database.read("character_get", player_id)
        return CharacterRow(*rows[0]) if rows else None

    async def get_or_create(self, node_id: str, player_id: str, name: str, profile_default: bytes) -> CharacterRow:
        """The player's character, made at rest with `name` and `profile_default` if there is none. Idempotent.

        Raises Fenced, Unavailable, OutcomeUnknown (repeat it), Poisoned."""
        found = await self.get(player_id)
        if found is None:
            await self._database.write("character_create", node_id, player_id, name, profile_default)
            found = await self.get(player_id)
        assert found is not None, "a character is never deleted"
        return found

    async def give_back_orphan(
        self, node_id: str, player_id: str, room_id: str, session_id: str, profile: bytes
    ) -> bool:
        """Bring a character to rest whose session is over without having given it back; False if that session
        doesn't have it (any more).

        `profile` is what the room's journal says after the row's roomSeq. Raises Fenced, Unavailable, OutcomeUnknown
        (repeat it), Poisoned."""
        row = await self._database.write("character_give_back_orphan", node_id, player_id, room_id, session_id, profile)
        return bool(row["done"])
