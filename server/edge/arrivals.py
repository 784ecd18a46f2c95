"""
Arrivals: a dialled socket becomes a seated connection, or is told why not.

    no token   its seat reservation is redeemed, its character fetched, and it joins
    a token    its session's token is looked at by the room, and it reconnects

Whoever has the player's character elsewhere is ended first (4501), and what that session leaves
behind is durable before the character is taken here.
"""

import asyncio
from random import SystemRandom

import msgspec
import structlog

from contracts import PROTOCOL_VERSION, limits
from contracts.codes import CloseCode, MatchmakeCode, RejectCode
from contracts.events import VersionMismatch
from contracts.http import CharacterProfile
from contracts.states import HP_MAX
from server.core.answers import terminating
from server.core.colyseus.frames import error, join_room, room_data
from server.core.colyseus.pack import pack
from server.core.faults import Fault, Unavailable
from server.core.identifiers import new_token, token_hash
from server.core.membership import Membership, Player
from server.core.reject import Reject
from server.core.tokens import Dial
from server.edge.connection import Connection
from server.edge.evictions import Eviction, Evictions
from server.ops.metrics import Metrics
from server.presence.reservations import Reservation, Reservations
from server.runtime.clock import Clock
from server.runtime.locks import Locks
from server.runtime.node import Node
from server.runtime.runner import RoomRunner
from server.runtime.terms import NodeFull
from server.storage.characters import CharacterRow, Characters
from server.storage.rooms import OwnedBy

_log = structlog.get_logger(service="arrivals")

_EXPIRED_SEAT = "seat reservation expired."
_EXPIRED_TOKEN = "reconnection token invalid or expired."


def new_profile(name: str) -> bytes:
    """The character of a player who has none yet, as JSON."""
    return msgspec.json.encode(CharacterProfile(name=name, hp=HP_MAX, inventory={}))


class Arrivals:
    def __init__(
        self,
        node: Node,
        reservations: Reservations,
        characters: Characters,
        evictions: Evictions,
        metrics: Metrics,
        clock: Clock,
        random: SystemRandom,
    ) -> None:
        self._node = node
        self._reservations = reservations
        self._characters = characters
        self._evictions = evictions
        self._metrics = metrics
        self._clock = clock
        self._random = random
        #: One join of a player at a time.
        self._joining = Locks()

    async def seat(self, connection: Connection) -> None:
        """See the connection to its seat, or to its end. Raises nothing."""
        token = connection.dialled.reconnection_token
        try:
            if token is None:
                await self._join(connection)
            else:
                await self._reconnect(connection, token)
        except (Fault, NodeFull) as fault:
            _log.warning("a connection could not be seated", room=connection.dialled.room_id, fault=str(fault))
            connection.send(terminating("unavailable"))
            connection.close(CloseCode.MAY_RECONNECT, "try again in a moment")
            self._count(token, "failed")
        except Exception:
            # A bug, or a journal that this code cannot read: that room's trouble, not the process'.
            _log.exception("an arrival failed", room=connection.dialled.room_id)
            connection.refuse(MatchmakeCode.UNHANDLED, "something went wrong here", CloseCode.ERROR)
            self._count(token, "failed")

    async def _join(self, connection: Connection) -> None:
        dialled = connection.dialled
        self._node.refuse_if_crowded()
        runner = await self._room(dialled.room_id)
        reservation: Reservation | None = None
        if runner is not None:
            name = runner.room.rules.name
            reservation = await self._reservations.redeem(name, dialled.room_id, dialled.session_id)
        if runner is None or reservation is None:
            self._metrics.connects.inc("failed")
            connection.refuse(MatchmakeCode.EXPIRED, _EXPIRED_SEAT, CloseCode.ERROR)
            return
        player = Player(reservation.player_id, reservation.name, reservation.role)
        member = Membership(dialled.session_id, player, reservation.protocol_version, reservation.resume)
        async with self._joining[player.player_id]:
            character = await self._character(runner, player)
            # The room may have been released while we waited; nothing is awaited from here to the seat.
            if connection.is_closed:
                return
            self._node.refuse_if_crowded()
            if not runner.takes_input:
                raise Unavailable("the room was released meanwhile")
            refused = self._seated(runner, connection, member, reservation, character)
            if character is not None:
                # Until the taking is durable, a second join of the player would find the character at rest.
                await runner.durable()
        self._metrics.connects.inc("failed" if refused else "ok")

    def _seated(
        self,
        runner: RoomRunner,
        connection: Connection,
        member: Membership,
        reservation: Reservation,
        character: CharacterRow | None,
    ) -> Reject | None:
        token = new_token(self._random)
        profile = None if character is None else msgspec.json.decode(character.profile)
        refused = runner.step(
            lambda room: room.join(
                connection,
                member,
                msgspec.json.decode(reservation.options),
                profile,
                token_hash(token),
                join_room(token),
                self._clock(),
                self._random,
            )
        )
        if refused is None:
            connection.seated(runner)
        else:
            is_full = refused.code is RejectCode.OVERLOADED
            code = MatchmakeCode.UNHANDLED if is_full else MatchmakeCode.JOIN_FAILED
            words, why = error(code, refused.message), refused.message
            runner.step(lambda room: room.turn_away(connection, words, CloseCode.ERROR, why))
        return refused

    async def _reconnect(self, connection: Connection, token: str) -> None:
        dialled = connection.dialled
        runner = await self._room(dialled.room_id)
        seat = None if runner is None else runner.room.seats.get(dialled.session_id)
        if runner is None or seat is None:
            self._refuse_token(connection, runner)
            return
        spoken = seat.member.protocol_version
        if token_hash(token) in seat.tokens.counting and spoken not in (None, PROTOCOL_VERSION):
            mismatch = VersionMismatch(expected=PROTOCOL_VERSION, received=spoken or "")
            connection.send(room_data(VersionMismatch.TYPE, pack(mismatch)))
            connection.close(CloseCode.VERSION_MISMATCH, "version mismatch")
            self._metrics.reconnects.inc("failed")
            return
        given = new_token(self._random)
        dial = runner.room.dial(dialled.session_id, token_hash(token), token_hash(given))
        if dial is Dial.ACCEPTED:
            runner.step(
                lambda room: room.reconnect(
                    connection, dialled.session_id, join_room(given), self._clock(), self._random
                )
            )
            connection.seated(runner)
        elif dial is Dial.BUSY:
            connection.close(CloseCode.MAY_RECONNECT, "another connection of this session is being made")
        else:
            self._refuse_token(connection, runner)

    async def _room(self, room_id: str) -> RoomRunner | None:
        """The room; None if there is none. Raises a Fault also while another node, thought to live, has it."""
        found = await self._node.room(room_id)
        if isinstance(found, OwnedBy):
            raise Unavailable(f"the room belongs to node {found.node_id}", "refused")
        return found

    def _refuse_token(self, connection: Connection, runner: RoomRunner | None) -> None:
        """For good; by a room only once that the session is over, or the token used, is durable."""
        self._metrics.reconnects.inc("failed")
        if runner is None:
            connection.refuse(MatchmakeCode.EXPIRED, _EXPIRED_TOKEN, CloseCode.FAILED_TO_RECONNECT)
            return
        words = error(MatchmakeCode.EXPIRED, _EXPIRED_TOKEN)
        runner.step(lambda room: room.turn_away(connection, words, CloseCode.FAILED_TO_RECONNECT, _EXPIRED_TOKEN))

    def _count(self, token: str | None, outcome: str) -> None:
        (self._metrics.connects if token is None else self._metrics.reconnects).inc(outcome)

    async def _character(self, runner: RoomRunner, player: Player) -> CharacterRow | None:
        """The player's character, at rest; None where the room takes none. Raises a Fault."""
        if not runner.room.rules.takes_characters:
            return None
        default = new_profile(player.name)
        for _ in range(limits.EVICTION_ATTEMPTS_MAX):
            row = await self._characters.get_or_create(self._node.node_id, player.player_id, player.name, default)
            if row.room_id is None or row.session_id is None:
                return row
            holder = Eviction(row.room_id, row.player_id, row.session_id, CloseCode.REPLACED, "joined elsewhere")
            if await self._evictions.end(holder) is None:
                await asyncio.sleep(limits.EVICTION_PAUSE_S)
        raise Unavailable("the player's character is still elsewhere")
