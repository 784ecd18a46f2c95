"""
Loop watchdog: says where the event loop is blocked, while it is.

    the loop: beat, beat, beat, (a handler that doesn't come back .......)
    a thread: looks every 0.25 s ..... no beat for a second: logs the loop's stack, once

The lag's metric tells afterwards that it happened; this line tells a person on call who did it. It holds the
innermost frames without their local variables, and passes the same redaction as every log. Two threads share one
interpreter, so a C call that does not let go of it hides from this too.
"""

import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Self

import structlog

LOOK_S = 0.25
BLOCKED_S = 1.0
FRAMES_MAX = 20

log = structlog.get_logger(service="ops")


class LoopWatchdog:
    """Watches the thread that makes it, from `with` to its end; that thread calls `beat` oftener than `blocked_s`."""

    def __init__(self, *, blocked_s: float = BLOCKED_S, look_s: float = LOOK_S) -> None:
        self._blocked_s = blocked_s
        self._look_s = look_s
        self._watched = threading.get_ident()
        self._beat_s = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def beat(self) -> None:
        """The loop turns."""
        self._beat_s = time.monotonic()

    def _watch(self) -> None:
        told_s = 0.0
        looked_s = time.monotonic()
        while not self._is_over.wait(self._look_s):
            now_s, beat_s = time.monotonic(), self._beat_s
            # Where this thread could not look either, the process was stopped or starved: nobody's handler did it.
            has_looked_away = now_s - looked_s > self._look_s + self._blocked_s / 2
            looked_s = now_s
            if now_s - beat_s >= self._blocked_s and beat_s != told_s and not has_looked_away:
                told_s = beat_s
                log.warning("loop.blocked", since_s=round(now_s - beat_s, 3), stack=self._stack())

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched)
        return "".join(traceback.format_stack(frame, FRAMES_MAX)).rstrip()
