"""
Frames: one WebSocket message of the Colyseus wire, its first byte the opcode.

Source: the wire dossier's section 3, observed on the official SDKs 0.16 to 0.18. Payloads stay
bytes here: what they hold is read by `records` and written by `pack`, only for messages that
somebody wants.

Not here: the state opcodes' contents (schema encoding), inputs and the timed modifier of SDK 0.18.
"""

from enum import Enum, IntEnum
from typing import Final, TypeAlias

import msgspec

from contracts import limits
from server.core.colyseus.primitives import Malformed, decode_number, decode_string, encode_number, encode_string


class Opcode(IntEnum):
    JOIN_ROOM = 10
    ERROR = 11
    LEAVE_ROOM = 12
    ROOM_DATA = 13
    ROOM_STATE = 14
    ROOM_STATE_PATCH = 15
    ROOM_DATA_BYTES = 17
    PING = 18
    ROOM_REQUEST = 21
    ROOM_RESPONSE = 22


class ResponseStatus(IntEnum):
    OK = 0
    REJECTED = 1  #: the payload is the reason, as the SDK hands it to the caller
    ERROR = 2  #: the payload is `{name, message, code?}`


class Signal(Enum):
    """A frame that says all by its opcode."""

    JOINED = 1  #: the client has read JOIN_ROOM (its *join byte*); may come again, with junk behind it
    LEAVE = 2
    PING = 3
    IGNORED = 4  #: empty, or an opcode that is not served


class Message(msgspec.Struct, frozen=True, gc=False):
    type: str | int
    payload: bytes  #: msgpack, empty if the client sent none


class BytesMessage(msgspec.Struct, frozen=True, gc=False):
    type: str | int
    payload: bytes  #: raw


class Request(msgspec.Struct, frozen=True, gc=False):
    """A message whose sender waits for `response` with the same id."""

    id: int
    type: str | int
    payload: bytes


ClientFrame: TypeAlias = Signal | Message | BytesMessage | Request

PONG: Final = bytes((Opcode.PING,))

_ROOM_DATA: Final = int(Opcode.ROOM_DATA)
_ROOM_DATA_BYTES: Final = int(Opcode.ROOM_DATA_BYTES)
_ROOM_REQUEST: Final = int(Opcode.ROOM_REQUEST)
_SIGNALS: Final = {
    int(Opcode.JOIN_ROOM): Signal.JOINED,
    int(Opcode.LEAVE_ROOM): Signal.LEAVE,
    int(Opcode.PING): Signal.PING,
}
_UINT32_MAX: Final = 2**32 - 1


def parse(frame: bytes) -> ClientFrame:
    """
    What a client's frame says.

    Raises `Malformed` where a message's header can't be read: its type is empty, a fraction, too
    long, cut off or not UTF-8, or its request id no uint32.
    """
    if not frame:
        return Signal.IGNORED
    opcode = frame[0]
    if opcode == _ROOM_DATA:
        # Nearly every frame is this one, with a type shorter than 32 bytes.
        if len(frame) > 1 and 0xA0 < (prefix := frame[1]) < 0xC0 and (end := prefix - 0x9E) <= len(frame):
            try:
                return Message(frame[2:end].decode(), frame[end:])
            except UnicodeDecodeError:
                raise Malformed("type is not UTF-8") from None
        return Message(*_typed(frame, 1))
    if opcode == _ROOM_DATA_BYTES:
        return BytesMessage(*_typed(frame, 1))
    if opcode == _ROOM_REQUEST:
        request_id, offset = decode_number(frame, 1)
        if not (isinstance(request_id, int) or request_id.is_integer()) or not 0 <= request_id <= _UINT32_MAX:
            raise Malformed("request id is no uint32")
        return Request(int(request_id), *_typed(frame, offset))
    return _SIGNALS.get(opcode, Signal.IGNORED)


def _typed(frame: bytes, offset: int) -> tuple[str | int, bytes]:
    """The message type at `offset` and what follows it."""
    prefix = frame[offset] if offset < len(frame) else 0xC0
    if 0xA0 < prefix < 0xC0 or 0xD9 <= prefix <= 0xDB:
        text, offset = decode_string(frame, offset)
        if not 0 < len(text.encode()) <= limits.MESSAGE_TYPE_BYTES_MAX:
            raise Malformed("type is empty or too long")
        return text, frame[offset:]
    number, offset = decode_number(frame, offset)
    if isinstance(number, int):
        return number, frame[offset:]
    if not number.is_integer():
        raise Malformed("type is a fraction")
    return int(number), frame[offset:]


def join_room(token: str, serializer_id: str = "none", handshake: bytes = b"") -> bytes:
    """
    The confirmation of a (re)join, carrying the session's next reconnection token.

    `handshake` follows as it is. It is empty for serializer `none`, and for any serializer when
    the client asked to skip it: the one tail that SDKs 0.16, 0.17 and 0.18 all read.
    """
    token_bytes, serializer_bytes = token.encode(), serializer_id.encode()
    head = bytes((Opcode.JOIN_ROOM, len(token_bytes))) + token_bytes
    return head + bytes((len(serializer_bytes),)) + serializer_bytes + handshake


def error(code: int, message: str) -> bytes:
    """Before JOIN_ROOM this rejects the client's join promise; after it, the SDK's `onError` is called."""
    return bytes((Opcode.ERROR,)) + encode_number(code) + encode_string(message)


def header(message_type: str | int) -> bytes:
    """What precedes the payload in a message's frame; the same for every message of a type."""
    assert message_type != "", "SDKs do not recognise an empty type"
    encoded = encode_string(message_type) if isinstance(message_type, str) else encode_number(message_type)
    return bytes((_ROOM_DATA,)) + encoded


def room_data(message_type: str | int, payload: bytes | None) -> bytes:
    """A message; `payload` is msgpack as `pack` writes it, None arrives as `undefined`."""
    return header(message_type) + (payload or b"")


def response(request_id: int, status: ResponseStatus, payload: bytes | None) -> bytes:
    """The one answer to a `Request`; `payload` as in `room_data`."""
    return bytes((Opcode.ROOM_RESPONSE,)) + encode_number(request_id) + bytes((status,)) + (payload or b"")
