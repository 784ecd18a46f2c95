"""
Comparison: everything that was found, as `--json` has it, and the rows of its tables.

A row is one figure: what it is of each subject, and ours by each peer's. Ratios are formed within a pair of runs
where the figure comes from pairs, else of the medians.
"""

from collections.abc import Callable, Iterator

import msgspec

from bench.parts.base import Options
from bench.parts.commit import Commit
from bench.parts.load import Pair
from bench.parts.memory import PerConnection
from bench.parts.rate import Held
from bench.parts.recovery import Recovery
from bench.ratios import Middle, ratios
from bench.run import Figures
from bench.subjects import OURS, SUBJECTS
from server.tools.bots.result import Machine


class Comparison(msgspec.Struct, rename="camel", kw_only=True):
    """Lists are empty of what was not asked for."""

    options: Options
    machine: Machine
    places: str
    #: Whether our hot path ran as machine code.
    is_compiled: bool = False
    seconds: float = 0.0
    pairs: list[Pair] = []
    alone: list[Figures] = []
    rate: list[Held] = []
    memory: list[PerConnection] = []
    recovery: list[Recovery] = []
    commit: list[Commit] = []
    by_rooms: list[Figures] = []
    by_rate: list[Figures] = []
    #: Steps that came to nothing, and promises that were not kept.
    problems: list[str] = []

    def peers(self) -> list[str]:
        """Those of which anything is known, in the order in which all are listed."""
        named = {pair.peer for pair in self.pairs}
        named.update(found.subject for part in (self.rate, self.memory, self.recovery) for found in part)
        return [name for name in SUBJECTS if name in named and name != OURS.name]

    @property
    def conditions(self) -> str:
        how = "compiled" if self.is_compiled else "as plain Python, not compiled"
        return f"{self.places}; fsync on; our hot path {how}"

    def cautions(self) -> list[str]:
        """What a reader must know before believing a number."""
        return [
            f"{SUBJECTS[held.subject].title} holds {held.acked_per_s:,.0f} acks/s or more:"
            " beyond that the bots and the databases beside them were the limit, not the server"
            for held in self.rate
            if held.is_at_least
        ]

    def runs(self) -> Iterator[Figures]:
        """Every run of the bots that has figures of its own."""
        for pair in self.pairs:
            yield pair.ours
            yield pair.theirs
        yield from (*self.alone, *self.by_rooms, *self.by_rate)


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """One figure. What is not known of a subject is left out."""

    name: str
    unit: str
    #: By subject.
    values: dict[str, Middle]
    #: By peer: ours by theirs.
    ratios: dict[str, Middle]
    is_better_high: bool = False


def rows(found: Comparison) -> list[Row]:
    """Those of which something is known."""
    all_rows = (*_load_rows(found), *_rate_rows(found), *_memory_rows(found), *_recovery_rows(found))
    return [row for row in all_rows if row.values]


#: Name, unit, and how it is read of a run.
_LOAD: tuple[tuple[str, str, Callable[[Figures], float]], ...] = (
    ("server CPU an action", "us", lambda run: run.server_cpu_us),
    ("databases' CPU an action", "us", lambda run: run.database_cpu_us + run.cache_cpu_us),
    ("both an action", "us", lambda run: run.server_cpu_us + run.database_cpu_us + run.cache_cpu_us),
    ("ack p50", "ms", lambda run: run.ack_ms.p50),
    ("ack p99", "ms", lambda run: run.ack_ms.p99),
    ("ack p99.9", "ms", lambda run: run.ack_ms.p999),
    ("seen by others p99", "ms", lambda run: run.seen_ms.p99),
    ("to each client", "KiB/s", lambda run: run.bytes_in_per_client_s / 1024),
    ("bots' CPU, of a core", "%", lambda run: run.bots_core * 100),
)


def _load_rows(found: Comparison) -> Iterator[Row]:
    for name, unit, read in _LOAD:
        values = [(OURS.name, read(run)) for run in (*found.alone, *(pair.ours for pair in found.pairs))]
        values += [(pair.peer, read(pair.theirs)) for pair in found.pairs]
        by_peer = {
            peer: ratios([(read(pair.ours), read(pair.theirs)) for pair in found.pairs if pair.peer == peer])
            for peer in found.peers()
            if SUBJECTS[peer].is_durable or not name.startswith("databases")
        }
        is_of_bots = name.startswith("bots")
        yield Row(name, unit, _middles(values), {} if is_of_bots else _known(by_peer))


def _rate_rows(found: Comparison) -> Iterator[Row]:
    values = _middles([(held.subject, held.acked_per_s) for held in found.rate])
    yield Row("acks/s held, p99 < 50 ms", "", values, _of_medians(values), is_better_high=True)


def _memory_rows(found: Comparison) -> Iterator[Row]:
    for is_playing in (False, True):
        values = _middles(
            [(each.subject, each.each_bytes / 1024) for each in found.memory if each.is_playing is is_playing]
        )
        name = f"memory of a connection {'playing' if is_playing else 'idle'}"
        yield Row(name, "KiB", values, _of_medians(values))


def _recovery_rows(found: Comparison) -> Iterator[Row]:
    values = {each.subject: each.first_ack_s for each in found.recovery if each.has_snapshots}
    known = _known(values)
    yield Row("recovery of 100,000 actions", "s", known, _of_medians(known))
    worst = _known({each.subject: each.first_ack_s for each in found.recovery if not each.has_snapshots})
    yield Row("without a snapshot", "s", worst, {})


def _middles(values: list[tuple[str, float]]) -> dict[str, Middle]:
    return _known({name: Middle.of(value for of, value in values if of == name) for name, _ in values})


def _known(values: dict[str, Middle | None]) -> dict[str, Middle]:
    return {name: middle for name, middle in values.items() if middle is not None}


def _of_medians(values: dict[str, Middle]) -> dict[str, Middle]:
    """The spread is the widest that the runs allow."""
    ours = values.get(OURS.name)
    if ours is None:
        return {}
    return {
        peer: Middle(ours.median / theirs.median, ours.low / theirs.high, ours.high / theirs.low, theirs.count)
        for peer, theirs in values.items()
        if peer != OURS.name and theirs.low > 0
    }
