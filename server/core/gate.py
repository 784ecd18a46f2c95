"""
The output gate: holds what rests on a roomSeq until that roomSeq is durable.

    hold(N, effect)      effects wait in the order they were made; N never falls
    open(durable)        releases, in that order, all held for at most `durable`
    cut(N)               takes away what rests on more than N, which will never be durable

Promise P1 rests on this queue: everything computed from memory while the room stands at N
is held for N.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

E = TypeVar("E")


class Gate(Generic[E]):
    def __init__(self) -> None:
        self._held: list[tuple[int, E]] = []

    def hold(self, room_seq: int, effect: E) -> None:
        assert not self._held or self._held[-1][0] <= room_seq, "a room's sequence only rises"
        self._held.append((room_seq, effect))

    def open(self, durable: int) -> list[tuple[int, E]]:
        """Everything held for at most `durable`, in order, with what it was held for; it is held no more."""
        held = self._held
        if not held or held[-1][0] <= durable:  # as a rule
            self._held = []
            return held
        count = 0
        while held[count][0] <= durable:
            count += 1
        self._held = held[count:]
        return held[:count]

    def opens(self, durable: int) -> bool:
        """Whether `open` would release anything."""
        return bool(self._held) and self._held[0][0] <= durable

    def cut(self, room_seq: int) -> list[E]:
        """Take away, in order, everything held for more than `room_seq`."""
        gone: list[E] = []
        while self._held and self._held[-1][0] > room_seq:
            gone.append(self._held.pop()[1])
        gone.reverse()
        return gone

    def __iter__(self) -> Iterator[E]:
        return (effect for _, effect in self._held)

    def __len__(self) -> int:
        return len(self._held)
