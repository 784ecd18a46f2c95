"""
Rate: the highest rate that is held, found by asking for ever more.

    8 a second of each client, 16, 32 ... until one is not held; then twice the middle between held and not held

Held means: of all that was due 98 % were acked in their time, p99 below 50 ms, and nothing without an answer. A
machine with other guests has bad seconds, so a rate counts as not held after two tries. All subjects' limit of
intents is raised alike, and said to be so; at 15 a second it is where it always is.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from bench.generator import Load
from bench.parts.base import START_S, Stage, Step
from bench.run import Figures, measure
from bench.subjects import OURS, Running, Subject

P99_MS_MAX = 50.0
ACKED_MIN = 0.98
FIRST_HZ, LAST_HZ = 8.0, 128.0
HALVINGS = 2
TRIES = 2
SECONDS, WARMUP_S = 2.5, 1.0
#: Intents a second of one session, for all subjects. Out of the way.
INTENT_RATE = 1_000


class Held(msgspec.Struct, frozen=True, rename="camel"):
    """What one search found."""

    subject: str
    #: Of each client; 0 if not even the first was held.
    rate_hz: float
    acked_per_s: float
    #: Where the first rate was not held it was for the load, not for the server: it holds this, or more.
    is_at_least: bool


class RatePart:
    def __init__(self, stage: Stage, peers: Sequence[Subject], found: list[Held]) -> None:
        self.found = found
        self._stage = stage
        self._subjects = (OURS, *peers)

    def steps(self) -> Iterator[Step]:
        takes_s = START_S + 7 * self._load(FIRST_HZ).takes_s
        for subject in self._subjects:
            yield Step(f"{subject.title}, rising", takes_s, partial(self._search, subject))

    def _search(self, subject: Subject) -> str:
        with self._stage.running(subject, intent_rate=INTENT_RATE) as running:
            held = search(partial(self._try, running))
        last = held.held
        found = Held(
            subject=subject.name,
            rate_hz=last.load.rate_hz if last is not None else 0.0,
            acked_per_s=last.acked_per_s if last is not None else 0.0,
            is_at_least=held.first_not_held is None or held.first_not_held.is_limited_by_load,
        )
        self.found.append(found)
        return f"{'at least ' if found.is_at_least else ''}{found.acked_per_s:,.0f} acks/s"

    def _try(self, running: Running, rate_hz: float) -> Figures:
        return measure(running, self._load(rate_hz), self._stage.places)

    def _load(self, rate_hz: float) -> Load:
        options = self._stage.options
        return Load(options.clients, options.rooms, rate_hz, SECONDS, WARMUP_S)


class Searched(msgspec.Struct, frozen=True):
    #: The highest that was held, None if none was.
    held: Figures | None = None
    #: The lowest that was not, None if all were.
    first_not_held: Figures | None = None


def search(attempt: Callable[[float], Figures]) -> Searched:
    """Bounded: doubling to the last rate, then some halvings."""
    held: Figures | None = None
    rate_hz = FIRST_HZ
    while (figures := _attempts(attempt, rate_hz)) is not None and is_held(figures):
        held, rate_hz = figures, rate_hz * 2
        if rate_hz > LAST_HZ:
            return Searched(held)
    not_held = figures
    for _ in range(HALVINGS if held is not None else 0):
        assert held is not None
        figures = _attempts(attempt, (held.load.rate_hz + not_held.load.rate_hz) / 2)
        held, not_held = (figures, not_held) if is_held(figures) else (held, figures)
    return Searched(held, not_held)


def _attempts(attempt: Callable[[float], Figures], rate_hz: float) -> Figures:
    for _ in range(TRIES):
        figures = attempt(rate_hz)
        if is_held(figures):
            break
    return figures


def is_held(figures: Figures) -> bool:
    due_per_s = figures.load.clients * figures.load.rate_hz
    return figures.acked_per_s >= ACKED_MIN * due_per_s and figures.ack_ms.p99 < P99_MS_MAX and not figures.unanswered
