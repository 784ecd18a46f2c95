"""
Payloads from clients: msgpack plus the records of msgpackr, which is how the SDKs send every object.

A record is an object whose keys were split off: `d4 72 id`, the array of keys, then one value
per key. Later objects of the same shape are the id byte alone (0x40 to 0x7f) and their values,
so within such a payload those bytes are no integers. The table of shapes starts empty for every
payload. Source: the wire dossier's section 3.9, observed on the official SDKs.

Two paths lead to the same value:

- flat payloads (an object, array or scalar without containers in it: nearly every intent) go
  through msgspec, a record by way of a rewritten array;
- everything else, and everything that is suspicious, through `_Reader`, which alone decides
  what is an error. It is bounded in depth and number of values by `contracts.limits`.

Timestamps become milliseconds since the epoch (float), `undefined` and invalid dates None,
integer keys of a Map strings, as in a JavaScript object. Nothing here checks what a payload means.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from contracts import limits


class Undecodable(Exception):
    """The payload is not what an SDK sends, or too deep or too large; the text says why and quotes nothing."""


_RECORD: Final = 0x72
#: The id of a payload's first record; where records are used, a number from here to `_LAST_ID` is written otherwise.
FIRST_ID: Final = 0x40
_LAST_ID: Final = 0x7F
_TIMESTAMP: Final = -1

_SCALARS: Final = frozenset((type(None), bool, int, float, str, bytes))
_STR: Final = frozenset((str,))
#: The header of an array with one element more than the array whose header is the key.
_ARRAY_OF_ONE_MORE: Final = {0x90 + count: bytes((0x91 + count,)) for count in range(15)}


def _undefined(code: int, _content: memoryview) -> None:
    if code != 0:
        raise Undecodable("extension")


_decode: Final = msgspec.msgpack.Decoder(ext_hook=_undefined).decode


def record_head(keys: Sequence[str]) -> bytes:
    """How the SDKs begin an object with these keys, fewer than 16; its values follow."""
    assert len(keys) < 16
    return b"\xd4r\x40" + msgspec.msgpack.encode(keys)


def unpack(payload: bytes) -> Any:
    """
    The value in `payload`; None if it is empty (the SDK's `undefined`).

    Raises `Undecodable`, and nothing else, whatever the bytes are.
    """
    if not payload:
        return None
    try:
        return _flat_record(payload) if payload.startswith(b"\xd4r\x40") else _flat(payload)
    except Exception:
        # msgspec answers hostile bytes with several kinds of error, RecursionError among them. None of
        # them is final, for a nested record ends here too.
        pass
    return _Reader(payload).read()


def _flat_record(payload: bytes) -> Any:
    """
    A record of scalars as a dict; raises if it is anything else.

    With the header of an array in the place of the record's, the array of keys is its first
    element and the values are the others: one call decodes all. Ids that are used as such show
    up as surplus values (an error) or as the integer 0x40; that integer itself is sent as cc40,
    so it merely takes the other path.
    """
    values = _decode(_ARRAY_OF_ONE_MORE[payload[3]] + payload[3:])
    keys = values.pop(0)
    if FIRST_ID in values or not (_SCALARS.issuperset(map(type, values)) and _STR.issuperset(map(type, keys))):
        raise Undecodable("not flat")
    return dict(zip(keys, values, strict=True))


def _flat(payload: bytes) -> Any:
    """Plain msgpack without nesting; raises if it is anything else."""
    value = _decode(payload)
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is list and len(value) < limits.MSGPACK_VALUES_MAX:
        items: Any = value
    elif kind is dict and 2 * len(value) < limits.MSGPACK_VALUES_MAX and _STR.issuperset(map(type, value)):
        items = value.values()
    else:
        raise Undecodable("not flat")
    if not _SCALARS.issuperset(map(type, items)):
        raise Undecodable("not flat")
    return value


_LENGTH8: Final = struct.Struct(">B")
_LENGTH16: Final = struct.Struct(">H")
_LENGTH32: Final = struct.Struct(">I")
_NUMBERS: Final = {
    0xCA: struct.Struct(">f"),
    0xCB: struct.Struct(">d"),
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
}
_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}
_BINARIES: Final = {0xC4: _LENGTH8, 0xC5: _LENGTH16, 0xC6: _LENGTH32}
_STRINGS: Final = {0xD9: _LENGTH8, 0xDA: _LENGTH16, 0xDB: _LENGTH32}
_ARRAYS: Final = {0xDC: _LENGTH16, 0xDD: _LENGTH32}
_MAPS: Final = {0xDE: _LENGTH16, 0xDF: _LENGTH32}
_EXTENSIONS: Final = {0xC7: _LENGTH8, 0xC8: _LENGTH16, 0xC9: _LENGTH32}
_FIXED_EXTENSIONS: Final = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class _Reader:
    """Reads one payload, value by value; every value, key and container counts against the limits."""

    __slots__ = ("_buffer", "_offset", "_shapes", "_values_left")

    def __init__(self, buffer: bytes) -> None:
        self._buffer = buffer
        self._offset = 0
        self._shapes: dict[int, list[str]] = {}
        self._values_left = limits.MSGPACK_VALUES_MAX

    def read(self) -> Any:
        value = self._value(limits.MSGPACK_DEPTH_MAX)
        if self._offset != len(self._buffer):
            raise Undecodable("bytes are left over")
        return value

    def _value(self, depth_left: int) -> Any:
        prefix = self._take(1)[0]
        self._count(1)
        if prefix < FIRST_ID or prefix >= 0xE0:
            return prefix if prefix < 0x80 else prefix - 0x100
        if prefix <= _LAST_ID:
            shape = self._shapes.get(prefix)
            return prefix if shape is None else self._record(shape, depth_left)
        if prefix < 0x90:
            return self._map(prefix & 0x0F, depth_left)
        if prefix < 0xA0:
            return self._array(prefix & 0x0F, depth_left)
        if prefix < 0xC0:
            return self._text(prefix & 0x1F)
        if prefix in _CONSTANTS:
            return _CONSTANTS[prefix]
        if form := _NUMBERS.get(prefix):
            return self._number(form)
        if form := _STRINGS.get(prefix):
            return self._text(self._number(form))
        if form := _BINARIES.get(prefix):
            return self._take(self._number(form))
        if form := _ARRAYS.get(prefix):
            return self._array(self._number(form), depth_left)
        if form := _MAPS.get(prefix):
            return self._map(self._number(form), depth_left)
        if length := _FIXED_EXTENSIONS.get(prefix):
            return self._extension(length, depth_left)
        if form := _EXTENSIONS.get(prefix):
            return self._extension(self._number(form), depth_left)
        raise Undecodable("no msgpack")

    def _take(self, count: int) -> bytes:
        start = self._offset
        end = self._offset = start + count
        if end > len(self._buffer):
            raise Undecodable("cut off")
        return self._buffer[start:end]

    def _count(self, values: int) -> None:
        self._values_left -= values
        if self._values_left < 0:
            raise Undecodable("too many values")

    def _number(self, form: struct.Struct) -> Any:
        (number,) = form.unpack(self._take(form.size))
        return number

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise Undecodable("string is not UTF-8") from None

    def _inside(self, depth_left: int) -> int:
        if depth_left == 0:
            raise Undecodable("too deep")
        return depth_left - 1

    def _array(self, length: int, depth_left: int) -> list[Any]:
        depth_left = self._inside(depth_left)
        return [self._value(depth_left) for _ in range(length)]

    def _map(self, length: int, depth_left: int) -> dict[str, Any]:
        depth_left = self._inside(depth_left)
        return {self._key(depth_left): self._value(depth_left) for _ in range(length)}

    def _key(self, depth_left: int) -> str:
        key = self._value(depth_left)
        if type(key) is int:
            return str(key)
        if type(key) is not str:
            raise Undecodable("key is no string")
        return key

    def _record(self, keys: list[str], depth_left: int) -> dict[str, Any]:
        depth_left = self._inside(depth_left)
        return {key: self._value(depth_left) for key in keys}

    def _extension(self, length: int, depth_left: int) -> Any:
        code = self._take(1)[0]
        content = self._take(length)
        if code == 0:
            return None
        if code == _RECORD and length == 1 and FIRST_ID <= content[0] <= _LAST_ID:
            return self._record(self._define(content[0], depth_left), depth_left)
        if code == _TIMESTAMP & 0xFF:
            return _milliseconds(content)
        raise Undecodable("extension")

    def _define(self, shape_id: int, depth_left: int) -> list[str]:
        keys = self._value(depth_left)
        if type(keys) is not list or not _STR.issuperset(map(type, keys)):
            raise Undecodable("keys are no strings")
        self._shapes[shape_id] = keys
        return keys


def _milliseconds(timestamp: bytes) -> float | None:
    """Milliseconds since the epoch; None for the one-byte form, JavaScript's invalid date."""
    nanoseconds = 0
    match len(timestamp):
        case 1:
            return None
        case 4:
            seconds = int.from_bytes(timestamp)
        case 8:
            both = int.from_bytes(timestamp)
            nanoseconds, seconds = both >> 34, both & (2**34 - 1)
        case 12:
            nanoseconds, seconds = int.from_bytes(timestamp[:4]), int.from_bytes(timestamp[4:], signed=True)
        case _:
            raise Undecodable("timestamp")
    return seconds * 1000.0 + nanoseconds / 1e6
