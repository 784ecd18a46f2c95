"""
Lagging, as transcripts: a link that does not read gets answers only, then all it missed as one delta, or its close.
"""

import pytest

from contracts.limits import LAG_READ_BYTES_MIN, LAG_S
from server.core.link import Stage
from tests.core.parts import Bench, Tape, folded, token


def two(bench: Bench) -> tuple[Tape, Tape]:
    """Ada and Bob, live and told everything up to roomSeq 3."""
    ada, bob = bench.join("ada"), bench.join("bob")
    bench.tick()
    ada.take()
    bob.take()
    return ada, bob


def played(bench: Bench, tape: Tape, *amounts: int, first: int = 1) -> None:
    """Each addition committed and told by itself."""
    for seq, amount in enumerate(amounts, first):
        bench.add(tape, seq, amount)
        bench.commit()
        bench.tick()


def test_a_choked_link_gets_its_answers_and_nothing_else() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    bench.say(bob, 1, "hello?")
    played(bench, bob, 2, first=2)
    bench.add(ada, 1, 1)
    bench.add(ada, 3)
    bench.commit()
    bench.tick()
    assert [("event.reject", "gap"), ("event.ack", "intent")] == [
        (kind, body.get("code") or body["kind"]) for kind, body in ada.take()
    ]
    assert ["event.chat", "intent", "intent", "delta", "volatile", "delta"] == bob.kinds()


def test_when_it_has_read_it_gets_the_events_missed_then_one_delta_and_is_live() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    bench.say(bob, 1, "one")
    played(bench, bob, 3, 5, 7, first=2)
    bench.say(bob, 5, "two")
    bench.drain(ada)
    assert [] == ada.take()
    bench.commit()
    bench.tick()
    (_, one), (_, two_), (_, delta) = ada.take()
    assert ["one", "two"] == [one["text"], two_["text"]]
    assert (3, 8, [{"total": 15, "people": {"bob": {"coins": 15}}}]) == (
        delta["baseSeq"],
        delta["roomSeq"],
        delta["patches"],
    )
    assert 1 == bench.conflations
    played(bench, bob, 1, first=6)
    (live,) = (body for _, body in ada.take())
    assert (8, 9) == (live["baseSeq"], live["roomSeq"])


def test_an_event_that_it_was_sent_before_is_not_sent_again() -> None:
    """Events go out at their commit, deltas at the tick after: the lag may begin between the two."""
    bench = Bench()
    ada, bob = two(bench)
    bench.say(bob, 1, "heard")
    bench.commit()
    bench.say(bob, 2, "at the gate")
    bench.choke(ada)
    bench.commit()
    bench.tick()
    bench.drain(ada)
    bench.commit()
    heard = ada.take()
    assert ["heard", "at the gate"] == [body["text"] for kind, body in heard if kind == "event.chat"]
    assert [(3, 5)] == [(body["baseSeq"], body["roomSeq"]) for kind, body in heard if kind == "event.state_delta"]


def test_an_event_that_is_durable_and_not_out_yet_is_one_it_missed() -> None:
    """The gate opens after the commit, and not always at once."""
    bench = Bench()
    ada, bob = two(bench)
    bench.say(bob, 1, "durable")
    bench.room.commit(4)
    bench.room.choked(ada, bench.now_ms)
    bench.commit()
    assert [] == ada.take()
    bench.drain(ada)
    assert ["event.chat", "delta"] == ada.kinds()


def test_the_volatile_values_of_now_come_behind_what_it_missed() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    played(bench, bob, 1, 2)
    bench.drain(ada)
    assert ["delta", "volatile"] == ada.kinds()


def test_what_memory_has_forgotten_meanwhile_makes_it_a_snapshot() -> None:
    bench = Bench(history_entries_max=3)
    ada, bob = two(bench)
    bench.choke(ada)
    played(bench, bob, 1, 3, 5, 7)
    bench.drain(ada)
    ((_, snapshot),) = ada.take()
    assert ("snapshot", 7, folded(bench.journal)) == (snapshot["kind"], snapshot["roomSeq"], snapshot["state"])
    assert 1 == bench.conflations
    played(bench, bob, 1, first=5)
    assert ["delta"] == ada.kinds()


def test_a_lag_in_which_nothing_happened_leaves_nothing_to_say() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    bench.drain(ada)
    assert ([], 0) == (ada.take(), bench.conflations)
    played(bench, bob, 1)
    assert ["delta"] == ada.kinds()


def test_what_catches_it_up_waits_for_the_commit_like_everything() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    bench.add(bob, 1, 3)
    bench.drain(ada)
    bench.tick()
    assert [] == ada.take()
    bench.commit()
    assert ["delta"] == ada.kinds()


def test_it_is_closed_when_it_lags_too_long_and_once() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    bench.now_ms += int(LAG_S * 1000) - 1
    bench.sweep()
    assert (None, []) == (ada.closed, ada.take())
    bench.now_ms += 1
    bench.sweep()
    bench.sweep()
    assert (4507, [("event.session", {"status": "terminating", "reason": "too slow"})]) == (ada.closed, ada.take())
    bench.choke(ada)
    bench.now_ms += 10_000
    bench.sweep()
    played(bench, bob, 1)
    bench.drop(ada)
    assert bench.seat("ada").held_until_ms == bench.now_ms + 60_000, "it may come back"


def test_a_closed_one_is_owed_nothing_and_closed_no_second_time() -> None:
    """Neither by the wait for its resume, nor by the connection that comes in its place."""
    bench = Bench()
    bench.drop(bench.join("ada", resumes=True))
    ada = bench.come_back("ada", "ada 0", "ada 1")
    bench.commit()
    bench.choke(ada)
    bench.now_ms += 10_000
    bench.sweep()
    assert 4507 == ada.closed
    ada.take()
    bench.sweep()
    bench.dial("ada", token("ada 1"), token("ada 2"))
    bench.commit()
    assert [] == ada.take()


def test_who_reads_on_has_more_time_and_who_stops_has_not() -> None:
    bench = Bench()
    ada, _ = two(bench)
    ada.waiting = 10 * LAG_READ_BYTES_MIN
    bench.choke(ada)
    for _ in range(3):
        ada.waiting -= LAG_READ_BYTES_MIN
        bench.now_ms += int(LAG_S * 1000)
        bench.sweep()
        assert None is ada.closed
    ada.waiting -= LAG_READ_BYTES_MIN - 1
    bench.now_ms += int(LAG_S * 1000)
    bench.sweep()
    assert 4507 == ada.closed


def test_its_time_begins_anew_with_each_lag() -> None:
    bench = Bench()
    ada, _ = two(bench)
    for _ in range(3):
        bench.choke(ada)
        bench.now_ms += int(LAG_S * 1000) - 1
        bench.sweep()
        bench.drain(ada)
    assert None is ada.closed


def test_a_resume_of_a_lagging_link_is_answered_when_it_has_read_from_where_it_said() -> None:
    """Its own word counts: what the server sent is not what the client has applied."""
    bench = Bench()
    ada, bob = two(bench)
    played(bench, bob, 1)
    ada.take()
    bench.choke(ada)
    played(bench, bob, 3, first=2)
    bench.resume(ada, 3)
    bench.commit()
    assert [] == ada.take()
    bench.drain(ada)
    (_, ack), (_, delta) = ada.take()
    assert ("resume", True) == (ack["kind"], ack["recovered"])
    assert (3, 5, [{"total": 4, "people": {"bob": {"coins": 4}}}]) == (
        delta["baseSeq"],
        delta["roomSeq"],
        delta["patches"],
    )


def test_a_resume_while_the_merged_delta_waits_for_its_commit_takes_its_place() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    bench.add(bob, 1, 1)
    bench.drain(ada)
    bench.resume(ada, 2)
    bench.commit()
    bench.tick()
    assert ["resume", "delta"] == ada.kinds()
    assert 0 == bench.conflations


def test_a_link_whose_snapshot_chokes_it_lags_from_that_snapshot() -> None:
    bench = Bench()
    bob = bench.join("bob")
    ada = bench.arrive("ada")
    bench.commit()
    bench.answer(ada)
    bench.choke(ada)
    assert Stage.LAGGING is ada.stage
    ada.take()
    played(bench, bob, 3)
    assert [] == ada.take()
    bench.drain(ada)
    ((_, delta),) = ada.take()
    assert (3, 4) == (delta["baseSeq"], delta["roomSeq"])


def test_a_link_choked_before_it_is_welcome_lags_from_where_it_is_brought() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.say(bob, 1, "one")
    bench.resume(ada, 3)
    bench.choke(ada)
    bench.say(bob, 2, "two")
    bench.commit()
    bench.tick()
    assert (["resume", "event.chat", "delta"], Stage.LAGGING) == (ada.kinds(), ada.stage)
    bench.drain(ada)
    (_, line), (_, delta) = ada.take()
    assert ("two", 4, 5) == (line["text"], delta["baseSeq"], delta["roomSeq"])


@pytest.mark.parametrize("end", ["leave", "drop"])
def test_a_lagging_session_may_end(end: str) -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    played(bench, bob, 1)
    if end == "leave":
        bench.leave("ada")
    else:
        bench.drop(ada)
    bench.drain(ada)
    bench.commit()
    bench.tick()
    assert ([], 4000 if end == "leave" else None) == (ada.take(), ada.closed)


def test_a_message_about_the_server_reaches_a_lagging_link() -> None:
    bench = Bench()
    ada, _ = two(bench)
    bench.choke(ada)
    bench.room.announce(b"\x0d\xa1a\xc0")
    bench.settle()
    assert [("a", None)] == ada.take()


def test_nobody_else_is_sent_anything_more_or_later() -> None:
    """Beside a room without a lagging link, the others hear the same."""
    heard = []
    for is_slow in (False, True):
        bench = Bench()
        ada, bob = two(bench)
        if is_slow:
            bench.choke(ada)
        played(bench, bob, 1, 2, 3)
        bench.say(bob, 4, "line")
        if is_slow:
            bench.drain(ada)
        bench.commit()
        bench.tick()
        heard.append(bob.take())
    assert heard[0] == heard[1]


def test_a_room_set_back_goes_on_from_where_a_lagging_link_stands() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    played(bench, bob, 3)
    bench.add(bob, 2, 5)
    bench.stand_still()
    bench.go_on()
    assert [] == ada.take()
    bench.add(bob, 3, 7)
    bench.drain(ada)
    bench.commit()
    bench.tick()
    ((_, delta),) = ada.take()
    assert (3, 5, 10) == (delta["baseSeq"], delta["roomSeq"], delta["patches"][0]["total"])


def test_a_link_that_has_read_while_its_room_stands_still_is_caught_up_when_it_goes_on() -> None:
    bench = Bench()
    ada, bob = two(bench)
    bench.choke(ada)
    played(bench, bob, 3)
    bench.add(bob, 2, 5)
    bench.stand_still()
    bench.drain(ada)
    assert [] == ada.take()
    bench.go_on()
    ((_, delta),) = ada.take()
    assert (3, 4, 3) == (delta["baseSeq"], delta["roomSeq"], delta["patches"][0]["total"])
    played(bench, bob, 7, first=3)
    assert ["delta"] == ada.kinds()
