"""A client that speaks TCP: its frames are made by hand, and may be as wrong as a test wants them."""

import asyncio
import base64
import os
import socket
import struct

from contracts import limits

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def cut(self) -> None:
        self._writer.transport.abort()

    def send(self, *chunks: bytes) -> None:
        self._writer.write(b"".join(chunks))

    async def drain(self) -> None:
        await self._writer.drain()

    async def send_bytewise(self, chunk: bytes) -> None:
        for byte in chunk:
            self.send(bytes((byte,)))
            await asyncio.sleep(0)

    async def upgrade(self, **changes: str | None) -> tuple[int, dict[str, str], bytes]:
        self.send(upgrade_request(**changes))
        return await self.response()

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(10):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(status_line.split(" ")[1]), headers, body

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(10):
            head, length = await self._reader.readexactly(2)
            assert head & 0x70 == 0, "the server sets no reserved bit"
            assert head & 0x80, "the server sends whole messages"
            assert length < 0x80, "the server masks nothing"
            if length == 126:
                (length,) = struct.unpack(">H", await self._reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", await self._reader.readexactly(8))
            return head & 0x0F, await self._reader.readexactly(length)

    async def close_code(self) -> int:
        """The code of the close frame that comes next."""
        opcode, payload = await self.frame()
        assert opcode == CLOSE
        return int.from_bytes(payload[:2])

    async def is_at_end(self) -> bool:
        """Whether the server has closed: by itself, not because its patience ended."""
        try:
            return await asyncio.wait_for(self._reader.read(1), 0.8 * limits.CLOSE_S) == b""
        except ConnectionError:
            return True

    async def read(self) -> bytes:
        """What comes next, whatever it is; nothing at the end."""
        async with asyncio.timeout(10):
            return await self._reader.read(64 * 1024)

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()

    def read_on(self) -> None:
        self._writer.transport.resume_reading()

    def reset(self) -> None:
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def finish(self) -> None:
        self._writer.write_eof()


def upgrade_request(path: str = "/p1/r1?sessionId=s1", method: str = "GET", **changes: str | None) -> bytes:
    headers = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def frame(
    opcode: int, payload: bytes = b"", *, last: bool = True, reserved: int = 0, masked: bool = True, length: int = -1
) -> bytes:
    """A client's frame; `length` is what the header claims."""
    length = len(payload) if length < 0 else length
    if length < 126:
        size = struct.pack("B", length)
    else:
        size = struct.pack(">BH", 126, length) if length < 65536 else struct.pack(">BQ", 127, length)
    head = bytes((last << 7 | reserved << 4 | opcode, masked << 7 | size[0])) + size[1:]
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2) + reason)
