"""
Reading a payload as a message: its number first, its form only when the number is the next one.

SDKs send integers of 2^32 and more as floats, so integral floats are read as integers where a
message has them.
"""

from typing import Any, TypeVar

import msgspec

from contracts.codes import RejectCode
from contracts.message import INTEGER_MAX, Message
from server.core.reject import Reject

M = TypeVar("M", bound=Message)


def readable_seq(body: object) -> int | None:
    """The `seq` of a decoded payload, or None if it has no readable one."""
    seq = body.get("seq") if isinstance(body, dict) else None
    if isinstance(seq, float) and seq.is_integer():
        seq = int(seq)
    return seq if type(seq) is int and 1 <= seq <= INTEGER_MAX else None


def read(body: object, message_type: type[M]) -> M | Reject:
    """The message, or a reject that names the field and what was expected there."""
    try:
        return msgspec.convert(body, message_type)
    except msgspec.ValidationError:
        # Nearly every message is well-formed and has no such floats: only now is a copy made without them.
        pass
    try:
        return msgspec.convert(_with_integers(body), message_type)
    except msgspec.ValidationError as error:
        return Reject(RejectCode.INVALID, _sentence(str(error)))


def _with_integers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    if isinstance(value, dict):
        return {key: _with_integers(inner) for key, inner in value.items()}
    return [_with_integers(inner) for inner in value] if isinstance(value, list) else value


def _sentence(problem: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.dx`" with the field first."""
    what, separator, where = problem.partition(" - at ")
    field = where.strip("`").removeprefix("$").removeprefix(".")
    return f"{field}: {what[:1].lower()}{what[1:]}" if separator and field else what
