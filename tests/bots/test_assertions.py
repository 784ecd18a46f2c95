"""What a run must keep: understood before it begins, judged by what was found."""

import msgspec
import pytest

from server.tools.bots.assertions import BadAssertion, judge, parse
from server.tools.bots.result import Result, Spread
from tests.bots.runs import run


def found(**values: object) -> Result:
    return msgspec.structs.replace(run(), **values)


ACKS = Spread(count=1000, mean=5.0, p50=4.0, p90=9.0, p99=49.9, p999=60.0, max=70.0)


@pytest.mark.parametrize(
    ("text", "value", "passed"),
    [
        ("ack.p99<50ms", 49.9, True),
        ("ack.p99 < 0.0499s", 0.0499, False),
        ("ack.p99<=49.9", 49.9, True),
        ("seen.p50>1ms", 4.0, True),
        ("late.max != 70", 70.0, False),
        ("ack.count==1000", 1000, True),
        ("lost==0", 0, True),
        ("doubled>=1", 2, True),
        ("sent>999", 1000, True),
        ("acked>=97%", 97.0, True),
        ("rejected<3%", 3.0, False),
        ("rejected==30", 30, True),
        ("rejected.degraded==10", 10, True),
        ("rejected.overloaded==0", 0, True),
        ("errors<=5", 5, True),
        ("errors.closed 1006==5", 5, True),
        ("errors.closed==0", 0, True),
    ],
)
def test_an_assertion_holds_or_fails_by_what_was_found(text: str, value: float, passed: bool) -> None:
    result = found(
        sent=1000,
        acked=970,
        rejected={"degraded": 10, "illegal": 20},
        errors={"closed 1006": 5},
        ack_ms=ACKS,
        seen_ms=ACKS,
        late_ms=ACKS,
        lost=0,
        doubled=2,
    )
    asserted = judge(parse(text), result)
    assert (text, pytest.approx(value), passed) == (asserted.text, asserted.value, asserted.passed)


@pytest.mark.parametrize("text", ["ack.p99<50ms", "acked>=99%", "ack.p99>=0"])
def test_nothing_counted_passes_nothing(text: str) -> None:
    asserted = judge(parse(text), found(sent=0, acked=0, ack_ms=Spread()))
    assert (None, False) == (asserted.value, asserted.passed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "NAME OP VALUE"),
        ("lost", "NAME OP VALUE"),
        ("lost=0", "NAME OP VALUE"),
        ("ack.p99<fast", "NAME OP VALUE"),
        ("ack.p98<5ms", "ack.{count,mean,p50"),
        ("rejected.nonsense==0", "no such name"),
        ("ack.p99<5%", "takes ms or s"),
        ("ack.p99<5us", "takes ms or s"),
        ("lost<5ms", "takes no unit or %"),
        ("sent>5%", "takes no unit"),
    ],
)
def test_what_can_not_be_understood_is_refused_with_what_was_expected(text: str, told: str) -> None:
    with pytest.raises(BadAssertion) as refused:
        parse(text)
    assert told in str(refused.value)
