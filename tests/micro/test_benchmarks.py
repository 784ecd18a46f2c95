"""
Benchmarks: how long the pieces of an action take on this machine. `make micro` shows the table.

Without it (`make test`) each runs once, so that none rots. Nothing here fails for slowness: that is the guards' part.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.stage import Stage
from server.embedded import Urls
from tests.micro.flushes import FlushBench
from tests.micro.workloads import WORKLOADS

#: Each run lasts a tenth of a millisecond to a few: the minimum of so many is steady.
ROUNDS = 200


@pytest.mark.parametrize("name", WORKLOADS)
def test_piece(benchmark: BenchmarkFixture, name: str) -> None:
    work = WORKLOADS[name]()
    benchmark.name = f"{name} ({work.units} x {work.unit})" if work.units > 1 else name
    benchmark.pedantic(work.run, setup=work.prepare, rounds=ROUNDS, warmup_rounds=3)


def test_creation(benchmark: BenchmarkFixture) -> None:
    """A `game` room with its world: much of it is numpy's, so nothing counts it."""
    benchmark.name = "creation"
    benchmark.pedantic(lambda: Stage(0), rounds=20, warmup_rounds=1)


@pytest.mark.parametrize("rows", [1, 20, 100])
def test_flush(benchmark: BenchmarkFixture, databases: Urls, rows: int) -> None:
    """PostgreSQL of the tests: everything but the wait for the disk."""
    with FlushBench(databases.database_url) as bench:
        benchmark.name = f"flush ({rows} x entry)"
        benchmark.pedantic(bench.flush, setup=lambda: ((bench.group(rows),), {}), rounds=ROUNDS, warmup_rounds=3)
