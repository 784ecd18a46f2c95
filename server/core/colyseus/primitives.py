"""
Strings and numbers as Colyseus writes them outside of message payloads.

Its frame headers and its state encoding share one codec: msgpack's prefixes with
little-endian contents. Source: the wire dossier's section 3.1, observed on the official SDKs.
Decoders return the value and the offset behind it.
"""

import math
import struct
from typing import Final


class Malformed(Exception):
    """A frame's header can't be read; the text says what is wrong with it and quotes nothing."""


_INT32_MIN: Final = -(2**31)
_INT32_MAX: Final = 2**31 - 1
_SAFE_INTEGER: Final = float(2**53 - 1)
#: How far off a float32 may be before a float64 is sent instead.
_FLOAT32_ERROR: Final = 1e-4

_UINT16: Final = struct.Struct("<H")
_UINT32: Final = struct.Struct("<I")
_FLOAT32: Final = struct.Struct("<f")
_FLOAT64: Final = struct.Struct("<d")

_NUMBERS: Final = {
    0xCA: _FLOAT32,
    0xCB: _FLOAT64,
    0xCC: struct.Struct("<B"),
    0xCD: _UINT16,
    0xCE: _UINT32,
    0xCF: struct.Struct("<Q"),
    0xD0: struct.Struct("<b"),
    0xD1: struct.Struct("<h"),
    0xD2: struct.Struct("<i"),
    0xD3: struct.Struct("<q"),
}
_STRING_LENGTHS: Final = {0xD9: _NUMBERS[0xCC], 0xDA: _UINT16, 0xDB: _UINT32}


def encode_string(text: str) -> bytes:
    utf8 = text.encode()
    length = len(utf8)
    if length < 0x20:
        return bytes((0xA0 | length,)) + utf8
    if length < 0x100:
        return bytes((0xD9, length)) + utf8
    if length < 0x10000:
        return b"\xda" + _UINT16.pack(length) + utf8
    return b"\xdb" + _UINT32.pack(length) + utf8


def decode_string(buffer: bytes, offset: int) -> tuple[str, int]:
    """Raises `Malformed` for another prefix, missing bytes and bad UTF-8."""
    prefix = buffer[offset] if offset < len(buffer) else 0
    offset += 1
    if 0xA0 <= prefix <= 0xBF:
        length = prefix & 0x1F
    elif lengths := _STRING_LENGTHS.get(prefix):
        if offset + lengths.size > len(buffer):
            raise Malformed("string is cut off")
        (length,) = lengths.unpack_from(buffer, offset)
        offset += lengths.size
    else:
        raise Malformed("no string")
    end = offset + length
    if end > len(buffer):
        raise Malformed("string is cut off")
    try:
        return buffer[offset:end].decode(), end
    except UnicodeDecodeError:
        raise Malformed("string is not UTF-8") from None


def encode_number(number: float) -> bytes:
    """
    The smallest form that holds `number`.

    Integers within 32 bits are exact; beyond, and for fractions, a float32 is sent where it
    is off by less than 1e-4. NaN becomes 0, infinities the largest safe integers, as in the SDK.
    """
    if math.isnan(number):
        number = 0
    elif math.isinf(number):
        number = math.copysign(_SAFE_INTEGER, number)
    if number == int(number) and _INT32_MIN <= number <= _INT32_MAX:
        return _encode_int32(int(number))
    if abs(number) < 2**127 and abs(_FLOAT32.unpack(_FLOAT32.pack(number))[0] - number) < _FLOAT32_ERROR:
        return b"\xca" + _FLOAT32.pack(number)
    return b"\xcb" + _FLOAT64.pack(number)


def _encode_int32(number: int) -> bytes:
    if -0x20 <= number < 0x80:
        return bytes((number & 0xFF,))
    if number >= 0:
        prefix = 0xCC if number < 0x100 else 0xCD if number < 0x10000 else 0xCE
    else:
        prefix = 0xD0 if number >= -0x80 else 0xD1 if number >= -0x8000 else 0xD2
    return bytes((prefix,)) + _NUMBERS[prefix].pack(number)


def decode_number(buffer: bytes, offset: int) -> tuple[float, int]:
    """An int where the sender wrote one, else a float. Raises `Malformed` for another prefix and missing bytes."""
    if offset >= len(buffer):
        raise Malformed("number is missing")
    prefix = buffer[offset]
    offset += 1
    if prefix < 0x80:
        return prefix, offset
    if prefix >= 0xE0:
        return prefix - 0x100, offset
    form = _NUMBERS.get(prefix)
    if form is None:
        raise Malformed("no number")
    if offset + form.size > len(buffer):
        raise Malformed("number is cut off")
    (number,) = form.unpack_from(buffer, offset)
    return number, offset + form.size
