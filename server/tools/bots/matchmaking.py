"""
Matchmaking and messages as every server of the Colyseus wire has them: what its two dialects share.

    POST /matchmake/create/{room name}    a new room     POST /matchmake/joinById/{room id}    that room

Sources: the wire dossier, sections 1, 2 and 5.2. A bot that dials again does what the SDK does by itself: the same
address with the token of the connection before, without matchmaking. Intents go as msgpackr writes them: objects as
records.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from server.core.colyseus.frames import Opcode, header
from server.core.colyseus.primitives import Malformed, decode_number, decode_string
from server.tools import http
from server.tools.bots.bot import Bot
from server.tools.bots.courses import Course, Values
from server.tools.bots.dialect import Busy, Framer, NoSuchRoom, Refused, Seat, Unreadable
from server.tools.wire import JOIN_BYTE, LEAVE_BYTE, pack

ACK = header("event.ack")
REJECT = header("event.reject")
LEAVE = LEAVE_BYTE
#: Statuses of a server that may say yes in a moment: too many requests, or it is starting, draining, full of arrivals.
_BUSY = frozenset({429, 503})
_NOT_FOUND = frozenset({404, 520, 521, 522})
_BUSY_S = 1.0
BUSY_S_MAX = 30.0
#: Values of a course whose bytes are kept.
TAILS_MAX = 64


class AckSaid(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Of all forms of `event.ack`."""

    kind: str
    seq: int = 0
    room_seq: int = 0
    status: str = "applied"
    recovered: bool = False
    intent_rate: float = 0.0
    intent_burst: int = 0


class RejectSaid(msgspec.Struct, frozen=True, rename="camel"):
    code: str
    seq: int | None = None
    message: str = ""
    expected_seq: int | None = None


_read_ack = msgspec.msgpack.Decoder(AckSaid).decode
_read_reject = msgspec.msgpack.Decoder(RejectSaid).decode


async def version_at(url: str) -> dict[str, Any] | None:
    """What `/version` says, if it is an object."""
    answer = await http.get(f"{url}/version")
    try:
        body = answer.body if answer.status == 200 else None
    except msgspec.DecodeError:
        return None
    return body if isinstance(body, dict) else None


async def seat_at(url: str, place: str, options: Mapping[str, Any]) -> Seat:
    """`place` is a method and a room's name or id. Raises OSError, Busy and Refused."""
    body = said(await http.post(f"{url}/matchmake/{place}", options), f"{place} of {url}")
    room_id, session_id, process_id = body["roomId"], body["sessionId"], body["processId"]
    parts = urlsplit(url)
    host = body.get("publicAddress") or parts.netloc + parts.path
    scheme = "wss" if parts.scheme == "https" else "ws"
    return Seat(room_id, session_id, f"{scheme}://{host}/{process_id}/{room_id}?{urlencode({'sessionId': session_id})}")


def said(answer: http.Answer, what: str) -> dict[str, Any]:
    """An answer's object. Raises Busy and Refused, in the server's words."""
    try:
        body = answer.body
    except msgspec.DecodeError:
        body = None
    if answer.status == 200 and isinstance(body, dict):
        return body
    words = body.get("message") or body.get("error") if isinstance(body, dict) else None
    is_text = isinstance(words, str) and words.isprintable()
    why = f"{what}: {answer.status} {words if is_text else repr(words)}"
    if answer.status in _BUSY:
        after = answer.headers.get("retry-after", "")
        raise Busy(why, min(float(after), BUSY_S_MAX) if after.isdecimal() else _BUSY_S)
    raise (NoSuchRoom if answer.status in _NOT_FOUND else Refused)(why)


def socket_url(seat: Seat, token: str | None) -> str:
    if token is None:
        return seat.socket_url
    return f"{seat.socket_url}&{urlencode({'reconnectionToken': token, 'skipHandshake': 'true'})}"


def framer_of(course: Course) -> Framer:
    """The frame of `room.send(type, {seq, ...})`: an object goes as a record, its keys apart from its values."""
    keys = ("seq", *course.keys)
    names = b"".join(bytes((0xA0 | len(key),)) + key.encode() for key in keys)
    head = header(course.message_type) + b"\xd4\x72\x40" + bytes((0x90 | len(keys),)) + names

    tails: dict[Values, bytes] = {}

    def frame(seq: int, values: Values) -> bytes:
        # Nearly all courses have few different values.
        tail = tails.get(values)
        if tail is None:
            tail = b"".join(map(_number, values))
            if len(tails) < TAILS_MAX:
                tails[values] = tail
        return head + _number(seq) + tail

    return frame


def hear_message(bot: Bot, frame: bytes) -> AckSaid | None:
    """The messages that all servers have; an ack of another kind than an intent's is given back."""
    if frame.startswith(ACK):
        try:
            ack = _read_ack(frame[len(ACK) :])
        except msgspec.MsgspecError as problem:
            raise Unreadable(str(problem)) from problem
        if ack.kind != "intent":
            return ack
        bot.acked(ack.seq, ack.room_seq, is_duplicate=ack.status != "applied")
    elif frame.startswith(REJECT):
        try:
            reject = _read_reject(frame[len(REJECT) :])
        except msgspec.MsgspecError as problem:
            raise Unreadable(str(problem)) from problem
        bot.rejected(reject.seq, reject.code, reject.message, reject.expected_seq)
    elif frame[:1] == _ERROR:
        _hear_error(bot, frame)
    return None


def hear_join(bot: Bot, frame: bytes) -> int:
    """JOIN_ROOM up to the state's description, whose offset is returned; it is answered with the join byte."""
    try:
        token_end = 2 + frame[1]
        bot.let_in(frame[2:token_end].decode())
        bot.write(JOIN_BYTE)
        return token_end + 1 + frame[token_end]
    except (IndexError, UnicodeDecodeError) as problem:
        raise Unreadable("JOIN_ROOM is cut off") from problem


#: Nearly all numbers of intents.
_NUMBERS = {number: pack(number) for number in range(-0x20, 0x100)}


def _number(number: int) -> bytes:
    packed = _NUMBERS.get(number)
    if packed is not None:
        return packed
    return b"\xcd" + number.to_bytes(2) if 0x100 <= number < 0x10000 else pack(number)


def _hear_error(bot: Bot, frame: bytes) -> None:
    try:
        code, offset = decode_number(frame, 1)
        words, _ = decode_string(frame, offset)
    except Malformed as problem:
        raise Unreadable(f"ERROR: {problem}") from problem
    bot.told(f"error {int(code)}: {words}")


_ERROR = bytes((Opcode.ERROR,))
