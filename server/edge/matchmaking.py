"""
Matchmaking: from "let me in" to a seat reservation, by Colyseus' five methods.

    join          a listed room of that name; else a dormant one, which is activated
    joinOrCreate  the same; else a new room
    create        a new room
    joinById      that room, listed or dormant
    reconnect     the seat of the session that has the token

A seat is promised in Redis by one call; the room itself decides when the socket arrives. Callers
of the same name create one after the other, so that a crowd gets one room and not a hundred.

Any node answers for all rooms. Of a room that another living node owns it knows what that has told
Redis: its listing, and its sessions' records with the hashes of their tokens.
"""

from collections.abc import Mapping
from random import SystemRandom
from typing import Any

import msgspec
import structlog

from contracts import limits
from contracts.codes import MatchmakeCode
from contracts.http import Seat, SeatRoom
from server.core.faults import Fault, Unavailable
from server.core.identifiers import new_id, token_hash
from server.core.membership import Player
from server.core.permissions import JOIN, permissions_of
from server.presence.directory import Directory, FilterValue
from server.presence.reservations import Placed, Refusal, Reservation, Reservations
from server.presence.sessions import Sessions
from server.runtime.locks import Locks
from server.runtime.node import Node
from server.runtime.runner import RoomRunner
from server.runtime.terms import NodeFull
from server.storage.rooms import OwnedBy, Rooms

_log = structlog.get_logger(service="matchmaking")

_EXPIRED_TOKEN = "reconnection token invalid or expired."

METHODS = ("create", "join", "joinOrCreate", "joinById", "reconnect")


class NoSeat(Exception):
    """Why there is no seat, by Colyseus' code; the text is for the person who asked."""

    def __init__(self, code: MatchmakeCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Applicant(msgspec.Struct, frozen=True):
    """Who asks for a seat, and the options that are for the room; no access token comes this far."""

    player: Player
    options: Mapping[str, Any]
    protocol_version: str | None
    resumes: bool


class Matchmaker:
    def __init__(
        self,
        node: Node,
        rooms: Rooms,
        directory: Directory,
        sessions: Sessions,
        reservations: Reservations,
        reservation_s: float,
        public_address: str | None,
        random: SystemRandom,
    ) -> None:
        self._node = node
        self._rooms = rooms
        self._directory = directory
        self._sessions = sessions
        self._reservations = reservations
        self._ttl_ms = int(reservation_s * 1000)
        self._public_address = public_address
        self._random = random
        self._creating = Locks()

    async def seat(self, method: str, name_or_id: str, applicant: Applicant) -> Seat:
        """Reserve a seat. Raises NoSeat, NodeFull, or a Fault."""
        if JOIN not in permissions_of(applicant.player.role):
            raise NoSeat(MatchmakeCode.AUTH_FAILED, f"the role {applicant.player.role!r} may not join")
        self._node.refuse_if_crowded()
        if method == "joinById":
            return await self._in_room(name_or_id, applicant)
        if name_or_id not in self._node.games:
            raise NoSeat(MatchmakeCode.NO_HANDLER, f'provided room name "{name_or_id}" not defined')
        if method == "create":
            return await self._in_new_room(name_or_id, applicant)
        return await self._in_any_room(name_or_id, applicant, may_create=method == "joinOrCreate")

    async def returning(self, room_id: str, token: str) -> tuple[Seat, str | None]:
        """The seat of the session that has the reconnection token, which is used up by the socket and not here; and the
        protocol version that the session speaks. Raises as `seat` does."""
        found = await self._node.room(room_id)
        presented = token_hash(token)
        if isinstance(found, OwnedBy):
            return await self._returning_elsewhere(room_id, found, presented)
        if found is None:
            raise NoSeat(MatchmakeCode.BAD_ROOM_ID, f'room "{room_id}" has been disposed.')
        for seat in found.room.seats:
            if presented in seat.tokens.counting:
                return self._seat(found.room.rules.name, room_id, seat.session_id), seat.member.protocol_version
        raise NoSeat(MatchmakeCode.EXPIRED, _EXPIRED_TOKEN)

    async def _returning_elsewhere(self, room_id: str, owner: OwnedBy, presented: bytes) -> tuple[Seat, str | None]:
        records = await self._sessions.of_room(room_id)
        listing = await self._directory.get(room_id)
        if listing is None:
            # Redis has lost it, and so perhaps the session's record; the owner will write both again.
            raise _unlisted(owner)
        for record in records:
            if presented in record.token_hashes:
                seat = self._seat(listing.name, room_id, record.session_id, listing.node_id, listing.public_address)
                return seat, record.protocol_version
        raise NoSeat(MatchmakeCode.EXPIRED, _EXPIRED_TOKEN)

    async def _in_any_room(self, name: str, applicant: Applicant, *, may_create: bool) -> Seat:
        filters = self._filters(name, applicant)
        reservation = self._reservation(applicant)
        placed = await self._place(name, None, filters, reservation)
        if isinstance(placed, Placed):
            return self._placed(name, placed, reservation)
        async with self._creating[name]:
            for _ in range(limits.PLACE_ATTEMPTS_MAX):
                placed = await self._place(name, None, filters, reservation)
                if isinstance(placed, Placed):
                    return self._placed(name, placed, reservation)
                if await self._is_forgotten():
                    continue
                dormant = await self._rooms.find_claimable(name, filters)
                if dormant is None or not await self._is_awake(dormant):
                    break
            if may_create:
                return await self._in_new_room(name, applicant)
        raise NoSeat(MatchmakeCode.NO_ROOM, "no rooms found with provided criteria")

    async def _is_awake(self, dormant: str) -> bool:
        """Activate and list the room. False if its journal cannot be read by this code: others may have a new room."""
        try:
            runner = await self._node.room(dormant)
        except (Fault, NodeFull):
            raise
        except Exception:
            _log.exception("a dormant room cannot be activated", room=dormant)
            return False
        if isinstance(runner, RoomRunner):
            await self._node.publisher.publish_now(runner)
        return True

    async def _in_new_room(self, name: str, applicant: Applicant) -> Seat:
        return await self._in_our_room(await self._node.create(name, applicant.options), applicant)

    async def _in_room(self, room_id: str, applicant: Applicant) -> Seat:
        found = await self._node.room(room_id)
        if isinstance(found, OwnedBy):
            return await self._in_room_elsewhere(room_id, found, applicant)
        if found is None:
            raise _not_found(room_id)
        return await self._in_our_room(found, applicant)

    async def _in_our_room(self, runner: RoomRunner, applicant: Applicant) -> Seat:
        name, room_id = runner.room.rules.name, runner.room.room_id
        reservation = self._reservation(applicant)
        await self._node.publisher.publish_now(runner)
        placed = await self._place(name, room_id, {}, reservation)
        if placed is Refusal.NOT_FOUND and await self._is_forgotten():
            placed = await self._place(name, room_id, {}, reservation)
        return self._seat_in(name, room_id, placed, reservation)

    async def _in_room_elsewhere(self, room_id: str, owner: OwnedBy, applicant: Applicant) -> Seat:
        row = await self._rooms.get(room_id)
        if row is None:
            raise _not_found(room_id)
        reservation = self._reservation(applicant)
        placed = await self._place(row.name, room_id, {}, reservation)
        if placed is Refusal.NOT_FOUND:
            # PostgreSQL knows better: its owner has not listed it yet, or Redis has lost that.
            raise _unlisted(owner)
        return self._seat_in(row.name, room_id, placed, reservation)

    def _seat_in(self, name: str, room_id: str, placed: Placed | Refusal, reservation: Reservation) -> Seat:
        """The seat in the room asked for. Raises NoSeat."""
        if isinstance(placed, Placed):
            return self._placed(name, placed, reservation)
        if placed is Refusal.LOCKED:
            raise NoSeat(MatchmakeCode.BAD_ROOM_ID, f'room "{room_id}" is locked')
        if placed is Refusal.FULL:
            raise NoSeat(MatchmakeCode.UNHANDLED, f"{room_id} is already full.")
        raise _not_found(room_id)

    async def _is_forgotten(self) -> bool:
        """Whether Redis had lost what this node has, which it else hears at the next renewal only; now it knows."""
        if not await self._node.publisher.refresh():
            return False
        await self._node.publisher.write()
        return True

    async def _place(
        self, name: str, room_id: str | None, filters: Mapping[str, FilterValue], reservation: Reservation
    ) -> Placed | Refusal:
        return await self._reservations.place(name, room_id, filters, reservation, self._ttl_ms)

    def _filters(self, name: str, applicant: Applicant) -> dict[str, str | int | bool]:
        found = ((key, applicant.options.get(key)) for key in self._node.games[name].filter_by)
        return {key: value for key, value in found if isinstance(value, (str, int, bool))}

    def _reservation(self, applicant: Applicant) -> Reservation:
        return Reservation(
            session_id=new_id(self._random),
            player_id=applicant.player.player_id,
            name=applicant.player.name,
            role=applicant.player.role,
            options=msgspec.json.encode(applicant.options),
            protocol_version=applicant.protocol_version,
            resume=applicant.resumes,
        )

    def _placed(self, name: str, placed: Placed, reservation: Reservation) -> Seat:
        return self._seat(name, placed.room_id, reservation.session_id, placed.node_id, placed.public_address)

    def _seat(
        self, name: str, room_id: str, session_id: str, node_id: str | None = None, address: str | None = None
    ) -> Seat:
        process_id = node_id or self._node.node_id
        address = address if node_id is not None else self._public_address
        room = SeatRoom(name=name, room_id=room_id, process_id=process_id, public_address=address)
        return Seat(
            name=name,
            session_id=session_id,
            room_id=room_id,
            process_id=process_id,
            room=room,
            public_address=address,
        )


def _not_found(room_id: str) -> NoSeat:
    return NoSeat(MatchmakeCode.BAD_ROOM_ID, f'room "{room_id}" not found')


def _unlisted(owner: OwnedBy) -> Unavailable:
    return Unavailable(f"node {owner.node_id} has the room and has not listed it", "refused")
