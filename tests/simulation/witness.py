"""
Witness: sees every frame at the moment a process shows it, and holds it against the journal of that moment.

Nothing may be shown that is not there: durable before visible (P1), whoever shows it and however late.
"""

import re
from typing import Any

import msgspec

from server.core.identifiers import token_hash
from tests.simulation.client import read
from tests.simulation.postgres import Postgres

#: What only a room's owner may say.
OF_THE_STATE = frozenset({"JOIN_ROOM", "event.ack", "event.state_delta", "event.chat", "yard.hello"})


class Witness:
    """Of one room. Raises AssertionError."""

    def __init__(self, postgres: Postgres, room_id: str) -> None:
        self._postgres = postgres
        self._room_id = room_id

    def shown(self, process: str, session_id: str, frame: bytes) -> None:
        kind, body = read(frame)
        rows = self._postgres.actions.get(self._room_id, [])
        if kind in OF_THE_STATE:
            owner = self._postgres.rooms[self._room_id].owner
            assert owner is None or owner.startswith(f"{process}."), f"P4: {process} shows {kind} of a room of {owner}"
        if kind == "JOIN_ROOM":
            hashed = token_hash(body)
            assert any(hashed in (row.tokens or b"") for row in reversed(rows)), "P1: a token that is not durable"
            return
        if not isinstance(body, dict):
            return
        room_seq = body.get("roomSeq", 0)
        assert room_seq <= len(rows), f"P1: {kind} of {room_seq} is shown when {len(rows)} is durable"
        match kind, body.get("kind"):
            case "event.ack", "intent":
                row = rows[room_seq - 1]
                assert (session_id, body["seq"]) == (row.session_id, row.seq), f"P3: {body} acks another's action"
            case "event.ack", "resume":
                assert body["epoch"] == rows[room_seq - 1].epoch, "an epoch that is not the journal's"
            case "event.state_delta", "snapshot":
                assert body["epoch"] == rows[room_seq - 1].epoch, "an epoch that is not the journal's"
                assert body["state"] == self._postgres.states[self._room_id][room_seq], "P5: a snapshot of another past"
            case "event.state_delta", "delta":
                assert body["epoch"] == rows[room_seq - 1].epoch, "an epoch that is not the journal's"
            case (("event.chat" | "yard.hello"), _):
                event = msgspec.json.decode(rows[room_seq - 1].events or b"[]")[body["n"]]
                assert (kind, body) == (event["type"], event["body"]), "an event of another past"
            case "event.reject", _:
                self._is_true(body)

    def _is_true(self, body: dict[str, Any]) -> None:
        """What a rule's reject rests on was so, and is durable."""
        if evidence := re.fullmatch(r"at (\d+) the total is (\d+)", body["message"]):
            at, total = int(evidence[1]), int(evidence[2])
            states = self._postgres.states[self._room_id]
            assert at < len(states), f"P1: a reject rests on {at} when {len(states) - 1} is durable"
            assert total == states[at]["total"], "a reject rests on another past"
