"""
Step: what one synchronous step of a room's rules is given, and what it may leave behind.

Rules change `self.state`; besides that a step can emit durable events and, at a join or leave of
a room that takes characters, read or replace the player's character.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from contracts.events import ChatEvent
from server.core.event_record import EventRecord
from server.core.membership import Player

if TYPE_CHECKING:
    from random import Random

#: Nobody: the step of a room's creation.
NOBODY = Player("", "", "")


class Step:
    """`now_ms` and `random` are the only clock and chance that rules may use."""

    __slots__ = ("character", "events", "now_ms", "player", "random", "room_seq", "session_id")

    def __init__(
        self,
        room_seq: int,
        now_ms: int,
        random: "Random",
        session_id: str = "",
        player: Player = NOBODY,
        character: dict[str, Any] | None = None,
    ) -> None:
        #: The roomSeq this step's action will have.
        self.room_seq = room_seq
        self.now_ms = now_ms
        self.random = random
        self.session_id = session_id
        self.player = player
        #: The player's character as it rests: given at a join, to be set at a leave.
        self.character = character
        self.events: list[EventRecord] = []

    def chat(self, text: str) -> None:
        """Say a line to everyone in the room, in the player's name."""
        line = ChatEvent(
            room_seq=self.room_seq,
            n=len(self.events),
            session_id=self.session_id,
            name=self.player.name,
            text=text,
            at=float(self.now_ms),
        )
        self._emit(ChatEvent.TYPE, msgspec.to_builtins(line), None)

    def emit(self, message_type: str, body: dict[str, Any], to: tuple[str, ...] | None = None) -> None:
        """
        Send a durable event: journaled with the action, delivered before the delta that covers it,
        again after a reconnect. `roomSeq` and `n` are added to `body`. `to` names sessions; None is everyone.
        """
        self._emit(message_type, {**body, "roomSeq": self.room_seq, "n": len(self.events)}, to)

    def _emit(self, message_type: str, body: dict[str, Any], to: tuple[str, ...] | None) -> None:
        self.events.append(EventRecord(message_type, body, to))
