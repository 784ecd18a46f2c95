"""
Base: what all parts of the comparison share: the databases, the cores, how often and how long; and what a part is.

A part is a list of steps, each with the time it should take, so that whoever waits can be told how long it still is.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from bench.databases import Databases
from bench.generator import GeneratorFailed, Load
from bench.places import Places
from bench.probe import NoAck
from bench.run import Figures, measure
from bench.subjects import DidNotStart, Running, Subject

#: What a step may raise that spoils this step alone.
SPOILED = (DidNotStart, GeneratorFailed, NoAck)
#: Starting and ending a server.
START_S = 2.0


class Options(msgspec.Struct, frozen=True, rename="camel"):
    """How much is measured. The defaults take about twenty minutes for all parts against all peers."""

    #: Of each pair.
    runs: int = 3
    clients: int = 500
    rooms: int = 10
    rate_hz: float = 15
    #: Measured time of one run, and the time under load before it.
    seconds: float = 5
    warmup_s: float = 2

    @property
    def repeats(self) -> int:
        """Of what differs little from run to run, or is of ours alone."""
        return (self.runs + 1) // 2

    @property
    def load(self) -> Load:
        return Load(self.clients, self.rooms, self.rate_hz, self.seconds, self.warmup_s)


class Step(msgspec.Struct, frozen=True):
    text: str
    takes_s: float
    #: Does it; returns what it found, in a few words. Raises what `SPOILED` names.
    act: Callable[[], str]


class Part(Protocol):
    """One question, and its answer once all its steps are done."""

    def steps(self) -> Iterator[Step]:
        """In the order in which they are to be done; the same list whenever it is asked for."""


class Stage:
    def __init__(self, options: Options, databases: Databases, places: Places) -> None:
        self.options = options
        self.databases = databases
        self.places = places

    def running(self, subject: Subject, **settings: object) -> Running:
        return Running(subject, self.databases, self.places.server, **settings)

    def play(self, subject: Subject, load: Load, **settings: object) -> Figures:
        """One run on a server of its own."""
        with self.running(subject, **settings) as running:
            return measure(running, load, self.places)
