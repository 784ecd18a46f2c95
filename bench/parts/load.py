"""
Load: ours and a peer in alternation, A B A B, under the same load. CPU, latency and traffic come from these same runs.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from bench.parts.base import START_S, Stage, Step
from bench.run import Figures
from bench.subjects import OURS, Subject


class Pair(msgspec.Struct, frozen=True):
    """Two runs, one right after the other."""

    peer: str
    ours: Figures
    theirs: Figures


class LoadPart:
    def __init__(self, stage: Stage, peers: Sequence[Subject], pairs: list[Pair], alone: list[Figures]) -> None:
        """`alone` gets the runs where there is no peer to compare with."""
        self.pairs = pairs
        self.alone = alone
        self._stage = stage
        self._peers = peers
        self._last: Figures | None = None

    def steps(self) -> Iterator[Step]:
        load, runs = self._stage.options.load, self._stage.options.runs
        for number in range(runs if not self._peers else 0):
            yield Step(f"Holdfast, run {number + 1} of {runs}", load.takes_s + START_S, self._play_alone)
        for peer in self._peers:
            for number in range(runs):
                where = f"pair {number + 1} of {runs}"
                yield Step(f"{peer.title}, {where}: ours", load.takes_s + START_S, self._play_ours)
                yield Step(f"{peer.title}, {where}: theirs", load.takes_s + START_S, partial(self._play_theirs, peer))

    def _play_alone(self) -> str:
        figures = self._stage.play(OURS, self._stage.options.load)
        self.alone.append(figures)
        return told(figures)

    def _play_ours(self) -> str:
        self._last = None  # no pair is made with the run of another
        self._last = self._stage.play(OURS, self._stage.options.load)
        return told(self._last)

    def _play_theirs(self, peer: Subject) -> str:
        theirs = self._stage.play(peer, self._stage.options.load)
        if self._last is not None:
            self.pairs.append(Pair(peer.name, self._last, theirs))
        return told(theirs)


def told(figures: Figures) -> str:
    return (
        f"{figures.acked_per_s:,.0f} acks/s, {figures.server_cpu_us:.0f} us each, "
        f"p50 {figures.ack_ms.p50:.1f}, p99 {figures.ack_ms.p99:.1f} ms"
    )
