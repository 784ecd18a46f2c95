"""
Run: one subject under one load, and every figure of it.

Figures are of the measured time alone, which the bots name by their own clock: the CPU of the server and of its
databases is read all along, and what they used in that very time is worked out afterwards.
"""

import msgspec

from bench.generator import Load, play
from bench.journal import missing
from bench.places import Places
from bench.subjects import OURS, Running
from bench.usage import Meter
from server.tools.bots.result import Result, Spread

#: Of a core, from which on nothing more is to be expected of it.
FULL = 0.85


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """One run. CPU is user and system time of all processes, in us for each acked intent."""

    subject: str
    load: Load
    server_cpu_us: float
    #: PostgreSQL's, and Valkey's.
    database_cpu_us: float
    cache_cpu_us: float
    bots_cpu_us: float
    #: Of one core.
    server_core: float
    bots_core: float
    #: Of the bots' cores, what they used and the databases where they share them.
    load_core: float
    acked_per_s: float
    ack_ms: Spread
    seen_ms: Spread
    late_ms: Spread
    bytes_in_per_client_s: float
    #: Of the server's processes, while they played.
    uss_bytes: int
    pss_bytes: int
    #: How much was asked, and what became of it.
    sent: int
    acked: int
    unanswered: int
    rejected: dict[str, int]
    errors: dict[str, int]
    #: Promises that were not kept, in words.
    problems: list[str]

    @property
    def is_limited_by_load(self) -> bool:
        """Not the server was at its limit, but what gave it its load."""
        return self.load_core >= FULL > self.server_core


def measure(running: Running, load: Load, places: Places) -> Figures:
    """Let the bots play on a server; ours must have all that it acked in PostgreSQL. Raises GeneratorFailed."""
    trees = {
        "server": running.processes,
        "database": running.database_processes,
        "cache": running.cache_processes,
    }
    acks = running.folder / "acks" if running.subject is OURS else None
    with Meter(trees, of_memory="server") as meter:
        result = play(running.url, running.subject.target, load, places.load, acks)
    problems = _problems(result)
    if acks is not None and (lost := missing(running.urls.database_url, acks)):
        problems.append(f"{len(lost)} acks are not in PostgreSQL at their roomSeq, such as {lost[0]}")
    begin = result.started_at / 1000
    end = begin + result.seconds
    used = {name: meter.cpu_s(name, begin, end) for name in trees}
    memory = meter.memory(begin, end)
    each = 1e6 / max(1, result.acked)
    shared = used["database"] + used["cache"] if places.databases == places.load else 0.0
    return Figures(
        subject=running.subject.name,
        load=load,
        server_cpu_us=used["server"] * each,
        database_cpu_us=used["database"] * each,
        cache_cpu_us=used["cache"] * each,
        bots_cpu_us=result.bots_cpu_s * each,
        server_core=used["server"] / result.seconds,
        bots_core=result.bots_cpu_s / result.seconds,
        load_core=(result.bots_cpu_s + shared) / result.seconds / max(1, len(places.load)),
        acked_per_s=result.acked_per_s,
        ack_ms=result.ack_ms,
        seen_ms=result.seen_ms,
        late_ms=result.late_ms,
        bytes_in_per_client_s=result.bytes_in_per_client_s,
        uss_bytes=memory.uss,
        pss_bytes=memory.pss,
        sent=result.sent,
        acked=result.acked,
        unanswered=result.unanswered,
        rejected=result.rejected,
        errors=result.errors,
        problems=problems,
    )


def _problems(result: Result) -> list[str]:
    """What a comparison must not pass over: a server that loses or doubles is not cheaper."""
    counts = {name: getattr(result, name) for name in ("lost", "doubled", "gaps", "diverged", "unanswered")}
    return [*(f"{count} {name}" for name, count in counts.items() if count), *result.problems]
