"""
Values: what a field of a room's state may hold, and the reasons for refusing the rest.

A state is journaled as JSON-like merge patches (RFC 7386) and read by JavaScript, so a
value is kept only if both carry it unchanged: `null` would mean "remove this key", an
integer past 2^53 arrives as another one, NaN has no JSON, and a lone surrogate no UTF-8.

Each check returns the value as it is stored (an exact `bool`, `int`, `float`, `str` or
tuple of these) or raises `StateError`; who calls it puts the field's name before the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from reprlib import repr as short_repr
from typing import Any, Final

#: The largest integer that JavaScript holds exactly, in size; a fact of the wire, not a setting.
INTEGER_MAX: Final = 2**53 - 1

#: Assigning to this key of a JavaScript object replaces its prototype.
FORBIDDEN_KEY: Final = "__proto__"

Check = Callable[[Any], Any]


class StateError(Exception):
    """A value or a declaration that a state cannot keep; the message begins with the field's name."""


def expected(what: str, value: object) -> StateError:
    """The reason for refusing `value` where `what` belongs, with a hint where one helps."""
    reason = f"expected {what}, got {short_repr(value)}"
    if value is None:
        reason += " (a merge patch cannot hold null: use a default, or leave out the entry of a Map)"
    elif isinstance(value, list | set):
        reason += " (edits in place are not seen: use a Map keyed by id, or replace a whole tuple)"
    elif isinstance(value, dict):
        reason += " (edits in place are not seen: use a Map or a State)"
    return StateError(reason)


def check_bool(value: object) -> bool:
    if type(value) is bool:
        return value
    raise expected("bool", value)


def check_int(value: object) -> int:
    """An exact int; an IntEnum member is stored as its number."""
    if type(value) is not int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise expected("int", value)
        value = int(value)
    if not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise StateError(f"expected int within 2^53, got {short_repr(value)}")
    return value


def check_float(value: object) -> float:
    """A finite float; an int is converted. Minus zero is stored as zero, which equals it but is written otherwise."""
    if type(value) is not float:
        if isinstance(value, float):
            value = float(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            value = float(check_int(value))
        else:
            raise expected("float", value)
    if not isfinite(value):
        raise expected("finite float", value)
    return value + 0.0


def check_str(value: object) -> str:
    """An exact str that UTF-8 can carry; a StrEnum member is stored as its text."""
    if type(value) is not str:
        if not isinstance(value, str):
            raise expected("str", value)
        value = str.__str__(value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise expected("str without lone surrogates", value) from None
    return value


def check_key(value: Any) -> str:
    """A key of a Map."""
    key = check_str(value)
    if key == FORBIDDEN_KEY:
        raise StateError(f"the key {FORBIDDEN_KEY!r} is not allowed")
    return key


def check_array_of(check_item: Check) -> Check:
    """The check of an array: a tuple, as only a value that cannot be edited in place is seen to change."""

    def check_array(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, tuple):
            raise expected("tuple", value)
        return tuple(map(check_item, value))

    return check_array


#: The check of each type of scalar that a field can be declared with.
SCALARS: Final[dict[type, Check]] = {bool: check_bool, int: check_int, float: check_float, str: check_str}
