"""The clock, read in one place. Milliseconds since the Unix epoch, as everything outside the core counts them."""

import time
from collections.abc import Callable

Clock = Callable[[], int]


def unix_ms() -> int:
    return time.time_ns() // 1_000_000
