"""
Budget: what the server promises to cost, beside its peers, and whether it was so.
"""

from statistics import median

from bench.comparison import Comparison, Row, rows
from bench.ratios import Middle, Verdict
from bench.subjects import SUBJECTS

#: What still counts as flat: the dearest of 1 to 1,000 rooms by the cheapest.
FLAT = 1.25


def verdicts(found: Comparison) -> list[Verdict]:
    """Of what was measured."""
    table = {row.name: row for row in rows(found)}
    cpu, p99 = table.get("server CPU an action"), table.get("ack p99")
    best = _best_durable(p99)
    lines = [
        Verdict("server CPU of an action, by Colyseus keeping nothing", _ratio(cpu, "colyseus-memory"), 0.9),
        Verdict("server CPU of an action, by Colyseus with one INSERT", _ratio(cpu, "colyseus-insert"), 0.5),
        Verdict("ack p99, by the best durable Colyseus", _ratio(p99, best), 0.5),
        Verdict("ack p50 at low load, by a bare commit at that pace", _by_bare_commit(found), 2.0),
        Verdict("cost of an action, the dearest of 1 to 1,000 rooms by the cheapest", _flatness(found), FLAT),
        Verdict("cost of an action at the highest rate, by that at the lowest", _falling(found), 1.0),
    ]
    return [line for line in lines if line.found is not None]


def _ratio(row: Row | None, peer: str | None) -> Middle | None:
    return None if row is None or peer is None else row.ratios.get(peer)


def _best_durable(p99: Row | None) -> str | None:
    """The durable Colyseus with the lowest p99."""
    if p99 is None:
        return None
    durable = [
        (middle.median, name)
        for name, middle in p99.values.items()
        if SUBJECTS[name].target == "colyseus" and SUBJECTS[name].is_durable
    ]
    return min(durable)[1] if durable else None


def _by_bare_commit(found: Comparison) -> Middle | None:
    return Middle.of(pair.sent_to_ack_ms / pair.paced_ms for pair in found.commit)


def _flatness(found: Comparison) -> Middle | None:
    """Of medians, for a single run may be any's."""
    costs = [
        median(run.server_cpu_us for run in found.by_rooms if run.load.rooms == rooms)
        for rooms in {run.load.rooms for run in found.by_rooms}
    ]
    return Middle.of([max(costs) / min(costs)]) if len(costs) > 1 else None


def _falling(found: Comparison) -> Middle | None:
    rates = sorted({run.load.rate_hz for run in found.by_rate})
    costs = [median(run.server_cpu_us for run in found.by_rate if run.load.rate_hz == rate_hz) for rate_hz in rates]
    return Middle.of([costs[-1] / costs[0]]) if len(costs) > 1 else None
