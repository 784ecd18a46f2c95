"""
Machine: what a run's numbers were made on.

All of it is of the machine that the bots run on, where the figures were taken; the server may stand elsewhere, and
what it says of itself is in `Result.server`. Elsewhere than on Linux a fact may be coarser, or missing.
"""

import os
import platform
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import psutil

from server.tools.bots.result import Fsync, Machine

#: What the bots are made of, and the driver they read journals with.
PACKAGES = ("holdfast", "msgspec", "picows", "uvloop", "asyncpg", "numpy")
#: A measurement of the disk ends at whichever comes first.
APPENDS_MAX = 100
APPENDS_S_MAX = 1.0
#: Outlives a restart, so it is on a disk; the folder for temporary files is often in memory, where an fsync is nothing.
LASTING = Path("/var/tmp")
#: About what one small flush adds to a database's log.
APPEND_BYTES = 256


def facts(folder: Path = LASTING) -> Machine:
    """The machine as it is now; takes up to `APPENDS_S_MAX` and one more write. The disk is the one that holds
    `folder`. Called under load, it measures the load."""
    return Machine(
        cpu=_cpu(),
        cores=_cores(),
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions=_versions(),
        fsync_ms=fsync_latency(folder),
        load_average=_load_average(),
    )


def fsync_latency(folder: Path, appends_max: int = APPENDS_MAX, seconds_max: float = APPENDS_S_MAX) -> Fsync | None:
    """Of small appends to a new file in the folder, each made durable before the next; the file is gone afterwards.
    None where none could be made."""
    make_durable = getattr(os, "fdatasync", os.fsync)
    took_ms: list[float] = []
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            ends_at = time.perf_counter() + seconds_max
            while len(took_ms) < appends_max and time.perf_counter() < ends_at:
                began = time.perf_counter()
                file.write(bytes(APPEND_BYTES))
                make_durable(file.fileno())
                took_ms.append((time.perf_counter() - began) * 1000)
    except OSError:
        return None
    if not took_ms:
        return None
    p50, p99 = np.percentile(took_ms, (50, 99), method="inverted_cdf")
    return Fsync(round(float(p50), 3), round(float(p99), 3))


def _cpu() -> str:
    """The model's name as the kernel tells it, or what the platform knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(filter(None, told), "") or platform.processor() or platform.machine()


def _cores() -> int:
    """Fewer than the machine has where this process is pinned."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _load_average() -> tuple[float, float, float]:
    """All 0 where the system keeps none."""
    try:
        one, five, fifteen = os.getloadavg()
    except (AttributeError, OSError):
        return 0.0, 0.0, 0.0
    return round(one, 2), round(five, 2), round(fifteen, 2)
