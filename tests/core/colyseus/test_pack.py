"""What clients are sent can be read by the SDKs' decoder, which makes BigInt of every 64-bit integer."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.colyseus.pack import pack


class Ack(msgspec.Struct, rename="camel", omit_defaults=True):
    room_seq: int
    server_time: int
    reason: str = ""


@pytest.mark.parametrize(
    ("value", "packed"),
    [
        (2**32 - 1, "ceffffffff"),
        (-(2**31), "d280000000"),
        (2**32, "cb41f0000000000000"),
        (-(2**31) - 1, "cbc1e0000000200000"),
        (1700000000123, "cb4278bcfe5687b000"),
        ("σ" * 3, "a6cf83cf83cf83"),
        ({"σ": [1, {"at": 2**40}]}, "81a2cf83920181a26174cb4270000000000000"),
    ],
)
def test_integers_of_more_than_32_bits_go_out_as_float64(value: Any, packed: str) -> None:
    assert pack(value).hex() == packed


def test_a_struct_keeps_its_wire_names_and_omissions() -> None:
    assert msgspec.msgpack.decode(pack(Ack(7, 1700000000123))) == {"roomSeq": 7, "serverTime": 1700000000123.0}


def no_bigint(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(no_bigint, value.values()))
    if isinstance(value, list):
        return all(map(no_bigint, value))
    return not isinstance(value, int) or -(2**31) <= value < 2**32


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(values)
def test_every_value_goes_out_equal_and_without_bigint(value: Any) -> None:
    arrived = msgspec.msgpack.decode(pack(value))
    assert arrived == value
    assert no_bigint(arrived)
