"""
Recovery: how soon a room of 100,000 actions is back after `kill -9`.

    bots play in one room until it has so many --kill -9--> started again --> ready --> a client joins, moves --> ack

Counted from the start of the new process, a few times over. Ours by default starts from its last snapshot; without any
it folds all 100,000, which is the worst case. A peer that keeps nothing has nothing to come back to. The databases stay
up.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from bench.databases import fetch
from bench.generator import Load, play
from bench.parts.base import START_S, Stage, Step
from bench.parts.rate import INTENT_RATE
from bench.probe import first_ack
from bench.ratios import Middle
from bench.subjects import OURS, Running, Subject

ACTIONS = 100_000
#: Few clients that ask often: their room's deltas then cost the bots little.
CLIENTS, RATE_HZ = 40, 100.0
NEVER = 1_000_000

_LARGEST = "SELECT room_id, count(*) AS actions FROM actions GROUP BY room_id ORDER BY count(*) DESC LIMIT 1"


class Recovery(msgspec.Struct, frozen=True, rename="camel"):
    """One subject's room, started again some times."""

    subject: str
    has_snapshots: bool
    #: In PostgreSQL; 0 of a subject that keeps nothing.
    actions: int
    #: From the start of the process to its word that it is ready, and to the first ack in the room.
    ready_s: Middle | None
    first_ack_s: Middle | None


class RecoveryPart:
    def __init__(self, stage: Stage, peers: Sequence[Subject], found: list[Recovery]) -> None:
        self.found = found
        self._stage = stage
        self._peers = peers

    def steps(self) -> Iterator[Step]:
        takes_s = ACTIONS / CLIENTS / RATE_HZ + 10 + START_S * (1 + self._stage.options.runs)
        yield Step("Holdfast", takes_s, partial(self._recover, OURS, has_snapshots=True))
        yield Step("Holdfast, no snapshot", takes_s, partial(self._recover, OURS, has_snapshots=False))
        seen: set[tuple[str, bool]] = set()
        for peer in self._peers:
            # How a peer writes makes no difference to how it reads.
            if (kind := (peer.target, peer.is_durable)) in seen:
                continue
            seen.add(kind)
            if peer.is_durable:
                yield Step(peer.title, takes_s, partial(self._recover, peer, has_snapshots=True))
            else:
                yield Step(peer.title, 0, partial(self._lose, peer))

    def _recover(self, subject: Subject, *, has_snapshots: bool) -> str:
        settings = {"intent_rate": INTENT_RATE} | ({} if has_snapshots else {"snapshot_every": NEVER})
        load = Load(CLIENTS, 1, RATE_HZ, ACTIONS / CLIENTS / RATE_HZ, 0.5)
        with self._stage.running(subject, **settings) as running:
            play(running.url, subject.target, load, self._stage.places.load)
            running.kill()
            room_id, actions = asyncio.run(fetch(running.urls.database_url, _LARGEST))[0]
            lives = [_start_again(running, room_id) for _ in range(self._stage.options.runs)]
        found = Recovery(
            subject=subject.name,
            has_snapshots=has_snapshots,
            actions=actions,
            ready_s=Middle.of(ready_s for ready_s, _ in lives),
            first_ack_s=Middle.of(ack_s for _, ack_s in lives),
        )
        self.found.append(found)
        ready_s, ack_s = lives[0]
        return f"{actions:,} actions: ready after {ready_s:.2f} s, first ack after {ack_s:.2f} s"

    def _lose(self, peer: Subject) -> str:
        self.found.append(Recovery(peer.name, has_snapshots=False, actions=0, ready_s=None, first_ack_s=None))
        return "lost"


def _start_again(running: Running, room_id: str) -> tuple[float, float]:
    """Seconds from its start until it was ready, and until it acked in that room; it is dead again then."""
    begun = time.perf_counter()
    ready_s = running.start()
    acked_at = asyncio.run(first_ack(running.url, running.subject.target, room_id))
    running.kill()
    return ready_s, acked_at - begun
