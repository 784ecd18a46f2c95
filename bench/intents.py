"""What players ask for: frames as the official SDK writes them, numbered from 1, legal from any spawn tile."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from random import Random

from contracts.intents import Add, Move
from server.core.colyseus.frames import header

Course = Iterator[bytes]

_WAYS = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]


def walk(random: Random) -> Course:
    """One step to a random side and back, for ever: the eight tiles around a spawn tile are always open."""
    head = _record(Move.TYPE, "seq", "dx", "dy")
    dx = dy = 0
    for seq in count(1):
        dx, dy = random.choice(_WAYS) if seq % 2 else (-dx, -dy)
        yield head + _number(seq) + _number(dx) + _number(dy)


def tally(random: Random) -> Course:
    head = _record(Add.TYPE, "seq", "amount")
    for seq in count(1):
        yield head + _number(seq) + _number(random.randint(1, 9))


def wander(random: Random) -> Course:
    """A few steps one way, then another: over a field without walls, from chunk to chunk."""
    head = _record(Move.TYPE, "seq", "dx", "dy")
    dx = dy = 0
    for seq in count(1):
        if seq % 8 == 1:
            dx, dy = random.choice(_WAYS)
        yield head + _number(seq) + _number(dx) + _number(dy)


COURSES: Mapping[str, Callable[[Random], Course]] = {"game": walk, "counter": tally, "plaza": wander}


def _record(message_type: str, *keys: str) -> bytes:
    """A message's frame up to its values: msgpackr sends an object as a record, its keys apart from its values."""
    names = b"".join(bytes((0xA0 | len(key),)) + key.encode() for key in keys)
    return header(message_type) + b"\xd4\x72\x40" + bytes((0x90 | len(keys),)) + names


def _number(number: int) -> bytes:
    """As msgpackr writes it where it uses records: 0x40 to 0x7f are no integers there."""
    if -32 <= number < 0x40:
        return bytes((number & 0xFF,))
    if number < 0x100:
        return bytes((0xCC, number))
    return b"\xcd" + number.to_bytes(2)
