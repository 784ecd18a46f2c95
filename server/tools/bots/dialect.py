"""
Dialect: how a kind of server is spoken to. The bots, their schedule and their checks know none of it.

    seat ------> a place in a room that exists or is made for it, and the socket to dial
    framer ----> an intent as the server's own client library would send it
    reader ----> what a frame of the server says, told to the bot: let_in, shown, changed, acked, rejected, is_back ...
    fresh -----> the room's state once more, from the server: what the bots' own must be equal to at the end

A server that is to be measured beside Holdfast speaks of numbered intents, acks and rejects as Holdfast does
(`intent.*`, `event.ack`, `event.reject`), and has in its state the fields that the room's course looks at. If the state
says which `roomSeq` it shows, it is also known when an intent was seen by others, and that each was.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from picows import WSMsgType

from server.tools.bots.courses import Course, Values
from server.tools.bots.result import Target
from server.tools.bots.room import Stand

if TYPE_CHECKING:
    from server.tools.bots.bot import Bot

#: What a frame of the server says, told to a bot. Raises `Unreadable` for one that can't be read.
Reader = Callable[[bytes], None]
#: An intent's frame from its number and values.
Framer = Callable[[int, Values], bytes]


class Unreadable(Exception):
    """A frame is not of the server's own protocol."""


class Refused(Exception):
    """The server is not there, or said no for good: no seat, another version. The text is for people."""


class NoSuchRoom(Refused):
    """The server has no room of that name or id."""


class Busy(Exception):
    """The server said no for now."""

    def __init__(self, why: str, after_s: float) -> None:
        super().__init__(why)
        self.after_s = after_s


class Seat(msgspec.Struct, frozen=True):
    """A place in a room."""

    room_id: str
    #: As the state names the player. Where only the socket tells it, "" until `Bot.let_in`.
    session_id: str
    #: What to dial, without what a reconnect adds.
    socket_url: str


class Dialect(Protocol):
    target: Target
    #: Of the frames that bots send.
    frame_type: WSMsgType

    async def version(self) -> dict[str, Any] | None:
        """What the server says of itself; None where it says nothing. Raises OSError and Refused."""

    async def seat(self, room_name: str, room_id: str | None) -> Seat:
        """In that room, or in a new one. Raises OSError, Busy and Refused."""

    def socket_url(self, seat: Seat, token: str | None) -> str:
        """What to dial: for the first time, or with the token of the connection before."""

    def reader(self, bot: "Bot") -> Reader:
        """For one connection."""

    def framer(self, course: Course) -> Framer: ...

    def leave_frame(self) -> bytes | None:
        """Says that a bot goes on purpose."""

    def plain(self, state: Any) -> dict[str, Any]:
        """A stand's state as JSON has it."""

    def fresh(self, bot: "Bot") -> AbstractAsyncContextManager[Stand]:
        """The state of the bot's room as the server gives it to somebody new, or to this bot anew. While it is held
        open the room is at rest. Raises TimeoutError, OSError, Busy and Refused."""
