"""
Line: one connection of a bot.

    dial --upgrade, JOIN_ROOM, first state--> live ... --closed or cut--> the bot is told the code, once
"""

import asyncio

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from server.tools.bots.bot import Bot
from server.tools.bots.dialect import Dialect
from server.tools.bots.tally import Tally

#: From the dial until the bot is live.
DIAL_S = 10.0
LEAVE_S = 2.0
#: The largest frame: the whole state of a room.
FRAME_BYTES_MAX = 64 * 1024 * 1024
_LOST = 1006
_BINARY, _TEXT, _CLOSE = WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.CLOSE


class Closed(OSError):
    """By the server, before the bot was let in."""

    def __init__(self, code: int) -> None:
        super().__init__(f"a connection was closed {code} before it was let in")
        self.code = code


class Line(WSListener):
    def __init__(self, bot: Bot, tally: Tally) -> None:
        self._bot = bot
        self._tally = tally
        self._hear = bot.hear
        self._transport: WSTransport | None = None
        self.code = _LOST
        self._is_over = asyncio.Event()
        self._is_settled = asyncio.Event()

    async def settled(self) -> None:
        """The bot is live, or the connection is over."""
        await self._is_settled.wait()

    async def ended(self) -> None:
        """The server has closed, or what it has for that has passed and this end has cut."""
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._is_over.wait()
        except TimeoutError:
            self.cut()

    def settle(self) -> None:
        self._is_settled.set()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.abort()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._bot.connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is _BINARY or kind is _TEXT:
            payload = frame.get_payload_as_bytes()
            self._tally.frames_in += 1
            self._tally.bytes_in += len(payload)
            self._hear(payload)
        elif kind is _CLOSE:
            self.code = frame.get_close_code().value
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._is_over.set()
        self._is_settled.set()
        self._bot.disconnected(transport, self.code)


async def dial(bot: Bot, dialect: Dialect, tally: Tally) -> Line:
    """A connection on which the bot is live. Raises OSError where none comes about, in words."""
    line = Line(bot, tally)
    bot.on_live = line.settle
    url = dialect.socket_url(bot.seat, bot.token)
    try:
        async with asyncio.timeout(DIAL_S):
            await ws_connect(
                lambda: line, url, websocket_handshake_timeout=DIAL_S, max_frame_size=FRAME_BYTES_MAX, max_redirects=0
            )
            await line.settled()
    except TimeoutError:
        line.cut()
        raise OSError(f"a connection was not let in within {DIAL_S:g} s") from None
    except WSError as problem:
        line.cut()
        raise OSError(f"a connection was refused: {problem}") from problem
    finally:
        bot.on_live = None
    if not bot.is_live:
        raise Closed(line.code)
    return line
