"""
One room: its sessions' numbers and rates, its actions' numbers, and a delta every 50 ms.

An intent is judged and applied at once; its ack waits until the action is committed, if actions are kept. Deltas do not
wait: they show what is in memory.
"""

import asyncio
import os
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import rules
import socketio
from state import Tree, World
from store import Action, Store

#: Intents a second of one session; twice as many may come at once.
RATE = float(os.environ.get("INTENT_RATE", "20"))
BURST = 2 * RATE
OUTCOMES_MAX = 512
PATCH_RATE_S = 0.05
SNAPSHOT_EVERY = 1_000
CHAT_CHARS_MAX = 500
ACTION_CHARS_MAX = 32
TARGET_CHARS_MAX = 64

Outcome = int | Tree


class Session:
    """Each number has exactly one outcome: the roomSeq it was applied at, or the reject."""

    def __init__(self) -> None:
        self.last = 0
        self._outcomes: OrderedDict[int, Outcome] = OrderedDict()
        self._tokens, self._at = BURST, time.monotonic()

    def outcome_of(self, seq: int) -> Outcome | None:
        return self._outcomes.get(seq)

    def settle(self, seq: int, outcome: Outcome) -> None:
        self.last = seq
        self._outcomes[seq] = outcome
        if len(self._outcomes) > OUTCOMES_MAX:
            self._outcomes.popitem(last=False)

    def take_token(self) -> bool:
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._at) * RATE)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Room:
    def __init__(self, room_id: str, world: World, sio: socketio.AsyncServer, store: Store | None) -> None:
        self.room_id = room_id
        self.world = world
        self.sessions: dict[str, Session] = {}
        #: The last action that is committed.
        self.committed_seq = self._shown_seq = world.room_seq
        self._sio = sio
        self._store = store
        #: Held while a delta goes out, or the snapshot that the next one begins at.
        self._showing = asyncio.Lock()

    # -- sessions -------------------------------------------------------------------------------------------------

    async def join(self, session_id: str, name: str) -> None:
        """The session gets the state with itself in it, and deltas from there on."""
        self.sessions[session_id] = Session()
        if len(self.sessions) == 1:
            self._sio.start_background_task(self._show_for_ever)
        about = {"sessionId": session_id, "roomId": self.room_id, "intentRate": RATE, "intentBurst": int(BURST)}
        await self._sio.emit("event.ack", {"kind": "handshake", **about}, to=session_id)
        rules.enter(self.world, session_id, name)
        await self._keep(session_id, None, "session.join", None)
        async with self._showing:
            state = orjson.Fragment(orjson.dumps(self.world.state))
            snapshot = {"kind": "snapshot", "roomSeq": self.world.room_seq, "state": state}
            await self._show()
            await self._sio.emit("event.state_delta", snapshot, to=session_id)
            await self._sio.enter_room(session_id, self.room_id)

    async def leave(self, session_id: str) -> None:
        del self.sessions[session_id]
        self.world.change(("players",), {session_id: None})
        await self._keep(session_id, None, "session.leave", None)

    @property
    def is_over(self) -> bool:
        """Nobody is in it, and all of it is committed."""
        return not self.sessions and self.committed_seq == self.world.room_seq

    async def _show_for_ever(self) -> None:
        while self.sessions:
            await self._sio.sleep(PATCH_RATE_S)
            async with self._showing:
                await self._show()

    async def _show(self) -> None:
        """To everyone, what has changed since the last time."""
        world = self.world
        if world.room_seq == self._shown_seq:
            return
        delta = {"kind": "delta", "baseSeq": self._shown_seq, "roomSeq": world.room_seq, "patches": [world.unsent]}
        world.unsent, self._shown_seq = {}, world.room_seq
        await self._sio.emit("event.state_delta", delta, room=self.room_id)

    # -- intents --------------------------------------------------------------------------------------------------

    async def take(self, session_id: str, kind: str, body: Any) -> None:
        session = self.sessions[session_id]
        seq = body.get("seq") if isinstance(body, dict) else None
        if type(seq) is not int or seq < 1:
            await self._say_reject(session_id, _reject(None, "invalid", "seq: expected an integer from 1"))
        elif seq <= session.last:
            await self._answer_again(session_id, seq, session.outcome_of(seq))
        elif seq > session.last + 1:
            gap = _reject(seq, "gap", f"seq: expected {session.last + 1}, got {seq}", retryable=True)
            await self._say_reject(session_id, {**gap, "expectedSeq": session.last + 1})
        elif (reject := self._judge(session, session_id, seq, kind, body)) is not None:
            session.settle(seq, reject)
            await self._say_reject(session_id, reject)
        else:
            session.settle(seq, self.world.room_seq + 1)
            await self._keep(session_id, seq, kind, body)

    def _judge(self, session: Session, session_id: str, seq: int, kind: str, body: Tree) -> Tree | None:
        """Apply it; or why not."""
        if not session.take_token():
            return _reject(seq, "rate_limited", f"more than {RATE:g} intents a second", retryable=True)
        apply = _READ[kind](body)
        if apply is None:
            return _reject(seq, "invalid", f"{kind}: not of its form")
        refusal = apply(self.world, session_id)
        return None if refusal is None else _reject(seq, "illegal", refusal)

    async def _answer_again(self, session_id: str, seq: int, outcome: Outcome | None) -> None:
        if outcome is None:
            await self._say_reject(session_id, _reject(seq, "not_durable", f"seq: {seq} was answered long ago"))
        elif isinstance(outcome, dict):
            await self._say_reject(session_id, outcome)
        elif outcome <= self.committed_seq:  # else the ack that is still to come answers both
            await self._say_ack(session_id, seq, outcome, "duplicate")

    # -- what is kept ---------------------------------------------------------------------------------------------

    async def _keep(self, session_id: str, seq: int | None, kind: str, body: Tree | None) -> None:
        """Number an action that was just applied. What is to be said of it is said once it is committed."""
        world, store = self.world, self._store
        world.room_seq += 1
        committed = partial(self._committed, session_id, world.room_seq, seq, kind, body)
        if store is None:
            await committed()
            return
        if world.room_seq % SNAPSHOT_EVERY == 0:
            state = orjson.dumps(world.state).decode()
            committed = partial(self._committed_with_snapshot, committed, world.room_seq, state)
        intent = None if body is None else orjson.dumps(body).decode()
        patch = orjson.dumps(world.unkept).decode()
        world.unkept = {}
        store.append(Action(self.room_id, world.room_seq, session_id, seq, kind, intent, patch), committed)

    async def _committed(self, session_id: str, room_seq: int, seq: int | None, kind: str, body: Tree | None) -> None:
        self.committed_seq = room_seq
        if seq is None or body is None:
            return
        if kind == "intent.chat" and session_id in self.world.players:
            name, text = self.world.players[session_id]["name"], body["text"].strip()
            about = {"roomSeq": room_seq, "n": 0, "sessionId": session_id, "at": time.time() * 1000}
            await self._sio.emit("event.chat", {**about, "name": name, "text": text}, room=self.room_id)
        await self._say_ack(session_id, seq, room_seq, "applied")

    async def _committed_with_snapshot(self, committed: Callable[[], Any], room_seq: int, state: str) -> None:
        assert self._store is not None
        await committed()
        self._sio.start_background_task(self._store.save_snapshot, self.room_id, room_seq, state)

    async def _say_ack(self, session_id: str, seq: int, room_seq: int, status: str) -> None:
        ack = {"kind": "intent", "seq": seq, "roomSeq": room_seq, "status": status}
        await self._sio.emit("event.ack", ack, to=session_id)

    async def _say_reject(self, session_id: str, reject: Tree) -> None:
        await self._sio.emit("event.reject", reject, to=session_id)


def _reject(seq: int | None, code: str, message: str, *, retryable: bool = False) -> Tree:
    return {"seq": seq, "code": code, "message": message, "retryable": retryable}


# -- the form of intents: what to apply, or None ----------------------------------------------------------------------

Apply = Callable[[World, str], str | None]
_STEPS = (-1, 0, 1)


def _read_move(body: Tree) -> Apply | None:
    dx, dy = body.get("dx"), body.get("dy")
    if type(dx) is not int or type(dy) is not int or dx not in _STEPS or dy not in _STEPS or not (dx or dy):
        return None
    return partial(rules.move, dx=dx, dy=dy)


def _read_chat(body: Tree) -> Apply | None:
    text = body.get("text")
    line = text.strip() if isinstance(text, str) else ""
    if not 1 <= len(line) <= CHAT_CHARS_MAX or any(unicodedata.category(character) == "Cc" for character in line):
        return None
    return lambda world, session_id: None


def _read_action(body: Tree) -> Apply | None:
    action, target = body.get("action"), body.get("target")
    if not isinstance(action, str) or not 1 <= len(action) <= ACTION_CHARS_MAX:
        return None
    if target is not None and not (isinstance(target, str) and len(target) <= TARGET_CHARS_MAX):
        return None
    return partial(rules.act, action=action, target=target)


_READ: dict[str, Callable[[Tree], Apply | None]] = {
    "intent.move": _read_move,
    "intent.chat": _read_chat,
    "intent.action": _read_action,
}
INTENTS = tuple(_READ)
