"""
Payloads for clients: msgpack without 64-bit integers.

The SDKs turn msgpack's 64-bit integers into BigInt, whatever their value, and a client that
adds one to a number throws. So what does not fit 32 bits goes out as float64, which is exact
up to 2^53, the contract's largest integer.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

_ENCODER: Final = msgspec.msgpack.Encoder()
_INT32_MIN: Final = -(2**31)
_UINT32_MAX: Final = 2**32 - 1
#: The marks of 64-bit integers. As numbers: asked for bytes in bytes, Python first makes an error, and drops it.
_UINT64: Final = 0xCF
_INT64: Final = 0xD3


def _narrow(depth: int) -> Any:
    """The type of values whose integers fit 32 bits and whose containers nest no deeper."""
    leaf: Any = None | bool | float | str | Annotated[int, msgspec.Meta(ge=_INT32_MIN, le=_UINT32_MAX)]
    kind = leaf
    for _ in range(depth):
        kind = leaf | list[kind] | dict[str, kind]  # type: ignore[valid-type]
    return kind


#: Decodes what may go out as it was packed, and raises for all else; a deeper value, or one with bytes, is only slower.
_NARROW: Final = msgspec.msgpack.Decoder(_narrow(7))


def pack(value: Any) -> bytes:
    """`value` (structs, builtins) as SDK clients read it: integers outside [-2^31, 2^32) as float64."""
    packed = _ENCODER.encode(value)
    if _UINT64 not in packed and _INT64 not in packed:
        return packed
    # In one of fifteen deltas the bytes are only part of a number or a string, and in Greek they always are: found out
    # in C it costs a sixth of walking through what was packed.
    try:
        _NARROW.decode(packed)
    except msgspec.ValidationError:
        return _ENCODER.encode(_without_int64(msgspec.msgpack.decode(packed)))
    return packed


def array(packed: Sequence[bytes]) -> bytes:
    """The msgpack array of what is packed already."""
    count = len(packed)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = b"\xdc" + count.to_bytes(2)
    else:
        head = b"\xdd" + count.to_bytes(4)
    return head + b"".join(packed)


def _without_int64(value: Any) -> Any:
    """What was packed, read back: structs' renamed and omitted fields are settled in it."""
    kind = type(value)
    if kind is int:
        return value if _INT32_MIN <= value <= _UINT32_MAX else float(value)
    if kind is dict:
        return {_without_int64(key): _without_int64(item) for key, item in value.items()}
    if kind is list:
        return [_without_int64(item) for item in value]
    return value
