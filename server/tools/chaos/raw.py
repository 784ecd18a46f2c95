"""
Raw: a WebSocket client that may say anything, also what the protocol forbids (RFC 6455).
"""

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from server.tools.wire import Failed, Joined, Message, Pong, Response, read

TEXT, BINARY, CONTINUATION, CLOSE, PING = 1, 2, 0, 8, 9
#: Of a client that means to be slow.
_SMALL_BUFFER_BYTES = 4096
_HEAD_BYTES_MAX = 64 * 1024
_LOST = 1006


class RawSocket:
    """One connection, after its upgrade."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, url: str, seat: Mapping[str, Any], token: str | None = None, *, is_slow: bool = False) -> Self:
        """The seat's WebSocket. Raises ConnectionRefusedError where it isn't upgraded, and other OSErrors."""
        query = {"sessionId": seat["sessionId"]} | ({} if token is None else {"reconnectionToken": token})
        status, reader, writer = await upgrade(
            url, f"/{seat['processId']}/{seat['roomId']}?{urlencode(query)}", is_slow=is_slow
        )
        if status != 101:
            writer.close()
            raise ConnectionRefusedError(f"the upgrade was answered {status}")
        return cls(reader, writer)

    async def send(
        self, payload: bytes, opcode: int = BINARY, *, is_final: bool = True, is_compressed: bool = False
    ) -> None:
        """One frame, whatever is in it. Raises OSError."""
        head = bytes((opcode | (0x80 if is_final else 0) | (0x40 if is_compressed else 0),))
        await self.write(head + _length(len(payload)) + b"\0\0\0\0" + payload)  # a mask of zeros masks nothing

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def heard(self) -> Joined | Failed | Pong | Response | Message | int:
        """The next message of the server, or the code it closed with (1006 where it only cut)."""
        try:
            while True:
                opcode, payload = await self._frame()
                if opcode == BINARY:
                    return read(payload)
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2]) if len(payload) >= 2 else 1005
        except (OSError, EOFError):
            return _LOST

    async def closed(self) -> int:
        """The code the server closes with, whatever it says before."""
        while not isinstance(heard := await self.heard(), int):
            pass
        return heard

    async def token(self) -> str | int:
        """The token of its JOIN_ROOM, or the code it closed with instead."""
        while not isinstance(heard := await self.heard(), Joined | int):
            pass
        return heard.token if isinstance(heard, Joined) else heard

    def cut(self) -> None:
        self._writer.transport.abort()

    async def _frame(self) -> tuple[int, bytes]:
        first, length = await self._reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return first & 0x0F, await self._reader.readexactly(length)


async def upgrade(
    url: str, target: str, origin: str | None = None, *, is_slow: bool = False
) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for the upgrade; the status of the answer."""
    parts = urlsplit(url)
    plain = socket.socket()
    plain.setblocking(False)
    if is_slow:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
    await asyncio.get_running_loop().sock_connect(plain, (parts.hostname or "", parts.port or 0))
    reader, writer = await asyncio.open_connection(sock=plain, limit=_HEAD_BYTES_MAX)
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *([] if origin is None else [f"Origin: {origin}"]),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (EOFError, OSError):
        return 0, reader, writer
    return int(head.split()[1]), reader, writer


def _length(length: int) -> bytes:
    """With the mask bit."""
    if length < 126:
        return bytes((0x80 | length,))
    if length < 65536:
        return struct.pack("!BH", 0x80 | 126, length)
    return struct.pack("!BQ", 0x80 | 127, length)
