"""One room's queue, and the pauses between tries."""

from contracts import limits
from server.runtime.backoff import CAP_S, FIRST_S, Backoff
from server.runtime.queue import Queue
from tests.runtime.desk import entries, entry


def queue(*room_seqs: int, now: float = 0.0) -> Queue:
    made = Queue()
    made.add(entries("r", *room_seqs), now)
    return made


def firsts(of: Queue, rows_max: int = 100, bytes_max: int = 10**6) -> list[int]:
    return [e.room_seq for e in of.first(rows_max, bytes_max)]


def test_the_first_that_fit_stay_until_they_are_durable() -> None:
    waiting = queue(1, 2, 3)
    assert firsts(waiting, rows_max=2) == firsts(waiting, rows_max=2) == [1, 2]
    assert waiting.drop_up_to(2) == 2
    assert (firsts(waiting), len(waiting)) == ([3], 1)


def test_bytes_are_exceeded_by_one_entry_at_most() -> None:
    size = entry(1).size_bytes
    assert firsts(queue(1, 2, 3), bytes_max=size) == [1]
    assert firsts(queue(1, 2, 3), bytes_max=size + 1) == [1, 2]
    assert firsts(queue(1, 2, 3), bytes_max=0) == []


def test_what_is_durable_is_dropped_once_and_no_more_than_there_is() -> None:
    waiting = queue(3, 4)
    waiting.sent = 2
    assert (waiting.drop_up_to(2), waiting.sent) == (0, 2)
    assert (waiting.drop_up_to(3), waiting.sent) == (1, 1)
    assert (waiting.drop_up_to(9), waiting.sent, len(waiting)) == (1, 0, 0)


def test_the_late_are_those_from_the_first_late_one_on_that_was_not_sent() -> None:
    waiting = queue(1, 2, now=10)
    waiting.add(entries("r", 3), 20)
    assert waiting.late(due=9) is None
    waiting.sent = 1
    assert waiting.late(due=10) == (1, 2)
    assert (firsts(waiting), waiting.late(due=99)) == ([1], None), "it may have been written"
    waiting.sent = 0
    assert waiting.late(due=99) == (0, 1)
    assert Queue().late(due=99) is None


def test_one_that_failed_alone_goes_on_in_halves_until_it_is_with_the_others_again() -> None:
    waiting = queue(1, 2, 3, 4, 5)
    waiting.set_apart()
    assert (waiting.is_apart, firsts(waiting)) == (True, [1, 2, 3, 4, 5])
    for tried, left in ((5, [1, 2]), (2, [1]), (1, [1])):
        waiting.halve(tried, retry_at=7)
        assert (firsts(waiting), waiting.retry_at) == (left, 7 if tried == 1 else 0)
    waiting.join()
    assert (waiting.is_apart, waiting.retry_at, firsts(waiting)) == (False, 0, [1, 2, 3, 4, 5])


def test_its_halves_are_of_a_full_flush_at_most() -> None:
    waiting = queue(*range(2 * limits.FLUSH_ROWS_MAX))
    assert len(firsts(waiting, rows_max=10**6)) == limits.FLUSH_ROWS_MAX


def test_pauses_double_up_to_a_cap_with_jitter_and_begin_anew_after_a_success() -> None:
    backoff = Backoff()
    bound = FIRST_S
    for _ in range(10):
        assert bound / 2 <= backoff.next_s() <= bound
        bound = min(CAP_S, 2 * bound)
    assert bound == CAP_S
    backoff.reset()
    assert backoff.next_s() <= FIRST_S
    assert len({Backoff().next_s() for _ in range(10)}) > 1, "not in step"
