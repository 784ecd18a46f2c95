"""
Catching up, as transcripts: exactly what was missed or a whole snapshot, and nothing in between.
"""

from tests.core.parts import Bench, Tape, folded, token


def came_back(bench: Bench) -> Tape:
    tape = bench.come_back("ada", "ada 0", "ada 1")
    bench.commit()
    return tape


def absent(bench: Bench) -> Tape:
    """Ada is away, at roomSeq 3; Bob plays on."""
    ada, bob = bench.join("ada", resumes=True), bench.join("bob")
    bench.tick()
    bench.drop(ada)
    bench.commit()
    return bob


def test_who_resumes_is_told_nothing_of_the_room_until_it_says_from_where() -> None:
    bench = Bench()
    bob = absent(bench)
    ada = came_back(bench)
    bench.say(bob, 1, "anyone?")
    bench.add(bob, 2)
    bench.commit()
    bench.tick()
    assert ["JOIN_ROOM", "handshake"] == ada.kinds()


def test_a_resume_brings_the_events_missed_in_order_then_one_delta_and_the_ack_before_both() -> None:
    bench = Bench()
    bob = absent(bench)
    bench.say(bob, 1, "one")
    bench.add(bob, 2, 5)
    ada = came_back(bench)
    bench.say(bob, 3, "two")
    bench.resume(ada, 3, epoch=1)
    assert ["JOIN_ROOM", "handshake"] == ada.kinds()
    bench.say(bob, 4, "after")
    bench.commit()
    bench.tick()
    (_, ack), (_, one), (_, two), (_, delta), (_, after), (_, live) = ada.take()
    assert {"kind": "resume", "roomSeq": 8, "epoch": 1, "lastSeq": 0, "recovered": True} == ack
    assert ["one", "two", "after"] == [line["text"] for line in (one, two, after)]
    assert (3, 8, [{"total": 5, "people": {"bob": {"coins": 5}, "ada": {"connected": True}}}]) == (
        delta["baseSeq"],
        delta["roomSeq"],
        delta["patches"],
    )
    assert (8, 9) == (live["baseSeq"], live["roomSeq"])


def test_nothing_missed_is_recovered_without_a_delta() -> None:
    bench = Bench()
    ada = bench.join("ada", resumes=True)
    ada.take()
    bench.resume(ada, 2)
    ((_, ack),) = ada.take()
    assert ("resume", True, 2) == (ack["kind"], ack["recovered"], ack["roomSeq"])


def test_a_resume_hears_only_what_was_said_to_it() -> None:
    bench = Bench()
    absent(bench)
    bench.join("cyd")
    ada = came_back(bench)
    ada.take()
    bench.resume(ada, 3)
    assert ["resume", "delta"] == ada.kinds()


def test_the_volatile_values_of_now_come_behind_whatever_brings_a_link_to_live() -> None:
    bench = Bench()
    bob = absent(bench)
    bench.add(bob, 1, amount=2)
    bench.commit()
    bench.tick()
    ada = came_back(bench)
    ada.take()
    bench.resume(ada, 3)
    (*_, (_, volatile)) = ada.take()
    assert {"kind": "volatile", "patches": [{"people": {"bob": {"typing": True}}}]} == volatile
    cyd = bench.join("cyd")
    assert ["JOIN_ROOM", "handshake", "snapshot", "volatile", "yard.hello"] == cyd.kinds()


def test_an_epoch_that_is_not_the_journals_gets_a_snapshot() -> None:
    bench = Bench()
    absent(bench)
    ada = came_back(bench)
    ada.take()
    bench.resume(ada, 3, epoch=2)
    (_, ack), (_, snapshot) = ada.take()
    assert (False, "snapshot") == (ack["recovered"], snapshot["kind"])
    assert folded(bench.journal) == snapshot["state"]


def test_a_room_seq_from_the_future_gets_a_snapshot() -> None:
    bench = Bench()
    absent(bench)
    ada = came_back(bench)
    ada.take()
    bench.resume(ada, 10**6)
    assert ["resume", "snapshot"] == ada.kinds()


def test_what_was_before_a_session_is_not_its_to_miss() -> None:
    """Also so that one who lost its first snapshot, and says 0, gets another."""
    bench = Bench()
    bob = bench.join("bob")
    bench.say(bob, 1, "between us")
    bench.drop(bench.join("ada", resumes=True))
    ada = came_back(bench)
    for room_seq in (0, 2):
        ada.take()
        bench.resume(ada, room_seq)
        assert ["resume", "snapshot"] == ada.kinds()


def test_who_says_nothing_within_two_seconds_gets_a_snapshot() -> None:
    bench = Bench()
    absent(bench)
    ada = came_back(bench)
    ada.take()
    bench.now_ms += 1_999
    bench.sweep()
    assert [] == ada.take()
    bench.now_ms += 1
    bench.sweep()
    bench.sweep()
    (_, ack), (_, snapshot) = ada.take()
    assert (False, "snapshot", bench.room.room_seq) == (ack["recovered"], snapshot["kind"], snapshot["roomSeq"])


def test_who_was_closed_before_it_said_anything_gets_nothing_more() -> None:
    bench = Bench()
    absent(bench)
    ada = came_back(bench)
    for _ in range(10):
        bench.room.unreadable(ada, "what?")
    bench.settle()
    assert 4506 == ada.closed
    ada.take()
    bench.now_ms += 2_000
    bench.sweep()
    bench.commit()
    assert [] == ada.take()


def test_the_two_seconds_begin_when_the_handshake_is_out() -> None:
    """Or a slow commit would cost every returning client its delta."""
    bench = Bench()
    bob = absent(bench)
    ada = bench.come_back("ada", "ada 0", "ada 1")
    bench.commit()
    bench.drop(ada)
    ada = bench.dial("ada", token("ada 1"), token("ada 2"))
    assert isinstance(ada, Tape)
    bench.commit()
    bench.add(bob, 1)
    bench.answer(ada)
    bench.now_ms += 10_000
    bench.sweep()
    bench.commit()
    assert ["JOIN_ROOM", "handshake"] == ada.kinds()
    bench.now_ms += 1_999
    bench.sweep()
    bench.resume(ada, 3)
    bench.now_ms += 10_000
    bench.sweep()
    bench.commit()
    assert ["resume", "delta"] == ada.kinds()


def test_a_resume_that_comes_before_its_handshake_is_out_is_waited_for_no_more() -> None:
    bench = Bench()
    bob = absent(bench)
    ada = bench.dial("ada", token("ada 0"), token("ada 1"))
    assert isinstance(ada, Tape)
    bench.commit()
    bench.add(bob, 1)
    bench.answer(ada)
    bench.resume(ada, 3)
    bench.commit()
    bench.now_ms += 10_000
    bench.sweep()
    bench.commit()
    assert ["JOIN_ROOM", "handshake", "resume", "delta"] == ada.kinds()


def test_a_client_without_the_option_gets_a_snapshot_at_once() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    assert ["JOIN_ROOM", "handshake", "snapshot"] == came_back(bench).kinds()


def test_a_return_is_counted_by_what_ended_it_when_it_is_there() -> None:
    bench = Bench()
    bob = absent(bench)
    assert [] == bench.returns
    ada = came_back(bench)
    bench.add(bob, 1)
    bench.resume(ada, 3)
    assert [] == bench.returns
    bench.commit()
    bench.resume(ada, 3)
    bench.drop(bob)
    bench.come_back("bob", "bob 0", "bob 1")
    bench.commit()
    assert ["delta", "snapshot"] == [returned.by for returned in bench.returns]


def test_a_resume_before_the_join_byte_is_ignored() -> None:
    bench = Bench()
    ada = bench.arrive("ada")
    bench.resume(ada, 2)
    bench.commit()
    assert ["JOIN_ROOM"] == ada.kinds()


def test_a_gap_in_mid_session_is_filled_and_what_fills_it_is_not_sent_twice() -> None:
    bench = Bench()
    ada, bob = bench.join("ada", resumes=True), bench.join("bob")
    bench.tick()
    ada.take()
    bench.say(bob, 1, "one")
    bench.resume(ada, 2)
    bench.commit()
    bench.tick()
    assert ["resume", "event.chat", "delta"] == ada.kinds()
    bench.add(bob, 2)
    bench.commit()
    bench.tick()
    assert ["delta"] == ada.kinds()


def test_resumes_asked_for_faster_than_intents_end_in_one_snapshot() -> None:
    """A whole state costs far more to make than to ask for."""
    bench = Bench()
    ada = bench.join("ada", resumes=True)
    ada.take()
    for _ in range(200):
        bench.resume(ada, 0)
    assert ["resume", "snapshot"] * 40 == ada.kinds()
    bench.now_ms += 2_000
    bench.sweep()
    bench.sweep()
    assert ["resume", "snapshot"] == ada.kinds()


def test_while_nothing_can_be_shown_one_state_is_kept_for_who_asks_again_and_again() -> None:
    bench = Bench()
    ada = bench.join("ada", resumes=True)
    bench.add(ada, 1)
    ada.take()
    for _ in range(30):
        bench.resume(ada, 0)
    kept = [held for held in bench.room.output._gate if getattr(held, "frames", ())]
    assert 1 == len(kept)
    bench.commit()
    assert ["intent", "resume", "snapshot"] == ada.kinds()


def test_what_a_link_was_brought_to_live_with_is_not_kept_with_it() -> None:
    """A state for each connection, as long as it lives, is what a node has no memory for."""
    bench = Bench()
    ada = bench.join("ada", resumes=True)
    assert ada.owed is None
    bench.resume(ada, 0)
    bench.commit()
    assert ada.owed is None


def test_the_first_resume_of_a_return_is_answered_however_fast_intents_came_before() -> None:
    bench = Bench()
    ada = bench.join("ada", resumes=True)
    for seq in range(1, 50):
        bench.add(ada, seq)
    bench.drop(ada)
    bench.commit()
    ada = came_back(bench)
    ada.take()
    bench.resume(ada, 2)
    assert ["resume", "delta", "volatile"][:2] == ada.kinds()[:2]


def test_a_resume_tells_which_numbers_the_client_has_answers_for() -> None:
    """After a crash, the rejects among them are in no journal."""
    bench = Bench()
    ada = bench.join("ada", resumes=True)
    bench.resume(ada, 2, seq=4)
    (*_, (_, ack)) = ada.take()
    assert 4 == ack["lastSeq"]
    assert ["gap", "applied"] == [bench.add(ada, 6), bench.add(ada, 5)]
    bench.resume(ada, 2, seq=1)
    assert "applied" == bench.add(ada, 6)
