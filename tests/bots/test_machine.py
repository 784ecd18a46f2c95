"""What a run was made on."""

import time
from pathlib import Path

import msgspec

from server.tools.bots.machine import facts, fsync_latency


def test_the_machine_is_told_in_numbers_that_can_be(tmp_path: Path) -> None:
    machine = facts(tmp_path)
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.memory_bytes > 1 << 20
    assert machine.python.split()[1].startswith("3.")
    assert {"holdfast", "msgspec", "picows"} <= machine.versions.keys()
    assert len(machine.load_average) == 3
    assert machine.fsync_ms is not None
    assert msgspec.json.decode(msgspec.json.encode(machine), type=type(machine)) == machine


def test_a_disk_is_measured_in_its_folder_and_nothing_stays_there(tmp_path: Path) -> None:
    measured = fsync_latency(tmp_path, appends_max=20)
    assert measured is not None
    assert 0 < measured.p50 <= measured.p99
    assert [] == list(tmp_path.iterdir())


def test_measuring_ends_in_time_however_much_there_is_to_write(tmp_path: Path) -> None:
    began = time.monotonic()
    assert fsync_latency(tmp_path, appends_max=10**9, seconds_max=0.05) is not None
    assert time.monotonic() - began < 5


def test_a_disk_that_cannot_be_written_is_not_measured(tmp_path: Path) -> None:
    assert None is fsync_latency(tmp_path / "missing")
    assert None is facts(tmp_path / "missing").fsync_ms
