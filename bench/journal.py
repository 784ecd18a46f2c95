"""
Journal: whether every ack that the bots were given is in PostgreSQL, at its roomSeq and for its intent.

The acks are read as the bots wrote them down, JSON lines of room, roomSeq, session and number, and looked up in what
was committed, past the server.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.databases import fetch
from server.tools.bots.result import Ack

_ROWS = "SELECT room_id, room_seq, session_id, seq FROM actions WHERE seq IS NOT NULL"


def missing(database_url: str, acks: Path) -> list[Ack]:
    """The acks that are not there, in the order in which they were given."""
    given: list[Ack] = msgspec.json.Decoder(Ack).decode_lines(acks.read_bytes())
    return asyncio.run(find_missing(database_url, given))


async def find_missing(database_url: str, given: Sequence[Ack]) -> list[Ack]:
    durable = {tuple(row) for row in await fetch(database_url, _ROWS)}
    return [ack for ack in given if (ack.room_id, ack.room_seq, ack.session_id, ack.seq) not in durable]
