"""
Reservations: seats promised until a deadline, each redeemed once.

    place --> reserved --redeem--> (a client of the room)
                 `---at its deadline---> (free)

Placing is one Lua call: find a room or take the one asked for, count the seat, keep the reservation. So a hundred
players at once never get an eleventh seat of ten. The room's own seats decide in the end, whatever was counted here.
Time is Redis' own clock, one for all nodes; a deadline passes by itself and nobody sweeps.

    holdfast:{<name>}:seats:<room id>                      session ids by deadline
    holdfast:{<name>}:reservation:<room id>:<session id>   the reservation; good while its seat is counted
"""

from collections.abc import Mapping
from enum import Enum

import msgspec

from server.presence.directory import FilterValue, Listing, base_of, filter_fields, indexes_of
from server.presence.store import Store, script

_PLACE = script("clock", "live", "place")
_REDEEM = script("clock", "redeem", flags="allow-oom")


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Who a seat is promised to. Its room and deadline are where it is kept; it never holds an access token."""

    session_id: str
    player_id: str
    name: str
    role: str
    #: The join options that are for the room, JSON.
    options: bytes = b"{}"
    protocol_version: str | None = None
    resume: bool = False


class Placed(msgspec.Struct, frozen=True):
    """The room that has the seat, and its owner."""

    room_id: str
    node_id: str
    #: Where clients are to dial the owner; None: where they asked.
    public_address: str | None


class Refusal(Enum):
    """Why there is no seat."""

    #: No room of that name is open and matches.
    NO_ROOM = "no_room"
    #: The room asked for is not listed.
    NOT_FOUND = "not_found"
    LOCKED = "locked"
    FULL = "full"


class Reservations:
    """The seat reservations of all nodes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def place(
        self, name: str, room_id: str | None, filters: Mapping[str, FilterValue], reservation: Reservation, ttl_ms: int
    ) -> Placed | Refusal:
        """
        Reserve a seat for `ttl_ms` in the oldest open room of this name that matches, or in `room_id`.

        Open is a listed room, not locked, not private, with clients and reservations below its `max_clients`; one
        asked for by id may be private, and filters don't count. After `OutcomeUnknown` a seat may be taken until its
        deadline.
        """
        base = base_of(name)
        wanted = [part for field in filter_fields(filters).items() for part in field]
        kept = msgspec.msgpack.encode(reservation)
        args = [base, room_id or "", reservation.session_id, kept, ttl_ms, *wanted]
        outcome, *record = await self._store.run(_PLACE, indexes_of(name), args)
        if not record:
            return Refusal(outcome.decode())
        room = msgspec.msgpack.decode(record[0], type=Listing)
        return Placed(room.room_id, room.node_id, room.public_address)

    async def redeem(self, name: str, room_id: str, session_id: str) -> Reservation | None:
        """Take the reservation; None if it was taken before, has expired or never was."""
        base = base_of(name)
        kept = await self._store.run(
            _REDEEM,
            [f"{base}reservation:{room_id}:{session_id}", f"{base}seats:{room_id}", f"{base}listing:{room_id}"],
            [session_id],
        )
        return None if kept is None else msgspec.msgpack.decode(kept, type=Reservation)
