"""
HTTP as the players need it: one request on one connection, JSON both ways, no retries.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

ANSWER_S = 10.0


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
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    given = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(len(content)), **headers}
    head = "\r\n".join([f"{method} {target or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())])
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(head.encode() + b"\r\n\r\n" + content)
            said = await reader.read(-1)
        finally:
            writer.close()
    return _read(said)


def _read(said: bytes) -> Answer:
    head, _, content = said.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    if not status_line.startswith("HTTP/1.1 "):
        raise ConnectionResetError("the connection broke off before the answer")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if len(content) < int(headers.get("content-length", 0)):
        raise ConnectionResetError("the connection broke off within the answer")
    return Answer(int(status_line.split()[1]), headers, content)
