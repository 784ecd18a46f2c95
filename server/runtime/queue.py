"""
Queue: one room's entries that are not known to be durable, the oldest first.

    sent | waiting        `sent` of them, at the head, are in a flush or in doubt

Apart from the other rooms it is flushed by itself, in halves of what failed before, down to one entry.
"""

from collections import deque
from collections.abc import Sequence

from contracts import limits
from server.core.journal import Entry


class Queue:
    def __init__(self) -> None:
        #: How many, at the head, may have been written.
        self.sent = 0
        self.is_apart = False
        #: Monotonic time before which it is not tried again.
        self.retry_at = 0.0
        self._rows_max = limits.FLUSH_ROWS_MAX
        #: With the monotonic time since when each waits.
        self._entries: deque[tuple[Entry, float]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entries: Sequence[Entry], now: float) -> None:
        self._entries.extend((entry, now) for entry in entries)

    def first(self, rows_max: int, bytes_max: int) -> list[Entry]:
        """As many from the head as fit; the bytes by at most one entry too many."""
        taken: list[Entry] = []
        for entry, _ in self._entries:
            if len(taken) >= min(rows_max, self._rows_max) or bytes_max <= 0:
                break
            taken.append(entry)
            bytes_max -= entry.size_bytes
        return taken

    def drop_up_to(self, room_seq: int) -> int:
        """Take away what is durable; returns how many that were."""
        count = 0
        while self._entries and self._entries[0][0].room_seq <= room_seq:
            self._entries.popleft()
            count += 1
        self.sent = max(0, self.sent - count)
        return count

    def late(self, due: float) -> tuple[int, int] | None:
        """
        If what may surely be given up has waited since before `due`: take it away, and all after it.

        Returns the last roomSeq before it and how many it were; None if nothing is late.
        """
        if len(self._entries) <= self.sent or self._entries[self.sent][1] > due:
            return None
        last_seq = self._entries[self.sent][0].room_seq - 1
        count = len(self._entries) - self.sent
        while len(self._entries) > self.sent:
            self._entries.pop()
        return last_seq, count

    def set_apart(self) -> None:
        self.is_apart = True

    def halve(self, tried: int, retry_at: float) -> None:
        """`tried` of its entries failed alone: half as many next; a single one not before `retry_at`."""
        self._rows_max = max(1, tried // 2)
        self.retry_at = retry_at if tried == 1 else 0.0

    def join(self) -> None:
        """It has had a flush: back to the others."""
        self.is_apart = False
        self.retry_at = 0.0
        self._rows_max = limits.FLUSH_ROWS_MAX
