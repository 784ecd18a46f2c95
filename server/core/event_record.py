"""
Event records: durable events as the journal keeps them.

Apart from `step`, for what is read back from bytes is not compiled: mypyc forgets the types by which it is checked.
"""

from typing import Any

import msgspec

from server.core.colyseus.frames import room_data
from server.core.colyseus.pack import pack
from server.core.history import Emitted


class EventRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A durable event as its journal entry keeps it."""

    type: str
    body: dict[str, Any]
    to: tuple[str, ...] | None = None

    def emitted(self) -> Emitted:
        return Emitted(room_data(self.type, pack(self.body)), self.to)
