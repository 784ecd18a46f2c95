"""CPU and memory, read from outside, of processes that know what they used."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.usage import Meter, Readings, Tree

#: Two of the kernel's ticks of 10 ms for each process, and what Python needs to start and to say something.
NEAR_S = 0.08

#: Burns this much, says so, then waits for a line.
_BURN = """
import sys, time
until = time.process_time() + float(sys.argv[1])
while time.process_time() < until: pass
print("burnt", flush=True)
sys.stdin.readline()
"""
#: Has a child burn, and waits for its end.
_HAND_ON = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", '''{_BURN}''', sys.argv[1]], stdin=subprocess.DEVNULL)
sys.stdin.readline()
"""
_HOLD = """
import sys
held = b"x" * int(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def child(code: str, argument: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(argument)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.communicate("\n")


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_cpu_of_a_process_is_what_it_burnt() -> None:
    with child(_BURN, 0.5) as busy:
        tree = Tree([busy.pid])
        assert "burnt" == heard(busy)
        assert 0.5 == pytest.approx(tree.cpu_s(), abs=NEAR_S)


def test_a_child_that_has_ended_still_counts() -> None:
    with child(_HAND_ON, 0.4) as parent:
        assert "burnt" == heard(parent)
        tree = Tree([parent.pid])
        deadline = time.monotonic() + 5
        while tree.cpu_s() < 0.4 - NEAR_S and time.monotonic() < deadline:
            tree.look()
            time.sleep(0.01)
        time.sleep(0.1)  # by now its parent has waited for it
        tree.look()
        assert 0.4 == pytest.approx(tree.cpu_s(), abs=2 * NEAR_S)


def test_a_process_that_is_gone_is_no_error() -> None:
    with child(_BURN, 0.0) as busy:
        tree = Tree([busy.pid])
        heard(busy)
    tree.look()
    assert 0.0 == tree.cpu_s()


def test_memory_is_what_would_be_free_again() -> None:
    with child(_HOLD, 0) as small, child(_HOLD, 64 * 2**20) as large:
        assert ["held", "held"] == [heard(small), heard(large)]
        grown = Tree([large.pid]).memory().uss - Tree([small.pid]).memory().uss
        assert 64 * 2**20 == pytest.approx(grown, rel=0.05)


def test_a_meter_tells_what_was_used_between_any_two_moments() -> None:
    """The process burns at first, and then rests."""
    with child(_BURN, 0.6) as busy, Meter({"busy": Tree([busy.pid])}, of_memory="busy") as meter:
        begin = time.time()
        assert "burnt" == heard(busy)
        end = time.time()
        time.sleep(0.5)
    assert 0.6 == pytest.approx(meter.cpu_s("busy", begin, end + 0.2), abs=2 * NEAR_S)
    assert 0.0 == pytest.approx(meter.cpu_s("busy", end + 0.2, end + 0.4), abs=NEAR_S)


def test_between_two_readings_lies_a_straight_line() -> None:
    readings = Readings()
    for moment, total in ((10.0, 1.0), (12.0, 5.0), (13.0, 5.0)):
        readings.add(moment, total)
    assert [1.0, 2.0, 5.0, 5.0, 5.0] == [readings.at(moment) for moment in (10.0, 10.5, 12.0, 12.5, 13.0)]


@pytest.mark.parametrize("moment", [9.9, 13.1])
def test_outside_of_what_was_read_nothing_is_made_up(moment: float) -> None:
    readings = Readings()
    readings.add(10.0, 1.0)
    readings.add(13.0, 5.0)
    with pytest.raises(ValueError, match="nothing was read"):
        readings.at(moment)
