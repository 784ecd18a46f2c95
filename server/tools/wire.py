"""
The client's half of the Colyseus wire: what an SDK sends, and what it reads of a frame.

Payloads are written as msgpackr writes them (objects as records, large integers as floats), because that is what the
server has to read in life; the server's own encoder writes plain msgpack, as its clients read it.
"""

import struct
from typing import Any, NamedTuple

import msgspec

from server.core.colyseus.frames import Opcode
from server.core.colyseus.primitives import decode_number, decode_string, encode_number, encode_string

JOIN_BYTE = bytes((Opcode.JOIN_ROOM,))
LEAVE_BYTE = bytes((Opcode.LEAVE_ROOM,))
PING_BYTE = bytes((Opcode.PING,))
#: Close codes on which the SDK dials again by itself; any other is final to it.
REDIALLED = frozenset({1001, 1005, 1006, 4010})
#: Where msgpackr's record ids begin.
_RECORDS = 0x40


class Joined(NamedTuple):
    """JOIN_ROOM: let in, and the token for the next connection."""

    token: str


class Failed(NamedTuple):
    """ERROR."""

    code: int
    message: str


class Pong(NamedTuple):
    pass


class Response(NamedTuple):
    """The answer to a `room.request`."""

    request_id: int
    status: int
    body: Any


class Message(NamedTuple):
    type: str
    body: Any


def read(frame: bytes) -> Joined | Failed | Pong | Response | Message:
    """What a frame of the server says. Raises ValueError for one that no client of ours is sent."""
    opcode = frame[0]
    if opcode == Opcode.ROOM_DATA:
        message_type, offset = decode_string(frame, 1)
        return Message(message_type, _body(frame[offset:]))
    if opcode == Opcode.JOIN_ROOM:
        return Joined(frame[2 : 2 + frame[1]].decode())
    if opcode == Opcode.ERROR:
        code, offset = decode_number(frame, 1)
        return Failed(int(code), decode_string(frame, offset)[0])
    if opcode == Opcode.PING:
        return Pong()
    if opcode == Opcode.ROOM_RESPONSE:
        request_id, offset = decode_number(frame, 1)
        return Response(int(request_id), frame[offset], _body(frame[offset + 1 :]))
    raise ValueError(f"a frame with opcode {opcode}")


def room_data(message_type: str | int, body: Any = None) -> bytes:
    """The frame of `room.send(message_type, body)`."""
    head = encode_string(message_type) if isinstance(message_type, str) else encode_number(message_type)
    return bytes((Opcode.ROOM_DATA,)) + head + (b"" if body is None else pack(body))


def room_request(request_id: int, message_type: str, body: Any) -> bytes:
    """The frame of `room.request(message_type, body)` of SDK 0.18."""
    head = bytes((Opcode.ROOM_REQUEST,)) + encode_number(request_id)
    return head + encode_string(message_type) + pack(body)


def pack(value: Any) -> bytes:
    """A payload as msgpackr writes it: objects as records, 64 to 127 with a prefix, large integers as floats."""
    return _packed(value, {})


def _packed(value: Any, shapes: dict[tuple[str, ...], int]) -> bytes:
    if isinstance(value, dict):
        keys = tuple(value)
        if keys in shapes:
            head = bytes((shapes[keys],))
        else:
            shapes[keys] = _RECORDS + len(shapes)
            head = b"\xd4r" + bytes((shapes[keys],)) + msgspec.msgpack.encode(keys)
        return head + b"".join(_packed(inner, shapes) for inner in value.values())
    if isinstance(value, list):
        assert len(value) < 16
        return bytes((0x90 + len(value),)) + b"".join(_packed(inner, shapes) for inner in value)
    if type(value) is int and _RECORDS <= value < 0x80:
        return bytes((0xCC, value))
    if type(value) is int and not -(2**31) <= value < 2**32:
        return b"\xcb" + struct.pack(">d", value)
    return msgspec.msgpack.encode(value)


def _body(payload: bytes) -> Any:
    return msgspec.msgpack.decode(payload) if payload else None
