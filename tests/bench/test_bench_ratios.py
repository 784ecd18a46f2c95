"""What several runs say together: medians, ratios of pairs, and the budget's verdicts."""

import pytest
from msgspec import structs

from bench.budget import verdicts
from bench.comparison import Comparison, rows
from bench.parts.base import Options
from bench.parts.commit import Commit
from bench.parts.load import Pair
from bench.parts.memory import PerConnection
from bench.parts.rate import Held
from bench.ratios import Middle, Verdict, ratios
from server.tools.bots.result import Machine
from tests.bench.figures import figures

MACHINE = Machine("none", 2, 0, "none", "none", {}, None, (0.0, 0.0, 0.0))


def comparison(**parts: object) -> Comparison:
    return Comparison(options=Options(), machine=MACHINE, places="nowhere", **parts)  # type: ignore[arg-type]


def pair(peer: str, ours_us: float, theirs_us: float, ours_ms: float = 10, theirs_ms: float = 10) -> Pair:
    ours, theirs = figures(cpu_us=ours_us, p99_ms=ours_ms), figures(peer, cpu_us=theirs_us, p99_ms=theirs_ms)
    return Pair(peer, ours, theirs)


def test_the_middle_of_several_runs_is_their_median_with_the_lowest_and_the_highest() -> None:
    assert Middle(median=2, low=1, high=9, count=3) == Middle.of([9, 1, 2])
    assert Middle(median=1.5, low=1, high=2, count=2) == Middle.of([2, 1])


def test_no_run_has_no_middle() -> None:
    assert Middle.of([]) is None


def test_a_ratio_is_formed_within_each_pair() -> None:
    """A minute in which all is twice as slow changes no ratio; that of the medians would be 30/50."""
    assert Middle(median=0.5, low=0.5, high=0.6, count=3) == ratios([(30, 50), (60, 120), (25, 50)])


def test_a_pair_in_which_theirs_is_nothing_says_nothing() -> None:
    assert Middle(median=0.5, low=0.5, high=0.5, count=1) == ratios([(1, 0), (1, 2)])
    assert ratios([(1, 0)]) is None


@pytest.mark.parametrize(("found", "is_met"), [(0.89, True), (0.9, True), (0.91, False)])
def test_a_budget_is_met_up_to_its_bound(found: float, is_met: bool) -> None:
    assert is_met is Verdict("", Middle.of([found]), 0.9).is_met


def test_what_was_not_measured_has_no_verdict() -> None:
    assert Verdict("", None, 0.9).is_met is None
    assert [] == verdicts(comparison(alone=[figures()]))


def test_the_budget_is_judged_by_the_medians_of_the_pairs() -> None:
    found = comparison(
        pairs=[
            *(pair("colyseus-memory", ours, theirs) for ours, theirs in ((30, 40), (36, 40), (50, 40))),
            pair("colyseus-insert", 30, 50, ours_ms=10, theirs_ms=40),
            pair("colyseus-batched", 30, 50, ours_ms=12, theirs_ms=20),
        ]
    )
    assert [(0.9, True), (0.6, False), (0.6, False)] == [
        (verdict.found and verdict.found.median, verdict.is_met) for verdict in verdicts(found)
    ]


def test_the_ack_is_judged_beside_the_commits_of_its_own_pair() -> None:
    found = comparison(commit=[Commit(5, 1, paced_ms=2, busy_ms=1), Commit(10, 1, paced_ms=3, busy_ms=1)])
    assert [(2.5, False)] == [(verdict.found and verdict.found.median, verdict.is_met) for verdict in verdicts(found)]


@pytest.mark.parametrize(("costs", "is_met"), [((40, 44, 50), True), ((40, 44, 51), False)])
def test_a_cost_is_flat_if_no_number_of_rooms_is_much_dearer_than_another(
    costs: tuple[float, ...], is_met: bool
) -> None:
    load = figures().load
    by_rooms = [
        figures(cpu_us=cost, load=structs.replace(load, rooms=rooms))
        for rooms, cost in zip((1, 10, 100), costs, strict=True)
    ]
    assert [is_met] == [verdict.is_met for verdict in verdicts(comparison(by_rooms=by_rooms))]


def test_a_cost_that_rises_with_the_rate_is_told() -> None:
    load = figures().load
    by_rate = [
        figures(cpu_us=cost, load=structs.replace(load, rate_hz=hz)) for hz, cost in ((1, 50), (5, 40), (20, 60))
    ]
    assert [(1.2, False)] == [
        (verdict.found and verdict.found.median, verdict.is_met) for verdict in verdicts(comparison(by_rate=by_rate))
    ]


def test_databases_are_compared_only_with_those_of_a_peer_that_has_any() -> None:
    found = comparison(pairs=[pair("colyseus-memory", 1, 2), pair("colyseus-insert", 1, 2)])
    table = {row.name: row for row in rows(found)}
    assert {"colyseus-memory", "colyseus-insert"} == table["server CPU an action"].ratios.keys()
    assert "colyseus-memory" not in table["databases' CPU an action"].ratios


def test_what_has_no_pairs_is_compared_by_its_medians_and_the_widest_spread() -> None:
    def each(subject: str, kib: float) -> PerConnection:
        return PerConnection(subject, is_playing=False, clients=1, empty_bytes=0, each_bytes=kib * 1024)

    found = comparison(
        memory=[each("holdfast", kib) for kib in (10, 12, 14)] + [each("colyseus-memory", kib) for kib in (20, 24, 28)]
    )
    assert [{"colyseus-memory": Middle(median=0.5, low=10 / 28, high=14 / 20, count=3)}] == [
        row.ratios for row in rows(found)
    ]


def test_more_acks_are_better_and_the_row_says_so() -> None:
    found = comparison(rate=[Held("holdfast", 16, 8_000, False), Held("colyseus-memory", 8, 4_000, False)])
    assert [(True, 2.0)] == [(row.is_better_high, row.ratios["colyseus-memory"].median) for row in rows(found)]
