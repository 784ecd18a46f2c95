"""
Guards: an action does no more work than it did.

By counting, never by wall time (see `counting`); where C has most of the work, by the ratio of two times taken in turns
in one run. When a bound is passed on purpose, `python -m tests.micro --write` writes `bounds.py` anew;
`python -m tests.micro step` shows where the work of `step` is.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from server.embedded import Urls
from tests.micro import workloads
from tests.micro.bounds import BOUNDS, COUNTED_ON
from tests.micro.counting import count
from tests.micro.flushes import FlushBench
from tests.micro.workloads import Work

ROOT = Path(__file__).parents[2]
#: What instructions may grow by before it counts: a check comes, an expression changes. Calls may not grow at all.
HEADROOM = 1.10
#: PostgreSQL's log of one move in a group of 100: the row, its two index entries, their headers. It is 411.
WAL_BYTES_MAX = 500
#: The tick beside its reference: it is 1.46.
TICK_MAX = 2.0
#: What does not grow with the room may differ by so much, in times; it is 1.05 at most.
SAME_MAX = 1.3
#: Times of a workload are taken so often; the least counts, which is the one that nothing else disturbed.
TIMES = 60

exact = pytest.mark.skipif(
    sys.version_info[:2] != COUNTED_ON, reason="the bounds count the bytecode of another version of Python"
)


def refuse_growth(name: str, instructions: float, calls: float) -> None:
    bound, calls_bound = BOUNDS[name]
    how = (
        f"{name} does more than it did: {instructions:.1f} instructions and {calls:.1f} calls, after {bound:.1f} and"
        f" {calls_bound:.1f}. `python -m tests.micro {name}` shows where. If it is meant,"
        " `python -m tests.micro --write` writes tests/micro/bounds.py anew."
    )
    assert instructions <= bound * HEADROOM, how
    assert calls <= calls_bound, how


@pytest.fixture(scope="module")
def counts() -> dict[str, tuple[float, float]]:
    """As the sources are, whether or not they are compiled here."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.micro", "--json"],
        cwd=ROOT,
        env={**os.environ, "HOLDFAST_COMPILED": "false"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(run.stdout, type=dict[str, tuple[float, float]])


@exact
@pytest.mark.parametrize("name", BOUNDS)
def test_a_piece_does_no_more_than_it_did(name: str, counts: dict[str, tuple[float, float]]) -> None:
    refuse_growth(name, *counts[name])


@exact
def test_each_piece_has_its_bounds(counts: dict[str, tuple[float, float]]) -> None:
    assert set(BOUNDS) == set(counts)


def test_a_flush_is_one_transaction_and_few_bytes_of_log_a_row(databases: Urls) -> None:
    with FlushBench(databases.database_url) as bench:
        for _ in range(3):
            bench.flush(bench.group(100))
        # The least of some: PostgreSQL writes on its own account too, whole pages after a checkpoint among them.
        assert min(bench.transactions(lambda: bench.flush(bench.group(100))) for _ in range(3)) == 1
        assert min(bench.wal_bytes(lambda: bench.flush(bench.group(100))) for _ in range(4)) / 100 < WAL_BYTES_MAX


# -- ratios -----------------------------------------------------------------------------------------------------------


def ratio(work: Work, reference: Work) -> float:
    """How many times as long `work` takes as `reference`, each at its quickest, taken in turns."""
    quickest = [float("inf"), float("inf")]
    for _ in range(TIMES):
        for place, each in enumerate((work, reference)):
            each.prepare()
            started = time.perf_counter()
            each.run()
            quickest[place] = min(quickest[place], time.perf_counter() - started)
    return quickest[0] / quickest[1]


def test_a_step_costs_the_same_however_many_are_in_the_room() -> None:
    assert ratio(workloads.step(500), workloads.step(10)) < SAME_MAX


def test_a_delta_is_encoded_once_however_many_hear_it() -> None:
    assert ratio(workloads.tick(500), workloads.tick(40)) < SAME_MAX


def test_the_delta_of_a_tick_costs_little_beside_encoding_it() -> None:
    """C does a part of it, so it is held against C: msgspec packing the same moves, ten times."""
    moves = [{"players": {f"session{n:03}": {"x": n, "y": 44, "facing": "left"}}} for n in range(workloads.MOVES)]

    def reference() -> None:
        for _ in range(10):
            msgspec.msgpack.encode(moves)

    assert ratio(workloads.tick(), Work(reference, "reference")) < TICK_MAX


# -- the guards themselves --------------------------------------------------------------------------------------------


def test_counts_are_the_same_every_time() -> None:
    def work() -> int:
        return sum(len(str(number)) for number in range(100))

    first, second = count(work), count(work)
    assert first == second
    assert first.instructions > first.calls > 100


@pytest.mark.parametrize(
    "needless",
    [
        lambda body: msgspec.json.decode(b"{}"),
        lambda body: dict(body),
        lambda body: {**body},
        lambda body: body.copy(),
        lambda body: [*body],
    ],
    ids=["a decode", "a dict", "a dict unpacked", "a copy", "a list unpacked"],
)
def test_a_needless_thing_is_one_call_more(needless: Callable[[object], object]) -> None:
    """And one is too many, as calls have no headroom."""

    def calls_with(extra: Callable[[object], object]) -> int:
        return count(lambda: extra({"seq": 1})).calls

    assert calls_with(needless) == calls_with(lambda body: None) + 1


def test_one_call_more_is_refused() -> None:
    instructions, calls = BOUNDS["step"]
    refuse_growth("step", instructions, calls)
    with pytest.raises(AssertionError, match="step does more than it did"):
        refuse_growth("step", instructions, calls + 1)
