"""Payloads from clients: bytes of the official SDKs, a small record encoder of our own, and hostile bytes."""

import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts import limits
from server.core.colyseus.records import Undecodable, unpack

FROM_SDKS: list[tuple[str, Any]] = [
    ("", None),
    ("c0", None),
    ("d40000", None),
    ("d4724090", {}),
    ("d4724091a16101", {"a": 1}),
    ("92d4724091a178014002", [{"x": 1}, {"x": 2}]),
    ("d4724091a161d4724191a162d4724291a16301", {"a": {"b": {"c": 1}}}),
    ("d4724092a161a162019201d4724191a16302", {"a": 1, "b": [1, {"c": 2}]}),
    ("d4724091a16191d4724090", {"a": [{}]}),
    ("d4724091a161d4724190", {"a": {}}),
    ("81a16101", {"a": 1}),
    ("810102", {"1": 2}),
    ("93010203", [1, 2, 3]),
    ("9240cc40", [64, 64]),
    ("40", 64),
    ("cb4278bcfe5687b000", 1700000000123.0),
    ("cf0000000000000001", 1),
    ("d3ffffffffffffffff", -1),
    ("c4020102", b"\x01\x02"),
    ("d6ff00000001", 1000.0),
    ("d7ff" + (500_000_000 << 34 | 1).to_bytes(8).hex(), 1500.0),
    ("c70cff" + (0).to_bytes(4).hex() + (-1).to_bytes(8, signed=True).hex(), -1000.0),
    ("d4ffff", None),
    ("d4724091a174d6ff00000001", {"t": 1000.0}),
    ("93a54572726f72a3626164d40000", ["Error", "bad", None]),
]
REJECTED = {
    "a second value": "0101",
    "a record without keys": "d47240",
    "a record cut off": "d4724091a161",
    "a shape used without its values": "d4724091a16140",
    "a shape used in its own value for ever": "d4724091a161" + "40" * 100,
    "keys that are no strings": "d47240910102",
    "keys that are no array": "d47240a16101",
    "a record id beyond the table": "d4720091a16101",
    "a record of two-byte id": "d572404091a16101",
    "an unknown extension": "d40501",
    "a timestamp of two bytes": "d5ff0000",
    "a map key that is an array": "819001",
    "a map key that is none": "81c001",
    "a byte that is no msgpack": "c1",
    "bad UTF-8": "a1ff",
    "bad UTF-8 in a record's key": "d4724091a1ff01",
    "a lone surrogate": "a3eda080",
    "an array of 2^32 - 1": "ddffffffff",
    "a map of 2^32 - 1": "dfffffffff",
    "a string of 4 GiB": "dbffffffff",
    "a binary of 4 GiB": "c6ffffffff",
    "an extension of 4 GiB": "c9ffffffff00",
    "nesting": "91" * 16000,
    "nested records": "d4724091a161" * 3000 + "01",
    "too many values": "dc3000" + "c0" * 0x3000,
    "too many values of a map": "de0400" + b"".join(b"\xa4%04d\xc3" % index for index in range(0x400)).hex(),
    "too many keys": "d47240dc3000" + "a0" * 0x3000,
}


def same(left: Any, right: Any) -> bool:
    """Equality that also knows 1 from 1.0 and True, and NaN from nothing."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return bool(left == right)


@pytest.mark.parametrize(("payload", "value"), FROM_SDKS)
def test_a_payload_of_an_sdk_is_read(payload: str, value: Any) -> None:
    assert same(unpack(bytes.fromhex(payload)), value)


@pytest.mark.parametrize("payload", REJECTED.values(), ids=REJECTED)
def test_what_no_sdk_sends_is_undecodable(payload: str) -> None:
    with pytest.raises(Undecodable):
        unpack(bytes.fromhex(payload))


def test_depth_and_number_of_values_are_allowed_up_to_their_limits() -> None:
    nested = unpack(b"\x91" * limits.MSGPACK_DEPTH_MAX + b"\x01")
    assert same(nested, msgspec.json.decode("[" * limits.MSGPACK_DEPTH_MAX + "1" + "]" * limits.MSGPACK_DEPTH_MAX))
    with pytest.raises(Undecodable, match="deep"):
        unpack(b"\x91" * (limits.MSGPACK_DEPTH_MAX + 1) + b"\x01")

    def array_of(count: int) -> bytes:
        return b"\xdc" + count.to_bytes(2) + b"\xc3" * count

    assert unpack(array_of(limits.MSGPACK_VALUES_MAX - 1)) == [True] * (limits.MSGPACK_VALUES_MAX - 1)
    with pytest.raises(Undecodable, match="many"):
        unpack(array_of(limits.MSGPACK_VALUES_MAX))


def test_the_last_definition_of_an_id_wins() -> None:
    payload = "93 d4724091a161 01 d4724091a162 02 40 03"
    assert unpack(bytes.fromhex(payload)) == [{"a": 1}, {"b": 2}, {"b": 3}]


class Records:
    """The record encoding as the dossier describes it, for one payload, sharing nothing with the decoder."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, ...], int] = {}

    def encode(self, value: Any) -> bytes:
        match value:
            case dict():
                return self._shape(tuple(value)) + b"".join(map(self.encode, value.values()))
            case list():
                return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(self.encode, value))
            case bool():
                return msgspec.msgpack.encode(value)
            case int() if not -(2**31) <= value < 2**32:
                return b"\xcb" + struct.pack(">d", value)
            case int() if 0x40 <= value <= 0x7F:
                return bytes((0xCC, value))
            case _:
                return msgspec.msgpack.encode(value)

    def _shape(self, keys: tuple[str, ...]) -> bytes:
        if keys in self._ids:
            return bytes((self._ids[keys],))
        new_id = 0x40 + len(self._ids) % 64
        self._ids = {shape: shape_id for shape, shape_id in self._ids.items() if shape_id != new_id} | {keys: new_id}
        return b"\xd4r" + bytes((new_id,)) + msgspec.msgpack.encode(list(keys))


def arrived(value: Any) -> Any:
    """`value` after the trip: integers beyond 32 bits are floats."""
    if isinstance(value, dict):
        return {key: arrived(item) for key, item in value.items()}
    if isinstance(value, list):
        return [arrived(item) for item in value]
    if type(value) is int and not -(2**31) <= value < 2**32:
        return float(value)
    return value


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.integers(60, 130)
    | st.floats()
    | st.text()
    | st.binary()
)
keys = st.sampled_from(["seq", "dx", "dy", "a", "b", "@", "é" * 20]) | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)


@given(values | st.dictionaries(keys, scalars, max_size=20))
@example({"seq": 1, "dx": -1, "dy": 0})
@example({"x": 64})
@example([{"a": 1}, {"a": 64}, {"b": {"a": b"\xd4r\x40"}}])
def test_what_records_encode_comes_back(value: Any) -> None:
    assert same(unpack(Records().encode(value)), arrived(value))


@given(values)
def test_plain_msgpack_comes_back(value: Any) -> None:
    assert same(unpack(msgspec.msgpack.encode(value)), value)


mutations = st.tuples(values, st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3)), min_size=1, max_size=3))


def mutated(mutation: tuple[Any, list[tuple[int, bytes]]]) -> bytes:
    value, splices = mutation
    payload = Records().encode(value)
    for offset, splice in splices:
        payload = payload[:offset] + splice + payload[offset + 1 :]
    return payload


@settings(max_examples=1000)
@given(
    st.binary(max_size=60) | mutations.map(mutated) | st.binary(max_size=20).map(lambda tail: b"\xd4r\x40\x92" + tail)
)
def test_any_bytes_are_a_value_or_undecodable(junk: bytes) -> None:
    try:
        value = unpack(junk)
    except Undecodable:
        return
    assert isinstance(value, dict | list | str | bytes | int | float | None)
