"""
Usage: the CPU time and the memory of servers, read from outside, the same way for each.

A server is a process and all its descendants. CPU is user and system time, that of descendants which have ended
included: the sum never forgets what was used. A `Meter` reads it all through a run, so that the figures of any
stretch of it can be had afterwards: the load says when its measured time began and how long it lasted.

    meter ---read---read---read---read---read---read--->        (every 0.1 s)
                       |<-- measured time -->|                  between two readings: a straight line
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import median
from types import TracebackType
from typing import Self

import msgspec
import psutil

#: Between two readings of the CPU, of the memory, and two looks for new descendants.
READ_S = 0.1
MEMORY_S = 1.0
LOOK_S = 0.5


class Memory(msgspec.Struct, frozen=True):
    """Bytes: what would be free if the processes ended, and their share of all they map."""

    uss: int
    pss: int


class Tree:
    """Some processes and their descendants. Those that end while it is read count no further, and are no error."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in roots]
        self._all: list[psutil.Process] = []
        self.look()

    def look(self) -> None:
        """Find descendants that are new. One that began and ended unseen is in its parent's sum."""
        found = list(self._roots)
        for root in self._roots:
            try:
                found += root.children(recursive=True)
            except psutil.NoSuchProcess:
                continue
        self._all = found

    def cpu_s(self) -> float:
        total = 0.0
        for process in self._all:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> Memory:
        uss = pss = 0
        for process in self._all:
            try:
                info = process.memory_full_info()
            except psutil.NoSuchProcess:
                continue
            uss, pss = uss + info.uss, pss + info.pss
        return Memory(uss, pss)


class Readings:
    """A sum that grows, as it was read at some moments."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.sums: list[float] = []

    def add(self, moment: float, total: float) -> None:
        self.moments.append(moment)
        self.sums.append(total)

    def at(self, moment: float) -> float:
        """The sum then. Raises ValueError outside of what was read."""
        after = bisect_left(self.moments, moment)
        if not self.moments or after == len(self.moments) or moment < self.moments[0]:
            raise ValueError(f"nothing was read around {moment}")
        if self.moments[after] == moment:
            return self.sums[after]
        (begin, end), (low, high) = self.moments[after - 1 : after + 1], self.sums[after - 1 : after + 1]
        return low + (high - low) * (moment - begin) / (end - begin)


class Meter:
    """Reads in a thread of its own, from `with` to its end. Moments are `time.time()`."""

    def __init__(self, trees: Mapping[str, Tree], of_memory: str) -> None:
        """`of_memory` names the tree whose memory is read too."""
        self._trees = trees
        self._of_memory = of_memory
        self._cpu = {name: Readings() for name in trees}
        self._memory: list[tuple[float, Memory]] = []
        self._look_at = self._memory_at = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def __enter__(self) -> Self:
        self._read()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def cpu_s(self, name: str, begin: float, end: float) -> float:
        """Used between two moments."""
        return self._cpu[name].at(end) - self._cpu[name].at(begin)

    def memory(self, begin: float, end: float) -> Memory:
        """The median between two moments; of the last before the end where there was none."""
        read = [memory for moment, memory in self._memory if begin <= moment <= end]
        read = read or [memory for moment, memory in self._memory if moment <= end][-1:]
        return Memory(round(median(each.uss for each in read)), round(median(each.pss for each in read)))

    def _run(self) -> None:
        while not self._is_over.wait(READ_S):
            self._read()
        self._read()

    def _read(self) -> None:
        now = time.time()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            for tree in self._trees.values():
                tree.look()
        for name, tree in self._trees.items():
            self._cpu[name].add(time.time(), tree.cpu_s())
        if now >= self._memory_at:
            self._memory_at = now + MEMORY_S
            self._memory.append((time.time(), self._trees[self._of_memory].memory()))
