"""What never became durable: it is undone, said to be so, and nothing that stays is forgotten."""

from typing import Any

from contracts.limits import OUTCOMES_MAX
from server.core.colyseus.frames import error
from server.core.effects import LookUp
from server.core.tokens import Dial
from tests.core.parts import REFUSED, UNPACED, Bench, Tape, token


def rejects(tape: Tape) -> dict[int, str]:
    """By number: the code that was heard."""
    return {body["seq"]: body["code"] for kind, body in tape.take() if kind == "event.reject"}


def set_back(bench: Bench, room_seq: int) -> None:
    bench.room.roll_back(room_seq)
    bench.journal = [entry for entry in bench.journal if entry.room_seq <= room_seq]
    bench.settle()


def go_on(bench: Bench) -> Bench:
    """Rebuilt from the journal, in place."""
    rebuilt = bench.take_over()
    rebuilt.room.adopt(bench.room, bench.now_ms, bench.random)
    rebuilt.commit()
    return rebuilt


def test_what_was_applied_too_far_is_rejected_and_what_is_durable_acked() -> None:
    bench = Bench()
    ada = bench.join("ada")
    ada.take()
    for seq in (1, 2, 3):
        bench.add(ada, seq)
    bench.commit(3)
    set_back(bench, 3)
    heard: list[Any] = [(body["seq"], body.get("code") or body["status"]) for kind, body in ada.take() if "seq" in body]
    assert [(1, "applied"), (2, "not_durable"), (3, "not_durable")] == heard


def test_numbers_that_are_no_longer_remembered_are_rejected_like_the_others() -> None:
    bench = Bench(room_limits=UNPACED)
    ada = bench.join("ada")
    numbers = range(1, OUTCOMES_MAX + 10)
    for seq in numbers:
        bench.add(ada, seq)
    ada.take()
    set_back(bench, 2)
    assert dict.fromkeys(numbers, "not_durable") == rejects(ada)


def test_what_the_journal_was_asked_is_asked_again() -> None:
    bench = Bench(room_limits=UNPACED)
    ada = bench.join("ada")
    for seq in range(1, OUTCOMES_MAX + 2):
        bench.add(ada, seq)
    bench.commit()
    durable_seq = bench.room.room_seq
    bench.add(ada, 1)
    question = bench.look_ups.pop()
    bench.add(ada, OUTCOMES_MAX + 2)
    bench.room.looked_up(ada, 1, 3, None)
    ada.take()
    set_back(bench, durable_seq)
    assert [LookUp(ada, "ada", 1, None)] == [question] == bench.look_ups


def test_a_reject_that_rests_on_what_is_undecided_waits_for_it() -> None:
    bench = Bench()
    ada, bob = bench.join("ada"), bench.join("bob")
    bench.add(ada, 1)
    bench.add(ada, 2, REFUSED)
    bench.add(bob, 1)
    bench.add(ada, 2, REFUSED)
    ada.take()
    set_back(bench, 4)
    assert {} == rejects(ada)
    bench.commit(4)
    assert {2: "illegal"} == rejects(ada)


def test_what_was_not_shown_yet_is_shown_by_the_room_that_goes_on() -> None:
    bench = Bench()
    ada, bob = bench.join("ada"), bench.join("bob")
    bench.add(ada, 1)
    bench.leave("bob")
    durable_seq = bench.room.room_seq
    bench.add(ada, 2)
    ada.take()
    # Nothing may be shown: the lease has lapsed.
    bench.room.commit(durable_seq)
    bench.room.roll_back(durable_seq)
    bench.room.take_effects(bench.now_ms, may_show=False)
    bench.journal = bench.journal[:durable_seq]
    go_on(bench)
    acked = [(body["seq"], body["status"]) for _, body in ada.take() if body.get("kind") == "intent"]
    assert ([(1, "applied")], 4000) == (acked, bob.closed)


def test_who_is_turned_away_hears_why_once_that_is_durable() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bench.drop(ada)
    bench.leave("ada")
    stranger = Tape()
    bench.room.turn_away(stranger, error(524, "no"), 4003, "no")
    bench.settle()
    assert stranger.closed is None
    bench.commit()
    assert 4003 == stranger.closed


def test_who_was_turned_away_for_what_never_was_may_come_again() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    bench.commit()
    durable_seq = bench.room.room_seq
    bench.leave("ada")
    stranger = Tape()
    bench.room.turn_away(stranger, error(524, "no"), 4003, "no")
    set_back(bench, durable_seq)
    assert 4010 == stranger.closed


def test_the_end_of_a_connection_that_never_was_is_not_the_end_of_the_one_that_is() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    bench.commit()
    durable_seq = bench.room.room_seq
    undone = bench.dial("ada", token("ada 0"), token("ada 1"))
    assert isinstance(undone, Tape)
    set_back(bench, durable_seq)
    bench = go_on(bench)
    assert 4010 == undone.closed
    bench.come_back("ada", "ada 0", "ada 2")
    bench.drop(undone)
    bench.commit()
    assert "session.reconnect" == bench.journal[-1].kind


def test_a_token_that_was_used_stays_used_for_who_drops_while_the_room_stands_still() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    ada = bench.come_back("ada", "ada 0", "ada 1")
    bench.commit()
    durable_seq = bench.room.room_seq
    bench.add(ada, 1)
    set_back(bench, durable_seq)
    bench.drop(ada)
    bench = go_on(bench)
    assert Dial.UNKNOWN is bench.dial("ada", token("ada 0"), token("ada 2"))
    assert isinstance(bench.dial("ada", token("ada 1"), token("ada 2")), Tape)


def test_a_token_that_was_used_stays_used_when_the_next_connection_never_was() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    bench.come_back("ada", "ada 0", "ada 1")
    bench.commit()
    durable_seq = bench.room.room_seq
    bench.dial("ada", token("ada 1"), token("ada 2"))
    set_back(bench, durable_seq)
    bench = go_on(bench)
    assert Dial.UNKNOWN is bench.dial("ada", token("ada 0"), token("ada 3"))
    assert isinstance(bench.dial("ada", token("ada 1"), token("ada 3")), Tape)
