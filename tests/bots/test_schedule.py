"""When intents are due, without waiting for any."""

import pytest

from server.tools.bots.plan import BadPlan, seconds
from server.tools.bots.schedule import Schedule


def test_every_bot_has_its_turn_once_a_period_evenly_apart() -> None:
    schedule = Schedule(start=100.0, end=102.0, bots=4, rate_hz=1)
    turns = list(schedule.take(1000.0))
    assert [0, 1, 2, 3, 0, 1, 2, 3] == [turn.place for turn in turns]
    assert [100.125 + n / 4 for n in range(8)] == pytest.approx([turn.due for turn in turns])


def test_turns_come_when_they_are_due_and_never_twice() -> None:
    schedule = Schedule(start=0.0, end=10.0, bots=1, rate_hz=2)
    assert 0.25 == schedule.next_due
    assert [] == list(schedule.take(0.2499))
    assert [0.25] == [turn.due for turn in schedule.take(0.25)]
    assert [] == list(schedule.take(0.7))
    # Who comes late gets all that was due meanwhile, as of when it was.
    assert [0.75, 1.25, 1.75] == pytest.approx([turn.due for turn in schedule.take(2.0)])


def test_as_many_turns_as_rate_and_time_come_to() -> None:
    schedule = Schedule(start=5.0, end=15.0, bots=500, rate_hz=15)
    assert 500 * 15 * 10 == len(list(schedule.take(float("inf"))))
    assert float("inf") == schedule.next_due


def test_nothing_is_due_at_rate_0() -> None:
    schedule = Schedule(start=0.0, end=10.0, bots=5, rate_hz=0)
    assert float("inf") == schedule.next_due
    assert [] == list(schedule.take(100.0))


@pytest.mark.parametrize(
    ("text", "expected"), [("30", 30), ("30s", 30), ("1.5m", 90), ("2m", 120), ("250ms", 0.25), ("1h", 3600)]
)
def test_times_are_read_with_their_unit(text: str, expected: float) -> None:
    assert expected == seconds("--duration", text)


@pytest.mark.parametrize("text", ["", "s", "-3", "3 days", "1m30s", "inf"])
def test_a_time_of_no_known_form_is_refused(text: str) -> None:
    with pytest.raises(BadPlan, match="--duration"):
        seconds("--duration", text)
