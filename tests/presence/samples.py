"""Listings, reservations and records as the tests need them, and a wait for a condition."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from server.presence import Listing, Reservation, SessionRecord


def listing(room_id: str = "room-1", **changes: Any) -> Listing:
    fields = {
        "room_id": room_id,
        "name": "game",
        "node_id": "node-1",
        "epoch": 1,
        "address": "10.0.0.1:2567",
        "clients": 0,
        "max_clients": 10,
        "created_at": 1_700_000_000_000,
    }
    return Listing(**{**fields, **changes})


def reservation(session_id: str = "session-1", **changes: Any) -> Reservation:
    fields = {"session_id": session_id, "player_id": "player-1", "name": "Ada", "role": "player"}
    return Reservation(**{**fields, **changes})


def record(session_id: str = "session-1", **changes: Any) -> SessionRecord:
    fields = {
        "session_id": session_id,
        "room_id": "room-1",
        "room_name": "game",
        "player_id": "player-1",
        "name": "Ada",
        "role": "player",
        "node_id": "node-1",
        "connected": True,
        "protocol_version": "1",
        "resume": True,
        "token_hashes": (hashlib.sha256(b"token").digest(),),
        "at": 1_700_000_000_000,
    }
    return SessionRecord(**{**fields, **changes})


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition that time alone brings about; pytest's timeout ends a wait in vain."""
    while True:
        if await condition():
            return
        await asyncio.sleep(0.005)
