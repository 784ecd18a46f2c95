"""The comparison itself, on the real server, in seconds: ours alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

ROOT = Path(__file__).parents[2]


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=ROOT, capture_output=True, check=False, text=True
    )


@pytest.mark.timeout(180)
def test_ours_is_measured_checked_and_stopped(tmp_path: Path) -> None:
    found, page = tmp_path / "found.json", tmp_path / "page.html"
    small = ["--clients", "20", "--rooms", "2", "--seconds", "1.5", "--warmup", "0.5"]
    said = bench("load", "--peers", "none", "--quick", *small, "--json", str(found), "--report", str(page))
    assert 0 == said.returncode, said.stderr
    whole: dict[str, Any] = msgspec.json.decode(found.read_bytes())
    [run] = whole["alone"]
    assert [] == whole["problems"] == run["problems"]
    assert 20 * 15 * 1.5 == pytest.approx(run["acked"], rel=0.1)
    assert 20 < run["serverCpuUs"] < 20_000
    assert 0 < run["databaseCpuUs"] < 20_000
    assert run["ussBytes"] > 20 * 2**20
    assert "Holdfast" in said.stdout
    assert "left  load: Holdfast" in said.stderr
    assert "<h1" in page.read_text()
    left = [process for process in psutil.process_iter(["cmdline"]) if _is_of_a_bench(process)]
    assert [] == left


def _is_of_a_bench(process: psutil.Process) -> bool:
    """A child of ours that outlived it has init, or whoever takes its place, as its parent."""
    words = process.info["cmdline"] or []
    return process.ppid() in (1, 0) and any("holdfast-bench-" in word for word in words)
