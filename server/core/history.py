"""
History: the newest changes of a room in memory, from which deltas and resumes are made.

It begins after `base_seq` and goes up to the last action applied. Past its bounds (entries, bytes)
the oldest go first; what is older is to be had from the journal, and may be put before it again (`recall`).

What has been sent is of interest only to who missed it, and a room remembers thousands: their patches are kept as the
JSON that the journal has, a fifth of what their trees weigh.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
from mypy_extensions import mypyc_attr

from server.core.state import compose

Patch = dict[str, Any]


@mypyc_attr(acyclic=True)
class Emitted:
    """A durable event of an action, encoded once. `to` names its sessions; None is everyone."""

    __slots__ = ("frame", "to")

    def __init__(self, frame: bytes, to: tuple[str, ...] | None = None) -> None:
        self.frame = frame
        self.to = to


@mypyc_attr(acyclic=True)
class Change:
    """An action as it is remembered. `acyclic`: there are no cycles in patches, and nobody need look for any."""

    __slots__ = ("emitted", "epoch", "packed", "room_seq", "size_bytes", "tree")

    def __init__(
        self,
        room_seq: int,
        epoch: int,
        tree: Patch | None,
        emitted: tuple[Emitted, ...],
        size_bytes: int,
        packed: bytes | None = None,
    ) -> None:
        self.room_seq = room_seq
        self.epoch = epoch
        #: The patch while it is made and sent; None without one, and once it is packed.
        self.tree = tree
        self.emitted = emitted
        self.size_bytes = size_bytes
        #: The patch in JSON. A change that has none cannot be packed.
        self.packed = packed

    @property
    def patch(self) -> Patch | None:
        """Not to be changed."""
        if self.tree is None and self.packed is not None:
            patch: Patch = msgspec.json.decode(self.packed)
            return patch
        return self.tree


class History:
    def __init__(self, base_seq: int, base_epoch: int, entries_max: int, bytes_max: int) -> None:
        self.base_seq = base_seq
        #: The last action applied.
        self.last_seq = base_seq
        self._base_epoch = base_epoch
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._changes: deque[Change] = deque()
        #: Up to where they are packed.
        self._packed_seq = base_seq

    def append(self, change: Change) -> None:
        assert change.room_seq == self.last_seq + 1, "a room's sequence has no gaps"
        self._changes.append(change)
        self._bytes += change.size_bytes
        self.last_seq = change.room_seq

    def trim(self, keep_after: int) -> None:
        """Pack all, drop the oldest while a bound is passed; none after `keep_after`: those are still to be sent."""
        if keep_after > self._packed_seq:
            for change in self.between(self._packed_seq, keep_after):
                if change.packed is not None:
                    change.tree = None
            self._packed_seq = keep_after
        while len(self._changes) > self._entries_max or self._bytes > self._bytes_max:
            if self.base_seq >= keep_after:
                return
            dropped = self._changes.popleft()
            self._bytes -= dropped.size_bytes
            self.base_seq, self._base_epoch = dropped.room_seq, dropped.epoch

    def cut(self, room_seq: int) -> None:
        """Drop the changes after `room_seq`: they never became durable."""
        while self._changes and self._changes[-1].room_seq > room_seq:
            self._bytes -= self._changes.pop().size_bytes
            self.last_seq -= 1
        self._packed_seq = min(self._packed_seq, room_seq)

    def recall(self, before: Sequence[Change]) -> bool:
        """
        Begin earlier: after the first of `before`, which have to go on to where the history began; False if they don't.

        They stay until the next `trim`, and longer if the bounds allow.
        """
        if [change.room_seq for change in before] != list(range(self.base_seq - len(before) + 1, self.base_seq + 1)):
            return False
        if before:
            base, *changes = before
            self._changes.extendleft(reversed(changes))
            self._bytes += sum(change.size_bytes for change in changes)
            self.base_seq, self._base_epoch = base.room_seq, base.epoch
        return True

    def reaches(self, room_seq: int, epoch: int | None) -> bool:
        """Whether all after `room_seq` is here, and `epoch`, if told, is the journal's at that roomSeq."""
        if not self.base_seq <= room_seq <= self.last_seq:
            return False
        return epoch is None or epoch == self.epoch_at(room_seq)

    def epoch_at(self, room_seq: int) -> int:
        """The epoch that the journal has at `room_seq`, which must be reached."""
        return self._base_epoch if room_seq == self.base_seq else self._at(room_seq).epoch

    def between(self, after: int, up_to: int) -> Sequence[Change]:
        """The changes after `after`, up to and with `up_to`; both must be reached."""
        assert self.base_seq <= after <= up_to <= self.last_seq
        changes, first = self._changes, self.base_seq + 1
        # A deque is slow in its middle: the newest are taken from its end.
        newest = [changes[index] for index in range(up_to - first, after - first, -1)]
        newest.reverse()
        return newest

    def patches(self, after: int, up_to: int) -> list[Patch]:
        """The merge patches that lead from `after` to `up_to`, as few as possible."""
        patches = (change.tree or change.patch for change in self.between(after, up_to))
        return compose(patch for patch in patches if patch is not None)

    def _at(self, room_seq: int) -> Change:
        return self._changes[room_seq - self.base_seq - 1]
