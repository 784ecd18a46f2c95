"""
Memory: what a connection takes of a server, idle in its room and playing.

The memory that would be free if the server ended (USS of all its processes) is read before the first client and again
with all of them, each time of a server that was just started; the difference is the clients'. A playing client's
includes what its room keeps of what was done.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from bench.generator import Load
from bench.parts.base import START_S, Stage, Step
from bench.run import measure
from bench.subjects import OURS, Subject

IDLE_CLIENTS_FACTOR = 2
SECONDS = 4.0


class PerConnection(msgspec.Struct, frozen=True, rename="camel"):
    """One run: bytes of the server without clients, and what each client added."""

    subject: str
    is_playing: bool
    clients: int
    empty_bytes: int
    each_bytes: float


class MemoryPart:
    def __init__(self, stage: Stage, peers: Sequence[Subject], found: list[PerConnection]) -> None:
        self.found = found
        self._stage = stage
        # A database's memory is not its server's, so how it keeps things makes no difference worth a run.
        self._subjects = (OURS, *(peer for peer in peers if not peer.is_durable))

    def steps(self) -> Iterator[Step]:
        repeats = self._stage.options.repeats
        for number in range(repeats):
            for subject in self._subjects:
                for load, is_playing in ((self._idle, False), (self._playing, True)):
                    yield Step(
                        f"{subject.title}, {'playing' if is_playing else 'idle'}, {number + 1} of {repeats}",
                        load.takes_s + START_S,
                        partial(self._measure, subject, load, is_playing=is_playing),
                    )

    @property
    def _idle(self) -> Load:
        options = self._stage.options
        return Load(options.clients * IDLE_CLIENTS_FACTOR, options.rooms, 0, SECONDS, 1.0)

    @property
    def _playing(self) -> Load:
        options = self._stage.options
        return Load(options.clients, options.rooms, options.rate_hz, SECONDS, options.warmup_s)

    def _measure(self, subject: Subject, load: Load, *, is_playing: bool) -> str:
        with self._stage.running(subject) as running:
            empty = running.processes.memory().uss
            full = measure(running, load, self._stage.places).uss_bytes
        found = PerConnection(subject.name, is_playing, load.clients, empty, (full - empty) / load.clients)
        self.found.append(found)
        return f"{found.each_bytes / 1024:.1f} KiB a connection"
