"""The codec of headers, against the bytes that the SDKs' encoder was seen to write."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.colyseus.primitives import Malformed, decode_number, decode_string, encode_number, encode_string

NUMBERS = {
    0: "00",
    127: "7f",
    128: "cc80",
    255: "ccff",
    256: "cd0001",
    65535: "cdffff",
    65536: "ce00000100",
    2147483647: "ceffffff7f",
    -1: "ff",
    -32: "e0",
    -33: "d0df",
    -128: "d080",
    -129: "d17fff",
    -32768: "d10080",
    -32769: "d2ff7fffff",
    -2147483648: "d200000080",
    2147483648: "ca0000004f",
    2**32: "ca0000804f",
    4294967295: "cb0000e0ffffffef41",
    1.5: "ca0000c03f",
    0.1: "cacdcccc3d",
    math.inf: "cbffffffffffff3f43",
}
STRINGS = {
    "x": "a178",
    "é": "a2c3a9",
    "a" * 31: "bf" + "61" * 31,
    "a" * 32: "d920" + "61" * 32,
    "a" * 256: "da0001" + "61" * 256,
    "a" * 65536: "db00000100" + "61" * 65536,
}


@pytest.mark.parametrize(("number", "encoded"), NUMBERS.items(), ids=str)
def test_a_number_is_written_as_the_sdk_writes_it(number: float, encoded: str) -> None:
    assert encode_number(number).hex() == encoded


def test_what_is_no_number_is_written_as_zero() -> None:
    assert encode_number(math.nan) == b"\x00"


@pytest.mark.parametrize(("text", "encoded"), STRINGS.items(), ids=lambda value: value[:12])
def test_a_string_is_written_and_read_as_the_sdk_writes_it(text: str, encoded: str) -> None:
    assert encode_string(text).hex() == encoded
    assert decode_string(b"?" + bytes.fromhex(encoded) + b"?", 1) == (text, 1 + len(encoded) // 2)


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_of_32_bits_survive(number: int) -> None:
    encoded = encode_number(number)
    assert decode_number(encoded + b"?", 0) == (number, len(encoded))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_fractions_survive_within_the_precision_of_the_wire(number: float) -> None:
    decoded, _ = decode_number(encode_number(number), 0)
    assert abs(decoded - number) < 1e-4


@pytest.mark.parametrize(
    ("encoded", "number"), [("cf0000000001000000", 2**32), ("d3ffffffffffffffff", -1), ("cb000000000000f03f", 1.0)]
)
def test_wide_forms_are_read_too(encoded: str, number: float) -> None:
    assert decode_number(bytes.fromhex(encoded), 0) == (number, 9)


@given(st.binary(max_size=12))
def test_any_bytes_are_a_number_or_malformed(junk: bytes) -> None:
    try:
        number, offset = decode_number(junk, 0)
    except Malformed:
        return
    assert isinstance(number, int | float)
    assert 0 < offset <= len(junk)


@given(st.binary(max_size=12))
def test_any_bytes_are_a_string_or_malformed(junk: bytes) -> None:
    try:
        text, offset = decode_string(junk, 0)
    except Malformed:
        return
    assert isinstance(text, str)
    assert 0 < offset <= len(junk)
