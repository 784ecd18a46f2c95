"""
HTTP as players need it: one request on one connection, JSON both ways, no retries.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httptools
import msgspec

ANSWER_S = 10.0
_READ_BYTES = 64 * 1024


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.content)


async def get(url: str, **headers: str) -> Answer:
    return await request("GET", url, b"", headers)


async def post(url: str, body: object, **headers: str) -> Answer:
    return await request("POST", url, msgspec.json.encode(body), {"Content-Type": "application/json", **headers})


async def request(method: str, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    """Raises OSError (a TimeoutError among them) where no whole answer comes."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(len(content)), **headers}
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())])
    async with asyncio.timeout(ANSWER_S):
        port = parts.port or (443 if is_tls else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=is_tls or None)
        try:
            writer.write(head.encode() + b"\r\n\r\n" + content)
            return await _answer(reader)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    collected = _Collected()
    parser = httptools.HttpResponseParser(collected)
    try:
        while not collected.is_whole and (said := await reader.read(_READ_BYTES)):
            parser.feed_data(said)
    except httptools.HttpParserError as problem:
        raise ConnectionResetError("the answer is not HTTP") from problem
    # Without a length the end of the connection is the end of the answer.
    is_open_ended = collected.has_head and not {"content-length", "transfer-encoding"} & collected.headers.keys()
    if not (collected.is_whole or is_open_ended):
        raise ConnectionResetError("the connection broke off before the end of the answer")
    return Answer(parser.get_status_code(), collected.headers, b"".join(collected.content))


class _Collected:
    """What the parser calls."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.content: list[bytes] = []
        self.has_head = False
        self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self.content.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = True
