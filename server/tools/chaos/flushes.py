"""
Flushes on PostgreSQL's wire: which actions go up, and when the server is told that they are durable.

    startup --> Parse (names the statement) --> Bind (its actions), Execute, Sync --> CommandComplete, ReadyForQuery

Source: PostgreSQL's documentation, chapter "Frontend/Backend Protocol", message formats, and what `array_send` and
`record_send` write. A flush is a statement that inserts into `actions`; its second parameter is an array of rows, each
of which begins with the room and its roomSeq.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import msgspec

from server.tools.chaos.proxy import Cut

_FLUSH = b"INSERT INTO actions"
#: Codes of the frames that a client may send before its startup packet; none of those has a type byte.
_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102


class Point(Enum):
    """Where in the life of a flush it can be caught."""

    REQUEST = 1  #: PostgreSQL has not heard of it
    REPLY = 2  #: PostgreSQL is done with it, and the server has not heard


class Action(msgspec.Struct, frozen=True):
    """Where an action of a flush goes."""

    room: str
    room_seq: int


class Trap:
    """Catches one flush at a point of its life, and holds it until somebody says how it goes on."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self._caught: asyncio.Future[Sequence[Action]] = asyncio.get_running_loop().create_future()
        self._is_lost: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def caught(self) -> Sequence[Action]:
        """The actions of the flush, once it is caught."""
        return await asyncio.shield(self._caught)

    def pass_on(self) -> None:
        """It was only late."""
        self._is_lost.set_result(False)

    def lose(self) -> None:
        """Its connection is reset."""
        self._is_lost.set_result(True)

    async def hold(self, actions: Sequence[Action]) -> None:
        """By the tap that has it. Raises Cut."""
        self._caught.set_result(actions)
        if await asyncio.shield(self._is_lost):
            raise Cut


class Flushes:
    """What goes on between all servers of a stage and PostgreSQL, through one proxy."""

    def __init__(self, on_commit: Callable[[Action], None]) -> None:
        """`on_commit` is told of each action when PostgreSQL says that it is durable, before any server hears it."""
        self.on_commit = on_commit
        #: Whether any connection has come through the proxy.
        self.are_tapped = False
        self._trap: Trap | None = None

    def trap(self, point: Point) -> Trap:
        """For the next flush on any connection."""
        self._trap = Trap(point)
        return self._trap

    def caught(self, point: Point) -> Trap | None:
        """The trap that is set at this point, if one is; it is used up."""
        if self._trap is None or self._trap.point is not point:
            return None
        trap, self._trap = self._trap, None
        return trap

    def tap(self) -> "FlushTap":
        """For one connection."""
        self.are_tapped = True
        return FlushTap(self)


class FlushTap:
    def __init__(self, flushes: Flushes) -> None:
        self._flushes = flushes
        self._from_client = _Frames(is_client=True)
        self._from_server = _Frames(is_client=False)
        self._flush_statements: set[bytes] = set()
        #: The flush in flight.
        self._actions: Sequence[Action] = ()
        self._is_committed = False

    async def up(self, chunk: bytes) -> bytes:
        for kind, body in self._from_client.of(chunk):
            if kind == b"P":
                name, _, rest = body.partition(b"\0")
                if _FLUSH in rest:
                    self._flush_statements.add(name)
            elif kind == b"B":
                await self._bound(body)
        return chunk

    async def down(self, chunk: bytes) -> bytes:
        for kind, body in self._from_server.of(chunk):
            if kind == b"C" and self._actions and body.startswith(b"INSERT 0 "):
                self._is_committed = body.rstrip(b"\0") == b"INSERT 0 %d" % len(self._actions)
            elif kind == b"Z" and self._actions:
                await self._answered()
        return chunk

    async def _bound(self, body: bytes) -> None:
        """What comes with the Bind, and the Bind itself, wait here."""
        _, _, rest = body.partition(b"\0")
        statement, _, rest = rest.partition(b"\0")
        if statement in self._flush_statements:
            self._actions, self._is_committed = _actions_of(rest), False
            if trap := self._flushes.caught(Point.REQUEST):
                await trap.hold(self._actions)

    async def _answered(self) -> None:
        """What PostgreSQL says of the flush is in the chunk that waits for us."""
        actions, self._actions = self._actions, ()
        if self._is_committed:
            for action in actions:
                self._flushes.on_commit(action)
            if trap := self._flushes.caught(Point.REPLY):
                await trap.hold(actions)


class _Frames:
    """Cuts one direction of a connection into its messages."""

    def __init__(self, *, is_client: bool) -> None:
        self._is_client = is_client
        self._begins = True
        self._buffer = b""

    def of(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """Type and body of each message that is whole by now."""
        self._buffer += chunk
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> tuple[bytes, bytes] | None:
        head = 0 if self._begins and self._is_client else 1
        if self._begins and not self._is_client and self._buffer[:1] in (b"N", b"S") and len(self._buffer) == 1:
            self._buffer = b""  # "no encryption here"
            return None
        if len(self._buffer) < head + 4:
            return None
        (length,) = struct.unpack_from("!I", self._buffer, head)
        if len(self._buffer) < head + length:
            return None
        kind, body = self._buffer[:head], self._buffer[head + 4 : head + length]
        self._buffer = self._buffer[head + length :]
        if self._begins and self._is_client:
            self._begins = struct.unpack_from("!I", body)[0] in (_SSL_REQUEST, _GSS_REQUEST)
        elif self._begins:
            self._begins = False
        return kind, body


def _actions_of(bound: bytes) -> list[Action]:
    """The actions in a Bind message, from its parameters' formats on."""
    (format_count,) = struct.unpack_from("!H", bound)
    parameters = _values(bound, 2 + 2 * format_count + 2)
    next(parameters)  # the node's id
    rows = next(parameters)
    # Behind five words of the array, and one of each row, the number of its columns.
    return [_action_of(_values(row, 4, is_row=True)) for row in _values(rows, 20)]


def _action_of(columns: Iterator[bytes]) -> Action:
    return Action(next(columns).decode(), int.from_bytes(next(columns)))


def _values(packed: bytes, offset: int, *, is_row: bool = False) -> Iterator[bytes]:
    """What stands from `offset` on, each behind its length; in a row also behind its type."""
    while offset < len(packed):
        offset += 4 if is_row else 0
        (length,) = struct.unpack_from("!i", packed, offset)
        offset += 4
        yield packed[offset : offset + max(0, length)]
        offset += max(0, length)
