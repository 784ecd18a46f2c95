"""
Assertions: what a run must keep, said on the command line and judged at its end.

    ack.p99<50ms     lost==0     rejected.degraded<1%     ackedPerS>=1000

NAME OP VALUE[UNIT]. A name is one of the result's; a time counts in ms where no unit stands; a count may be a share (%)
of what was sent. One that can't be understood is refused before the run begins.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from contracts.codes import RejectCode
from server.tools.bots.result import Asserted, Result, Spread


class BadAssertion(Exception):
    """It can't be understood; the text says what was expected."""


class Assertion(msgspec.Struct, frozen=True):
    text: str
    name: str
    operator: str
    limit: float
    #: "ms", "s", "%", or "" for a plain number.
    unit: str


_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_FORM: Final = re.compile(r"\s*([A-Za-z][\w. ]*?)\s*(<=|>=|==|!=|<|>)\s*(-?\d+(?:\.\d+)?)\s*([a-z%]*)\s*")
_MS: Final = {"ms": 1.0, "s": 1000.0}
_SPREADS: Final = {"ack": "ack_ms", "seen": "seen_ms", "late": "late_ms"}
_PERCENTILES: Final = ("mean", "p50", "p90", "p99", "p999", "max")
#: Counts, which may be given as a share of what was sent.
_COUNTS: Final[Mapping[str, Callable[[Result], float]]] = {
    "acked": lambda result: result.acked,
    "duplicates": lambda result: result.duplicates,
    "unanswered": lambda result: result.unanswered,
    "rejected": lambda result: sum(result.rejected.values()),
    "lost": lambda result: result.lost,
    "doubled": lambda result: result.doubled,
    "gaps": lambda result: result.gaps,
    "diverged": lambda result: result.diverged,
}
_NUMBERS: Final[Mapping[str, Callable[[Result], float]]] = {
    "sent": lambda result: result.sent,
    "ackedPerS": lambda result: result.acked_per_s,
    "errors": lambda result: sum(result.errors.values()),
    "problems": lambda result: result.problem_count,
    "reconnects": lambda result: result.reconnects,
    "framesIn": lambda result: result.frames_in,
    "bytesIn": lambda result: result.bytes_in,
    "bytesOut": lambda result: result.bytes_out,
    "bytesInPerClientS": lambda result: result.bytes_in_per_client_s,
    "ack.count": lambda result: result.ack_ms.count,
    "seen.count": lambda result: result.seen_ms.count,
    "late.count": lambda result: result.late_ms.count,
}
_TIMES: Final = tuple(f"{name}.{part}" for name in _SPREADS for part in _PERCENTILES)
_REJECTS: Final = frozenset(code.value for code in RejectCode)


def parse(text: str) -> Assertion:
    """Raises BadAssertion."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise BadAssertion(f"{text!r} is no assertion: expected NAME OP VALUE[UNIT], such as ack.p99<50ms or lost==0")
    name, comparison, number, unit = found.groups()
    units = _units_of(name)
    if units is None:
        raise BadAssertion(f"{text!r}: no such name {name!r}; names: {names()}")
    if unit not in units:
        expected = " or ".join(each or "no unit" for each in units)
        raise BadAssertion(f"{text!r}: {name} takes {expected}, not {unit!r}")
    return Assertion(text, name, comparison, float(number), unit or units[0])


def judge(assertion: Assertion, result: Result) -> Asserted:
    """A percentile of nothing is no number, and passes nothing."""
    value = _value(assertion, result)
    passed = value is not None and _OPERATORS[assertion.operator](value, assertion.limit)
    return Asserted(text=assertion.text, value=None if value is None else float(value), passed=passed)


def names() -> str:
    """Every name, for a message."""
    spreads = ", ".join(f"{name}.{{count,{','.join(_PERCENTILES)}}}" for name in _SPREADS)
    plain = ", ".join(name for name in (*_COUNTS, *_NUMBERS) if "." not in name)
    return f"{spreads}, {plain}, rejected.CODE, errors.WHAT"


def _units_of(name: str) -> tuple[str, ...] | None:
    """Those it takes, the one it has by itself first; None for a name that nothing has."""
    head, _, rest = name.partition(".")
    if name in _TIMES:
        return ("ms", "s", "")
    if name in _COUNTS or (head == "rejected" and rest in _REJECTS):
        return ("", "%")
    return ("",) if name in _NUMBERS or (head == "errors" and rest) else None


def _value(assertion: Assertion, result: Result) -> float | None:
    name = assertion.name
    head, _, rest = name.partition(".")
    if name in _TIMES:
        spread: Spread = getattr(result, _SPREADS[head])
        found: float = getattr(spread, rest)
        return found / _MS[assertion.unit] if spread.count else None
    if name in _NUMBERS:
        return _NUMBERS[name](result)
    if head == "errors":
        return result.errors.get(rest, 0)
    count = _COUNTS[name](result) if name in _COUNTS else result.rejected.get(rest, 0)
    if assertion.unit != "%":
        return count
    return count / result.sent * 100 if result.sent else None
