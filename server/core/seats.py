"""
Seats: who sits in a room, and until when.

    (reserved) --join--> CLAIMED --drop--> HELD --reconnect--> CLAIMED
                            `--leave--> (free) <--leave, or its deadline--'

A reservation lives in Redis until it is redeemed; here the room itself decides whether there
is a seat. A held seat counts like a claimed one: its session may come back to it.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from server.core.link import Link
from server.core.membership import Membership
from server.core.permissions import permissions_of
from server.core.rate import Bucket
from server.core.sequence import IntentSequence
from server.core.tokens import Tokens


class RoomLimits(msgspec.Struct, frozen=True):
    """What the settings say of the sessions of every room."""

    intent_rate: float
    intent_burst: int
    hold_ms: int
    idle_ms: int


class Seat:
    """One session's place."""

    __slots__ = (
        "active_at_ms",
        "bucket",
        "held_until_ms",
        "joined_seq",
        "link",
        "member",
        "permissions",
        "sequence",
        "tokens",
        "unreadable",
    )

    def __init__(
        self, member: Membership, joined_seq: int, tokens: Tokens, sequence: IntentSequence, bucket: Bucket
    ) -> None:
        self.member = member
        #: What its player's role may do.
        self.permissions: Final = permissions_of(member.player.role)
        #: The roomSeq of its join.
        self.joined_seq = joined_seq
        self.tokens = tokens
        self.sequence = sequence
        self.bucket = bucket
        #: Its connection; None while the seat is held, and after its session has ended.
        self.link: Link | None = None
        #: When the hold ends; None while claimed.
        self.held_until_ms: int | None = None
        #: When its client last sent anything.
        self.active_at_ms = 0
        #: Messages without a readable number in a row.
        self.unreadable = 0

    @property
    def session_id(self) -> str:
        return self.member.session_id

    def connect(self, link: Link, room_seq: int, now_ms: int) -> None:
        """The seat is claimed by the session's new or first connection, as the entry at `room_seq` says."""
        link.connected_seq = room_seq
        self.seat(link)
        self.active_at_ms = now_ms
        self.unreadable = 0

    def seat(self, link: Link) -> None:
        """The link is the session's connection."""
        link.seat, self.link = self, link
        self.held_until_ms = None

    def disconnect(self, held_until_ms: int) -> None:
        """The seat is held. Without a join byte, the token that the connection came with still counts."""
        self.tokens.lapse()
        self.link = None
        self.held_until_ms = held_until_ms


class Seats:
    """The seats of one room; at most `max_clients`."""

    def __init__(self, max_clients: int) -> None:
        self._max_clients = max_clients
        self._by_session: dict[str, Seat] = {}

    @property
    def is_full(self) -> bool:
        return len(self._by_session) >= self._max_clients

    def get(self, session_id: str) -> Seat | None:
        return self._by_session.get(session_id)

    def claim(self, seat: Seat) -> None:
        assert seat.session_id not in self._by_session, "a session has one seat"
        self._by_session[seat.session_id] = seat

    def free(self, seat: Seat) -> None:
        del self._by_session[seat.session_id]

    def to_look_at(self, active_after_ms: int) -> list[Seat]:
        """
        Those that time may end something for, if only soon: without a connection, silent since then, or waited for.

        Nearly all are none of these, many thousands of them several times a second.
        """
        return [
            seat
            for seat in self._by_session.values()
            if (link := seat.link) is None
            or seat.active_at_ms <= active_after_ms
            or link.drain_by_ms is not None
            or link.resume_by_ms is not None
        ]

    def of_player(self, player_id: str) -> list[Seat]:
        return [seat for seat in self if seat.member.player.player_id == player_id]

    def __iter__(self) -> Iterator[Seat]:
        return iter(list(self._by_session.values()))

    def __len__(self) -> int:
        return len(self._by_session)
