"""
History: what every client asked for and saw, in the order in which it happened.

One record a line when written to a file (JSON lines). Times are seconds of one monotonic clock, counted from the
scenario's begin; all clients and proxies of a run live in one process, so they compare.
"""

import hashlib
import time
from pathlib import Path
from typing import Any

import msgspec


class Record(msgspec.Struct, frozen=True, tag_field="record", rename="camel", kw_only=True):
    """Something that happened in a room, or to it."""

    at: float = 0.0
    room: str
    session: str


class Asked(Record, frozen=True, tag="invoke", kw_only=True):
    """An intent was sent for the first time; later sends of the same number are the same question."""

    seq: int
    kind: str
    body: dict[str, Any] = {}


class Acked(Record, frozen=True, tag="ok", kw_only=True):
    seq: int
    room_seq: int
    status: str


class Rejected(Record, frozen=True, tag="reject", kw_only=True):
    """An outcome: `gap`, which consumes nothing, is not recorded."""

    seq: int
    code: str


class Unknown(Record, frozen=True, tag="unknown", kw_only=True):
    """The session ended, or the run did, before the intent had an outcome."""

    seq: int


class Opened(Record, frozen=True, tag="open", kw_only=True):
    """A connection was let in: JOIN_ROOM came."""


class Closed(Record, frozen=True, tag="close", kw_only=True):
    """A connection ended; `is_final` where no client would dial again."""

    code: int
    is_final: bool


class Resumed(Record, frozen=True, tag="resume", kw_only=True):
    room_seq: int
    recovered: bool


class Stood(Record, frozen=True, tag="state", kw_only=True):
    """A snapshot (without `base_seq`) or a delta came; `digest` is of the whole state after it."""

    base_seq: int | None = None
    room_seq: int
    epoch: int
    digest: str


class Heard(Record, frozen=True, tag="event", kw_only=True):
    """A durable event that the client had not had yet, by its (roomSeq, n)."""

    room_seq: int
    n: int
    digest: str


class Told(Record, frozen=True, tag="degraded", kw_only=True):
    dependency: str
    status: str
    reason: str


class Committed(Record, frozen=True, tag="commit", kw_only=True):
    """PostgreSQL has answered that this action is durable: a proxy saw it, and nobody can have known it before."""

    room_seq: int


class Rested(Record, frozen=True, tag="rest", kw_only=True):
    """Where a client stands at the end of the run, after healing, with nothing of it open."""

    room_seq: int
    digest: str


class Wrong(Record, frozen=True, tag="wrong", kw_only=True):
    """What a client can see by itself to be against the protocol."""

    what: str


AnyRecord = (
    Asked | Acked | Rejected | Unknown | Opened | Closed | Resumed | Stood | Heard | Told | Committed | Rested | Wrong
)


class Row(msgspec.Struct, frozen=True):
    """One row of PostgreSQL's `actions`, as far as it matters here."""

    room_id: str
    room_seq: int
    epoch: int
    session_id: str | None
    seq: int | None
    kind: str
    patch: bytes | None = None
    events: bytes | None = None


class History:
    """The records of one run, in the order of their time."""

    def __init__(self) -> None:
        self.records: list[AnyRecord] = []
        self._began = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._began

    def add(self, record: AnyRecord) -> None:
        """Keep it, as of now."""
        self.records.append(msgspec.structs.replace(record, at=round(self.now(), 6)))

    def write(self, path: Path) -> None:
        encode = msgspec.json.Encoder().encode
        with path.open("wb") as file:
            file.writelines(encode(record) + b"\n" for record in self.records)


def digest(value: object) -> str:
    """Two trees have the same one if they are the same JSON, whatever the order of their keys."""
    return hashlib.blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=8).hexdigest()
