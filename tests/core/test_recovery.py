"""Recovery: what the journal says of a room, and what only a snapshot does."""

import msgspec
import pytest

from contracts.limits import HISTORY_ENTRIES_MAX, OUTCOMES_IN_SNAPSHOT_MAX
from server.core.recovery import snapshot_of
from server.core.state import StateError, plain
from server.core.tokens import Dial
from tests.core.parts import LIMITS, REFUSED, UNPACED, Bench, Tape, Yard, token


def activated(bench: Bench) -> Bench:
    bench.room.drop_unconnected(bench.now_ms, bench.random)
    bench.commit()
    return bench


def test_what_was_connected_is_dropped_at_an_activation_its_hold_starting_then() -> None:
    bench = Bench()
    bench.join("ada")
    bench.now_ms += 3_600_000
    taken = activated(bench.take_over())
    assert ("session.drop", 2) == (taken.journal[-1].kind, taken.journal[-1].epoch)
    assert bench.now_ms + LIMITS.hold_ms == taken.seat("ada").held_until_ms
    taken.sweep()
    assert taken.room.seats.get("ada") is not None


@pytest.mark.parametrize("by_snapshot", [False, True])
def test_what_was_held_keeps_its_deadline_and_is_not_dropped_again(by_snapshot: bool) -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    bench.commit()
    dropped_at_ms, entries = bench.now_ms, len(bench.journal)
    bench.now_ms += 50_000
    taken = activated(bench.take_over(snapshot_of(bench.room, 0) if by_snapshot else None))
    assert entries == len(taken.journal)
    assert dropped_at_ms + LIMITS.hold_ms == taken.seat("ada").held_until_ms
    taken.now_ms += 10_000
    taken.sweep()
    assert taken.room.seats.get("ada") is None


def test_a_resent_intent_that_was_durable_is_a_duplicate_with_the_same_room_seq() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bench.add(ada, 1, 5)
    bench.commit()
    ((_, acked), *_) = [heard for heard in ada.take() if heard[0] == "event.ack" and heard[1]["kind"] == "intent"]
    taken = activated(bench.take_over())
    back = taken.come_back("ada", "ada 0", "ada 1")
    taken.commit()
    back.take()
    assert "duplicate" == taken.add(back, 1, 5)
    ((_, again),) = back.take()
    assert {**acked, "status": "duplicate"} == again
    assert 5 == taken.room.rules.state.total


def test_what_was_not_durable_never_was() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bench.add(ada, 1, 5)
    taken = activated(bench.take_over())
    assert 0 == taken.room.rules.state.total
    back = taken.come_back("ada", "ada 0", "ada 1")
    taken.commit()
    assert "applied" == taken.add(back, 1, 5)


def test_a_client_resumes_across_a_take_over_with_what_it_missed() -> None:
    bench = Bench()
    ada, bob = bench.join("ada", resumes=True), bench.join("bob")
    bench.say(bob, 1, "before")
    bench.commit()
    taken = activated(bench.take_over())
    back = taken.come_back("ada", "ada 0", "ada 1")
    taken.commit()
    back.take()
    taken.resume(back, 2, epoch=1)
    kinds = [body.get("kind", body.get("text")) for _, body in back.take()]
    assert ["resume", "before", "delta"] == kinds
    assert ada.closed is None


def test_rejects_are_in_snapshots_and_not_in_the_journal() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bench.add(ada, 1, REFUSED)
    bench.commit()
    snapshot = snapshot_of(bench.room, 0)
    by_journal, by_snapshot = (activated(bench.take_over(each)) for each in (None, snapshot))
    assert 0 == by_journal.seat("ada").sequence.last
    assert 1 == by_snapshot.seat("ada").sequence.last
    back = by_snapshot.come_back("ada", "ada 0", "ada 1")
    by_snapshot.commit()
    back.take()
    assert "duplicate" == by_snapshot.add(back, 1)
    by_snapshot.commit()
    assert ["illegal"] == [body["code"] for _, body in back.take() if "code" in body]


def test_a_snapshot_holds_the_newest_outcomes_of_each_session() -> None:
    bench = Bench(room_limits=UNPACED)
    ada = bench.join("ada")
    for seq in range(1, OUTCOMES_IN_SNAPSHOT_MAX + 11):
        bench.add(ada, seq)
    bench.commit()
    sequence = bench.take_over(snapshot_of(bench.room, 0)).seat("ada").sequence
    assert list(range(11, OUTCOMES_IN_SNAPSHOT_MAX + 11)) == list(sequence.recent(10**6))


def test_both_tokens_of_an_unanswered_return_count_after_a_crash() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    assert isinstance(bench.dial("ada", token("ada 0"), token("ada 1")), Tape)
    bench.commit()
    for came_with in ("ada 0", "ada 1"):
        assert Dial.ACCEPTED is activated(bench.take_over()).room.dial("ada", token(came_with), token("ada 2"))


def test_a_used_token_is_dead_after_a_crash_too_once_its_session_was_dropped() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    bench.drop(bench.come_back("ada", "ada 0", "ada 1"))
    bench.commit()
    assert Dial.UNKNOWN is activated(bench.take_over()).room.dial("ada", token("ada 0"), token("ada 2"))


def test_volatile_values_begin_at_their_defaults() -> None:
    bench = Bench()
    bench.add(bench.join("ada"), 1, amount=2)
    bench.commit()
    assert not bench.take_over().room.rules.state.people["ada"].typing


def test_the_history_of_a_long_journal_stays_within_its_bounds() -> None:
    bench = Bench(room_limits=UNPACED)
    ada = bench.join("ada")
    for seq in range(1, HISTORY_ENTRIES_MAX + 100):
        bench.add(ada, seq)
    bench.commit()
    history = bench.take_over().room.output.history
    assert HISTORY_ENTRIES_MAX == history.last_seq - history.base_seq


def test_a_snapshot_of_a_room_claimed_again_has_the_epoch_of_the_journal() -> None:
    bench = Bench()
    taken = bench.take_over()
    assert (2, 1) == (taken.room.epoch, snapshot_of(taken.room, 0).epoch)


def test_a_recovered_room_owes_nobody_what_was_before() -> None:
    bench = Bench()
    bench.join("ada")
    taken = bench.take_over()
    assert (False, []) == (taken.room.output.has_unsent, taken.room.take_entries())
    assert taken.room.room_seq == taken.room.output.durable_seq


def test_a_state_that_the_code_cannot_hold_is_refused() -> None:
    bench = Bench()
    snapshot = msgspec.structs.replace(snapshot_of(bench.room, 0), state=b'{"total":"many"}')
    with pytest.raises(StateError):
        bench.take_over(snapshot)


def test_recovery_runs_no_game_code() -> None:
    class Silent(Yard):
        def on_join(self, *given: object) -> None:
            raise AssertionError("ran")

        on_create = on_drop = on_reconnect = on_leave = on_join

    bench = Bench()
    ada = bench.join("ada")
    bench.add(ada, 1, 3)
    bench.drop(ada)
    bench.commit()
    assert plain(bench.room.rules.state) == plain(bench.take_over(rules=Silent()).room.rules.state)
