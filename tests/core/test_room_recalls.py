"""
Recalls, as transcripts: a resume from before what memory holds is answered from the journal as if it were memory.
"""

import pytest

from contracts.limits import RECALL_ENTRIES_MAX
from server.core.history import History
from server.core.recovery import change_of, snapshot_of
from tests.core.parts import UNPACED, Bench, Tape, folded


def away(entries_max: int = 3) -> tuple[Bench, Tape]:
    """Ada was dropped after roomSeq 3 and has missed what Bob did, up to roomSeq 9; memory goes back to 6."""
    bench = Bench(room_limits=UNPACED, history_entries_max=entries_max)
    ada, bob = bench.join("ada", resumes=True), bench.join("bob", resumes=True)
    bench.tick()
    bench.drop(ada)
    bench.say(bob, 1, "one")
    for seq, amount in enumerate((1, 3, 5), 2):
        bench.add(bob, seq, amount)
    bench.say(bob, 5, "two")
    bench.commit()
    bench.tick()
    bob.take()
    return bench, bob


def back(bench: Bench, session_id: str = "ada") -> Tape:
    tape = bench.come_back(session_id, f"{session_id} 0", f"{session_id} 1")
    bench.commit()
    bench.tick()
    tape.take()
    return tape


def test_a_resume_from_before_memory_asks_the_journal_and_hears_nothing_until_it_answers() -> None:
    bench, bob = away()
    ada = back(bench)
    bench.resume(ada, 3, epoch=1)
    bench.say(bob, 6, "meanwhile")
    bench.commit()
    bench.tick()
    assert ([], [3]) == (ada.take(), [question.from_seq for question in bench.recalls])


def test_when_the_journal_answers_it_is_as_if_memory_had_held_it_all() -> None:
    heard = []
    for entries_max in (3, 100):
        bench, bob = away(entries_max)
        ada = back(bench)
        bench.resume(ada, 3, epoch=1)
        if bench.recalls:
            bench.recall()
        bench.say(bob, 6, "after")
        bench.commit()
        bench.tick()
        heard.append(ada.take())
    assert heard[0] == heard[1]
    (_, ack), (_, one), (_, two), (_, delta), (_, after), (_, live) = heard[0]
    assert (True, "one", "two", "after") == (ack["recovered"], one["text"], two["text"], after["text"])
    assert (3, 10, 10, 11) == (delta["baseSeq"], delta["roomSeq"], live["baseSeq"], live["roomSeq"])
    assert [{"total": 9, "people": {"bob": {"coins": 9}, "ada": {"connected": True}}}] == delta["patches"]


def test_the_room_may_go_on_while_the_journal_is_read() -> None:
    """And memory may forget more meanwhile: the journal answers up to where it begins by then."""
    bench, bob = away()
    ada = back(bench)
    bench.resume(ada, 3)
    begins = bench.room.output.history.base_seq
    for seq in range(6, 12):
        bench.add(bob, seq, 1)
        bench.commit()
        bench.tick()
    assert bench.room.output.history.base_seq > begins
    bench.add(bob, 12, 1)
    bench.recall()
    assert [] == ada.take()
    bench.commit()
    bench.tick()
    (_, ack), (_, one), (_, two), (_, delta) = ada.take()
    assert (True, "one", "two") == (ack["recovered"], one["text"], two["text"])
    assert (3, 17, 16) == (delta["baseSeq"], delta["roomSeq"], delta["patches"][0]["total"])


def test_after_a_takeover_what_is_before_the_snapshot_is_recalled() -> None:
    bench, _ = away()
    bench = bench.take_over(snapshot_of(bench.room, bench.now_ms))
    bench.room.drop_unconnected(bench.now_ms, bench.random)
    bench.commit()
    ada = back(bench)
    bench.resume(ada, 3, epoch=1)
    bench.recall()
    assert ["resume", "event.chat", "event.chat", "delta"] == ada.kinds()


@pytest.mark.parametrize(("epoch", "kinds"), [(1, ["delta"]), (2, ["snapshot"]), (0, ["snapshot"])])
def test_the_epoch_is_the_journals_at_that_room_seq(epoch: int, kinds: list[str]) -> None:
    bench, _ = away()
    ada = back(bench)
    bench.resume(ada, 6, epoch=epoch)
    bench.recall()
    assert kinds == [kind for kind in ada.kinds() if kind in ("delta", "snapshot")]


def test_what_the_journal_cannot_answer_is_a_snapshot() -> None:
    bench, _ = away()
    ada = back(bench)
    bench.resume(ada, 3, epoch=1)
    bench.room.recalled(bench.recalls.pop(), None, bench.now_ms)
    bench.settle()
    (_, ack), (_, snapshot) = ada.take()
    assert (False, folded(bench.journal)) == (ack["recovered"], snapshot["state"])
    assert ["snapshot"] == [returned.by for returned in bench.returns]


@pytest.mark.parametrize("part", [slice(0, 0), slice(0, -1), slice(1, None)], ids=repr)
def test_an_answer_with_a_part_missing_is_a_snapshot_and_asked_for_no_more(part: slice) -> None:
    bench, _ = away()
    ada = back(bench)
    bench.resume(ada, 3, epoch=1)
    entries = bench.journal[2 : bench.room.output.history.base_seq][part]
    bench.room.recalled(bench.recalls.pop(), [change_of(entry) for entry in entries], bench.now_ms)
    bench.settle()
    assert (["resume", "snapshot"], []) == (ada.kinds(), bench.recalls)


def test_what_is_too_long_ago_is_a_snapshot_at_once() -> None:
    bench, bob = away()
    for seq in range(6, RECALL_ENTRIES_MAX + 20):
        bench.add(bob, seq)
        if seq % 100 == 0:
            bench.commit()
            bench.tick()
    ada = back(bench)
    begins = bench.room.output.history.base_seq
    bench.resume(ada, begins - RECALL_ENTRIES_MAX - 1)
    assert (["resume", "snapshot"], []) == (ada.kinds(), bench.recalls)
    bench.resume(ada, begins - RECALL_ENTRIES_MAX)
    assert 1 == len(bench.recalls)


def test_what_was_before_its_join_is_not_asked_for() -> None:
    bench, _ = away()
    ada = back(bench)
    bench.resume(ada, 1)
    assert (["resume", "snapshot"], []) == (ada.kinds(), bench.recalls)


def test_many_who_resume_at_once_cost_one_question() -> None:
    bench, bob = away()
    bench.drop(bob)
    bench.commit()
    ada, bob = back(bench), back(bench, "bob")
    bench.resume(ada, 4)
    bench.resume(bob, 5)
    assert 1 == len(bench.recalls)
    bench.recall()
    assert ["resume", "event.chat", "event.chat", "delta"] == ada.kinds()
    assert ["resume", "event.chat", "delta"] == bob.kinds()
    assert ([], ["delta", "delta"]) == (bench.recalls, [returned.by for returned in bench.returns])


def test_who_goes_further_back_than_what_is_being_read_is_asked_for_next() -> None:
    bench, bob = away()
    bench.drop(bob)
    bench.commit()
    ada, bob = back(bench), back(bench, "bob")
    bench.resume(bob, 5)
    bench.resume(ada, 3)
    bench.recall()
    assert (["resume", "event.chat", "delta"], []) == (bob.kinds(), ada.take())
    bench.recall()
    assert (["resume", "event.chat", "event.chat", "delta"], []) == (ada.kinds(), bench.recalls)


def test_a_second_resume_while_the_journal_is_read_takes_the_firsts_place() -> None:
    bench, _ = away()
    ada = back(bench)
    bench.resume(ada, 3)
    bench.resume(ada, 5)
    bench.recall()
    bench.commit()
    (_, ack), (_, line), (_, delta) = ada.take()
    assert (True, "two", 5) == (ack["recovered"], line["text"], delta["baseSeq"])
    assert ["delta"] == [returned.by for returned in bench.returns], "a return is counted once"


def test_a_second_resume_that_memory_can_answer_waits_no_longer() -> None:
    bench, _ = away()
    ada = back(bench)
    bench.resume(ada, 3)
    bench.resume(ada, bench.room.room_seq)
    assert ["resume"] == ada.kinds()
    bench.recall()
    bench.tick()
    assert [] == ada.take()


@pytest.mark.parametrize("end", ["drop", "leave"])
def test_who_is_gone_when_the_journal_answers_is_sent_nothing(end: str) -> None:
    bench, bob = away()
    ada = back(bench)
    bench.resume(ada, 3)
    if end == "drop":
        bench.drop(ada)
    else:
        bench.leave("ada")
    bench.recall()
    bench.commit()
    bench.tick()
    assert [] == ada.take()
    assert bench.add(bob, 6) == "applied"


def test_who_returned_again_meanwhile_says_anew_from_where() -> None:
    bench, _ = away()
    first = back(bench)
    bench.resume(first, 3)
    bench.drop(first)
    bench.commit()
    second = bench.come_back("ada", "ada 1", "ada 2")
    bench.commit()
    second.take()
    bench.recall()
    assert ([], []) == (first.take(), second.take())
    bench.resume(second, 3)
    if bench.recalls:
        bench.recall()
    assert ["resume", "event.chat", "event.chat", "delta"] == second.kinds()


def test_a_room_that_broke_meanwhile_answers_nobody() -> None:
    bench, bob = away()
    ada = back(bench)
    bench.resume(ada, 3)
    bench.add(bob, 6, 66)
    bench.recall()
    assert ["event.session"] == ada.kinds()


def test_a_link_that_chokes_while_the_journal_is_read_lags_from_what_that_brought() -> None:
    bench, bob = away()
    ada = back(bench)
    bench.resume(ada, 3)
    bench.choke(ada)
    bench.recall()
    assert ["resume", "event.chat", "event.chat", "delta"] == ada.kinds()
    bench.say(bob, 6, "three")
    bench.commit()
    bench.tick()
    assert [] == ada.take()
    bench.drain(ada)
    assert ["event.chat", "delta"] == ada.kinds()


def test_a_link_that_lags_is_not_answered_with_those_who_wait_for_the_journal() -> None:
    bench, bob = away()
    ada = back(bench)
    bench.choke(bob)
    bob.take()
    bench.resume(bob, 9)
    bench.resume(ada, 3)
    bench.recall()
    assert (["resume", "event.chat", "event.chat", "delta"], []) == (ada.kinds(), bob.take())
    bench.drain(bob)
    assert ["resume", "delta"] == bob.kinds()


def test_a_link_that_lagged_may_go_back_to_the_journal_as_well() -> None:
    bench, bob = away()
    bench.choke(bob)
    bench.resume(bob, 5)
    bench.drain(bob)
    assert [] == bob.take()
    bench.recall()
    assert ["resume", "event.chat", "delta"] == bob.kinds()


@pytest.mark.parametrize("is_still", [True, False])
def test_a_room_set_back_meanwhile_answers_with_a_snapshot_and_the_journal_comes_too_late(is_still: bool) -> None:
    bench, bob = away()
    ada = back(bench)
    bench.resume(ada, 3)
    bench.add(bob, 6)
    bench.stand_still()
    if is_still:
        bench.recall()
        assert [] == ada.take()
    bench.go_on()
    (_, ack), (_, snapshot) = ada.take()
    assert (False, folded(bench.journal)) == (ack["recovered"], snapshot["state"])
    if not is_still:
        bench.recall()
    bench.commit()
    bench.tick()
    assert [] == ada.take()


def test_an_old_answer_is_no_answer() -> None:
    bench, _ = away()
    ada = back(bench)
    bench.resume(ada, 3)
    stale = type(bench.recalls[0])(3)
    bench.room.recalled(stale, [], bench.now_ms)
    bench.settle()
    assert [] == ada.take()


def test_what_was_recalled_stays_as_far_as_the_bounds_allow() -> None:
    bench, _ = away()
    ada = back(bench)
    bench.resume(ada, 3)
    bench.recall()
    history = bench.room.output.history
    assert 3 == history.last_seq - history.base_seq


def test_what_was_recalled_counts_towards_the_bytes_a_history_may_take() -> None:
    bench, _ = away(100)
    changes = bench.room.output.history.between(0, 9)
    history = History(9, 1, 100, sum(change.size_bytes for change in changes[4:]))
    assert history.recall(changes)
    history.trim(9)
    assert 4 == history.base_seq


def test_a_history_begins_earlier_by_what_goes_on_to_it() -> None:
    bench, _ = away(100)
    changes = bench.room.output.history.between(0, 9)
    history = History(5, 1, 100, 10**6)
    for change in changes[5:]:
        history.append(change)
    for wrong in (changes[:4], changes[1:3], changes[2:6], [changes[2], changes[4]]):
        assert False is history.recall(wrong)
    assert (5, True, True) == (history.base_seq, history.recall(changes[2:5]), history.recall([]))
    assert (3, [3, 5, 9], changes[3:]) == (
        history.base_seq,
        [room_seq for room_seq in (1, 3, 5, 9) if history.reaches(room_seq, 1)],
        list(history.between(3, 9)),
    )
