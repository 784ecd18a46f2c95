"""
Journal reader: a room's log as it is shown, and its state at any roomSeq.

    snapshot at or before SEQ --patches up to SEQ--> state at SEQ

Nothing here knows a game: the state is folded as plain JSON, so journals of games that are long gone can be read.
Reads go by pages, and what is in memory is one page and one state.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import msgspec

from server.core.faults import Unavailable
from server.core.journal import Entry
from server.core.state import apply_in_place
from server.storage.database import Database
from server.storage.journal import Journal
from server.storage.rooms import RoomRow
from server.storage.stores import Stores
from server.tools.databases import READER

#: Between two looks for new rows.
POLL_S = 0.2
#: Between two looks for a server that is not there.
SEARCH_S = 0.5


class NotFound(Exception):
    """There is no such room, or its journal doesn't go that far; the text is a sentence."""


class JournalBroken(Exception):
    """A roomSeq is missing, which no fault of the world explains; the text says where."""


class LogRow(msgspec.Struct, frozen=True, rename="camel"):
    """An entry as it is shown: without tokens, and with its JSON as JSON."""

    room_seq: int
    epoch: int
    session_id: str | None
    player_id: str | None
    #: The intent's number; None where no intent is behind the row.
    seq: int | None
    kind: str
    intent: msgspec.Raw | None
    patch: msgspec.Raw | None
    events: msgspec.Raw | None
    #: Milliseconds since the Unix epoch.
    at: int


class RebuiltState(msgspec.Struct, frozen=True, rename="camel"):
    """A room's state at a roomSeq, and the epoch of the entry there."""

    room_id: str
    room_seq: int
    epoch: int
    state: dict[str, Any]


def log_row(entry: Entry) -> LogRow:
    return LogRow(
        room_seq=entry.room_seq,
        epoch=entry.epoch,
        session_id=entry.session_id,
        player_id=entry.player_id,
        seq=entry.seq,
        kind=entry.kind,
        intent=_raw(entry.intent),
        patch=_raw(entry.patch),
        events=_raw(entry.events),
        at=entry.at,
    )


async def find_room(stores: Stores, room_id: str) -> RoomRow:
    """The room, ended or not. Raises NotFound, Unavailable."""
    room = await stores.rooms.get(room_id)
    if room is None:
        raise NotFound(f"there is no room {room_id!r}; `holdfast rooms` lists them")
    return room


async def read_pages(
    journal: Journal, room_id: str, after: int = 0, up_to: int | None = None
) -> AsyncIterator[list[Entry]]:
    """The room's entries past `after`, up to and with `up_to`, in order, page by page; no page is empty.

    Raises Unavailable."""
    while page := await journal.read(room_id, after, up_to):
        yield page
        after = page[-1].room_seq


async def follow(
    find_url: Callable[[], str | None], room_id: str, after: int, up_to: int | None = None
) -> AsyncIterator[list[Entry]]:
    """The room's entries past `after` as they become durable, page by page; ends only with `up_to`.

    Outlives the databases: `find_url` says where they are now, or None while they are nowhere."""
    while up_to is None or after < up_to:
        url = find_url()
        if url is not None:
            with suppress(Unavailable):
                async for page in _poll(url, room_id, after, up_to):
                    after = page[-1].room_seq
                    yield page
        await asyncio.sleep(SEARCH_S)


async def rebuild(stores: Stores, room_id: str, at: int | None = None) -> RebuiltState:
    """The room's state at roomSeq `at`, or as it is now. Raises NotFound, JournalBroken, Unavailable."""
    await find_room(stores, room_id)
    room_seq, epoch, state = 0, 0, dict[str, Any]()
    snapshot = await stores.snapshots.latest(room_id, at)
    if snapshot is not None:
        room_seq, epoch, state = snapshot.room_seq, snapshot.epoch, msgspec.json.decode(snapshot.state)
    async for page in read_pages(stores.journal, room_id, room_seq, at):
        for entry in page:
            if entry.room_seq != room_seq + 1:
                raise JournalBroken(f"the journal of room {room_id!r} goes from {room_seq} to {entry.room_seq}")
            room_seq, epoch = entry.room_seq, entry.epoch
            if entry.patch is not None:
                apply_in_place(state, msgspec.json.decode(entry.patch))
    if at is not None and room_seq < at:
        raise NotFound(f"the journal of room {room_id!r} ends at {room_seq}, before {at}")
    return RebuiltState(room_id, room_seq, epoch, state)


async def _poll(url: str, room_id: str, after: int, up_to: int | None) -> AsyncIterator[list[Entry]]:
    async with Database(url, READER) as database:
        journal = Journal(database)
        while up_to is None or after < up_to:
            async for page in read_pages(journal, room_id, after, up_to):
                after = page[-1].room_seq
                yield page
            await asyncio.sleep(POLL_S)


def _raw(json: bytes | None) -> msgspec.Raw | None:
    return None if json is None else msgspec.Raw(json)
