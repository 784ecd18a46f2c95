"""Which cores each side gets, and that what is started there stays there."""

import os
import subprocess
import sys

import pytest

from bench.places import at, divide

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins nothing")


def test_a_server_shares_its_core_with_nobody() -> None:
    for count in range(2, 9):
        places = divide(list(range(count)))
        assert {0} == places.server
        assert not places.server & (places.databases | places.load)
        assert places.databases
        assert places.load


def test_with_three_cores_or_more_the_databases_have_one_of_their_own() -> None:
    assert divide([4, 5]).databases == divide([4, 5]).load == {5}
    assert ({1}, {2, 3}) == (divide([0, 1, 2, 3]).databases, divide([0, 1, 2, 3]).load)


def test_with_one_core_nothing_is_pinned() -> None:
    assert not divide([0]).server
    assert "not pinned" in str(divide([0]))


@needs_affinity
def test_what_is_started_there_stays_there() -> None:
    own = os.sched_getaffinity(0)
    core = max(own)
    with at(frozenset({core})):
        said = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"], capture_output=True, check=True
        ).stdout
    assert f"{{{core}}}" == said.decode().strip()
    assert own == os.sched_getaffinity(0)
