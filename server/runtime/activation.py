"""
Activation: a room that this node owns, as its journal knows it.

One snapshot and the entries after it are read and folded, page by page, so that a long journal holds up no other room.
A room without either is created by its rules. Nothing here knows whether a room is active: that is the node's.
"""

from collections.abc import Mapping
from random import SystemRandom

import msgspec

from contracts import limits
from server.core.history import History
from server.core.recovery import Recovery
from server.core.room import Room, RoomLimits
from server.rooms.base import Room as Rules
from server.runtime.clock import Clock
from server.storage.rooms import RoomRow
from server.storage.stores import Stores


class Activation:
    def __init__(
        self,
        games: Mapping[str, type[Rules]],
        stores: Stores,
        room_limits: RoomLimits,
        clock: Clock,
        random: SystemRandom,
    ) -> None:
        self._games = games
        self._stores = stores
        self._limits = room_limits
        self._clock = clock
        self._random = random

    async def load(self, row: RoomRow) -> Room:
        """
        The room, all of it durable; at roomSeq 0 where its journal has nothing.

        Raises a Fault, or StateError where the rules' state cannot hold what the journal says.
        """
        rules, room_id = self._games[row.name](), row.room_id
        found = await self._stores.snapshots.latest(room_id)
        page = await self._stores.journal.read(room_id, 0 if found is None else found.room_seq)
        if found is None and not page:
            history = History(0, row.epoch, limits.HISTORY_ENTRIES_MAX, limits.HISTORY_BYTES_MAX)
            return Room(room_id, row.epoch, rules, history, self._limits)
        recovery = Recovery(room_id, row.epoch, rules, self._limits, found, self._clock()).fold(page)
        while len(page) == limits.JOURNAL_PAGE_ROWS_MAX:
            page = await self._stores.journal.read(room_id, page[-1].room_seq)
            recovery.fold(page)
        return recovery.room()

    def begin(self, room: Room, row: RoomRow) -> None:
        """Its creation, where there was nothing. Raises what its rules raise: no room then."""
        if room.room_seq == 0:
            room.create(msgspec.json.decode(row.options), self._clock(), self._random)
