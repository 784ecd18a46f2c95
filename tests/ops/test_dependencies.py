"""Facts about a dependency's health: when it is announced, and when it is not. Time is a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Degraded
from server.ops.dependencies import QUIET_S, SLOW_S, Dependency

OFFSET_S = 1_700_000_000.0
FAST_S = 0.001


@pytest.fixture
def postgres() -> Dependency:
    return Dependency("postgres", OFFSET_S)


def degraded(status: str, reason: str, since_s: float) -> Degraded:
    since = round((since_s + OFFSET_S) * 1000)
    return Degraded(dependency="postgres", status=status, reason=reason, since=since)  # type: ignore[arg-type]


def succeed(dependency: Dependency, *times_s: float, latency_s: float = FAST_S) -> list[Degraded]:
    changes = [dependency.succeeded(now_s, latency_s) for now_s in times_s]
    return [change for change in changes if change is not None]


def test_good_answers_are_no_news(postgres: Dependency) -> None:
    assert succeed(postgres, 1.0, 2.0, 3.0, 4.0, 5.0) == []
    assert postgres.trouble is None
    assert postgres.is_writable


def test_the_first_failure_is_told_at_once(postgres: Dependency) -> None:
    assert degraded("degraded", "timeout", 1.0) == postgres.failed(1.0, "timeout")
    assert not postgres.is_writable


def test_the_second_failure_in_a_row_makes_it_unavailable_since_the_first(postgres: Dependency) -> None:
    postgres.failed(1.0, "timeout")
    assert degraded("unavailable", "refused", 1.0) == postgres.failed(1.4, "refused")


def test_further_failures_are_no_news_and_their_reason_is_kept(postgres: Dependency) -> None:
    postgres.failed(1.0, "timeout")
    postgres.failed(1.4, "timeout")
    assert postgres.failed(1.8, "read_only") is None
    assert (postgres.status, postgres.reason) == ("unavailable", "read_only")


def test_recovery_is_told_after_a_quiet_time_and_once(postgres: Dependency) -> None:
    postgres.failed(1.0, "timeout")
    postgres.failed(1.4, "timeout")
    assert succeed(postgres, 1.6, 1.8, 2.0, 1.39 + QUIET_S) == []
    assert [degraded("recovered", "timeout", 1.4 + QUIET_S)] == succeed(postgres, 1.4 + QUIET_S, 3.6, 3.8)
    assert postgres.trouble is None


def test_recovery_needs_several_good_answers_however_late(postgres: Dependency) -> None:
    postgres.failed(1.0, "timeout")
    assert succeed(postgres, 60.0, 60.1) == []
    assert len(succeed(postgres, 60.2)) == 1


@pytest.mark.parametrize("trouble", ["failure", "slow"])
def test_good_answers_from_before_more_trouble_do_not_count(postgres: Dependency, trouble: str) -> None:
    postgres.failed(1.0, "timeout")
    succeed(postgres, 10.0, 11.0)
    if trouble == "slow":
        succeed(postgres, 12.0, latency_s=SLOW_S)
    else:
        postgres.failed(12.0, "timeout")
    assert succeed(postgres, 20.0, 21.0) == []
    assert len(succeed(postgres, 22.0)) == 1


def test_healed_for_five_seconds_under_probes_is_recovered(postgres: Dependency) -> None:
    postgres.failed(1.0, "refused")
    postgres.failed(1.25, "refused")
    assert [change.status for change in succeed(postgres, *(1.25 + n / 4 for n in range(1, 20)))] == ["recovered"]


def test_failing_writes_between_good_probes_make_one_announcement_not_a_stream(postgres: Dependency) -> None:
    told = []
    for second in range(1, 30):
        told += [postgres.failed(second, "disk_full")]
        told += succeed(postgres, second + 0.25, second + 0.5, second + 0.75)
    assert [degraded("degraded", "disk_full", 1.0)] == [change for change in told if change is not None]
    assert not postgres.is_writable


def test_one_slow_answer_is_no_news_and_two_in_a_row_are(postgres: Dependency) -> None:
    assert succeed(postgres, 1.0, 2.0, latency_s=SLOW_S - 0.01) == []
    assert succeed(postgres, 3.0, latency_s=SLOW_S) == []
    assert succeed(postgres, 4.0) == []
    assert [degraded("degraded", "slow", 6.0)] == succeed(postgres, 5.0, 6.0, 7.0, latency_s=SLOW_S)
    assert postgres.is_writable


def test_answers_just_below_the_threshold_do_not_end_slowness(postgres: Dependency) -> None:
    succeed(postgres, 1.0, 2.0, latency_s=SLOW_S)
    assert succeed(postgres, *range(3, 20), latency_s=SLOW_S * 0.9) == []
    assert [change.status for change in succeed(postgres, *range(22, 30))] == ["recovered"]


def test_slow_answers_after_a_loss_are_degraded_not_recovered(postgres: Dependency) -> None:
    postgres.failed(1.0, "timeout")
    postgres.failed(1.4, "timeout")
    assert succeed(postgres, 2.0, 3.0, latency_s=SLOW_S) == []
    told = succeed(postgres, 4.0, 5.0, latency_s=SLOW_S)
    assert [degraded("degraded", "slow", 1.0)] == told
    assert postgres.is_writable


def test_a_failure_while_slow_makes_it_unwritable(postgres: Dependency) -> None:
    succeed(postgres, 1.0, 2.0, latency_s=SLOW_S)
    assert postgres.failed(3.0, "timeout") is None
    assert not postgres.is_writable


def test_who_arrives_during_trouble_is_told_what_the_others_were(postgres: Dependency) -> None:
    postgres.failed(1.0, "timeout")
    announced = postgres.failed(1.4, "timeout")
    assert announced == postgres.trouble


OBSERVATIONS = st.lists(st.tuples(st.floats(0.01, 3.0), st.sampled_from(["good", "slow", "timeout", "refused"])))


@given(OBSERVATIONS)
def test_every_announcement_is_a_change_and_trouble_ends_only_by_recovery(steps: list[tuple[float, str]]) -> None:
    dependency, now_s, told = Dependency("redis", OFFSET_S), 0.0, "recovered"
    for pause_s, sight in steps:
        now_s += pause_s
        if sight in ("good", "slow"):
            change = dependency.succeeded(now_s, FAST_S if sight == "good" else SLOW_S)
        else:
            change = dependency.failed(now_s, sight)  # type: ignore[arg-type]
        if change is not None:
            assert told != change.status
            told = change.status
        assert ("ok" if told == "recovered" else told) == dependency.status
