"""
Sessions: the record of each session on all nodes, for who is here and for a return to another node.

The owner writes whole records from one queue of its own, so a later write repairs whatever an earlier one missed, and
an emptied Redis. A record lives for the hold time and some slack: its owner puts it again within the hold time while
the session is live, and once more at the drop; then it ends when the seat does. Of reconnection tokens only the hashes
are here; the journal has them too.

    holdfast:session:<session id>           the record
    holdfast:player:<player id>:sessions    session ids; may name some that are over
    holdfast:room:<room id>:sessions        likewise
"""

from collections.abc import Iterable, Sequence

import msgspec

from contracts import limits
from server.presence.store import PREFIX, Command, Store

#: A record outlives its seat by this, so that a return in the last moment still finds it.
_SLACK_S = 15.0
#: Records written in one round trip; a node with thousands of sessions lets the loop turn in between.
_BATCH = 100
_TOKEN_HASH_BYTES = 32


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its owner knows it."""

    session_id: str
    room_id: str
    room_name: str
    player_id: str
    name: str
    role: str
    node_id: str
    #: False while it is dropped and its seat held.
    connected: bool
    protocol_version: str | None
    resume: bool
    #: SHA-256 of the reconnection tokens that count, 32 bytes each.
    token_hashes: tuple[bytes, ...]
    #: When this was so, milliseconds since the Unix epoch.
    at: int

    def __post_init__(self) -> None:
        assert len(self.token_hashes) <= limits.TOKENS_MAX
        assert all(len(token_hash) == _TOKEN_HASH_BYTES for token_hash in self.token_hashes), "a hash, never a token"


class Sessions:
    """The session records of all nodes."""

    def __init__(self, store: Store, *, hold_s: float = limits.HOLD_S) -> None:
        self._store = store
        self._life_ms = round((hold_s + _SLACK_S) * 1000)

    async def put(self, records: Sequence[SessionRecord]) -> None:
        """Write or replace records and let them live for the hold time from now. Idempotent; a fault may leave some
        written."""
        for start in range(0, len(records), _BATCH):
            await self._store.write(*self._putting(records[start : start + _BATCH]))

    async def remove(self, records: Sequence[SessionRecord]) -> None:
        """End the records of sessions that are over. Idempotent; a fault may leave some removed."""
        for start in range(0, len(records), _BATCH):
            batch = records[start : start + _BATCH]
            await self._store.write(
                *(("DEL", _session(record.session_id)) for record in batch),
                *(("SREM", index, *ids) for index, ids in _indexes(batch).items()),
            )

    async def get(self, session_id: str) -> SessionRecord | None:
        """The session's record, or None."""
        found = await self._read([session_id.encode()])
        return found[0] if found else None

    async def of_player(self, player_id: str) -> list[SessionRecord]:
        """The player's sessions in all rooms, in no order."""
        return await self._members(_of_player(player_id))

    async def of_room(self, room_id: str) -> list[SessionRecord]:
        """The room's sessions, connected or dropped, in no order."""
        return await self._members(_of_room(room_id))

    def _putting(self, records: Sequence[SessionRecord]) -> Iterable[Command]:
        for record in records:
            yield "SET", _session(record.session_id), msgspec.msgpack.encode(record), "PX", self._life_ms
        for index, ids in _indexes(records).items():
            yield "SADD", index, *ids
            yield "PEXPIRE", index, self._life_ms

    async def _members(self, index: str) -> list[SessionRecord]:
        [ids] = await self._store.read(("SMEMBERS", index))
        return await self._read(ids)

    async def _read(self, session_ids: Iterable[bytes]) -> list[SessionRecord]:
        kept = await self._store.read(*(("GET", _session(session_id.decode())) for session_id in session_ids))
        return [msgspec.msgpack.decode(record, type=SessionRecord) for record in kept if record is not None]


def _indexes(records: Iterable[SessionRecord]) -> dict[str, list[str]]:
    """The session ids by each set they belong to."""
    found: dict[str, list[str]] = {}
    for record in records:
        for index in (_of_player(record.player_id), _of_room(record.room_id)):
            found.setdefault(index, []).append(record.session_id)
    return found


def _session(session_id: str) -> str:
    return f"{PREFIX}session:{session_id}"


def _of_player(player_id: str) -> str:
    return f"{PREFIX}player:{player_id}:sessions"


def _of_room(room_id: str) -> str:
    return f"{PREFIX}room:{room_id}:sessions"
