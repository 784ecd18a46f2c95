"""
Sessions of a room, as transcripts: who is given what, in which order, and never before it is durable.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec
import pytest

from contracts.codes import RejectCode
from contracts.limits import HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX
from server.core.colyseus.frames import room_data
from server.core.history import History
from server.core.membership import Membership, Player
from server.core.reject import Reject, illegal
from server.core.room import Room
from server.core.state import plain
from server.core.step import Step
from server.core.tokens import Dial
from tests.core.parts import FAILING, LIMITS, Bench, CharacterYard, Tape, Yard, folded, token

MEMBER = Membership("eve", Player("player-eve", "Eve", "player"))


def try_join(bench: Bench, **options: str) -> Reject | None:
    return bench.room.join(Tape(), MEMBER, options, None, token("eve 0"), b"\x0a", bench.now_ms, bench.random)


def test_a_join_is_confirmed_once_durable_and_the_snapshot_comes_right_after_the_join_byte() -> None:
    bench = Bench()
    ada = bench.arrive("ada")
    assert [] == ada.take()
    bench.commit()
    assert ["JOIN_ROOM"] == ada.kinds()
    bench.tick()
    assert [] == ada.take()

    bench.answer(ada)
    (_, handshake), (_, snapshot), hello = ada.take()
    assert {
        "kind": "handshake",
        "sessionId": "ada",
        "playerId": "player-ada",
        "protocolVersion": "1",
        "lastSeq": 0,
        "roomSeq": 2,
        "epoch": 1,
        "permissions": ["room.join", "room.act", "room.chat"],
        "intentRate": 20.0,
        "intentBurst": 40,
        "serverTime": 1_000_000.0,
        "heartbeatMs": 20_000,
    } == handshake
    assert ("snapshot", 2, 1) == (snapshot["kind"], snapshot["roomSeq"], snapshot["epoch"])
    assert folded(bench.journal) == snapshot["state"]
    assert ("yard.hello", {"to": "Ada", "roomSeq": 2, "n": 0}) == hello


def test_a_first_join_gets_its_snapshot_at_once_also_if_it_resumes() -> None:
    bench = Bench()
    ada = bench.arrive("ada", resumes=True)
    bench.commit()
    bench.answer(ada)
    assert ["JOIN_ROOM", "handshake", "snapshot", "yard.hello"] == ada.kinds()


def test_what_is_said_between_a_join_and_its_join_byte_is_not_lost() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bob = bench.arrive("bob")
    bench.say(ada, 1, "hello, Bob")
    bench.commit()
    bench.answer(bob)
    assert ["JOIN_ROOM", "handshake", "snapshot", "yard.hello", "event.chat"] == bob.kinds()


def test_a_refusal_that_waits_for_no_commit_waits_for_the_handshake_of_who_came_back() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bench.drop(ada)
    bench.commit()
    back = bench.dial("ada", token("ada 0"), token("ada 1"))
    assert isinstance(back, Tape)
    bench.commit()
    bob = bench.join("bob")
    assert ["JOIN_ROOM"] == back.kinds()
    bench.say(bob, 1, "not durable yet")
    bench.answer(back)
    bench.room.refusal = Reject(RejectCode.OVERLOADED, "behind")
    assert ["gap", "invalid", "overloaded"] == [bench.add(back, 9), bench.ask(back, "nonsense", {}), bench.add(back, 1)]
    assert [] == back.kinds()
    bench.commit()
    assert ["handshake", "snapshot", "event.reject", "event.reject", "event.reject"] == back.kinds()


def test_a_second_join_byte_says_nothing() -> None:
    bench = Bench()
    ada = bench.join("ada")
    ada.take()
    bench.answer(ada)
    bench.commit()
    assert [] == ada.take()


def test_a_newcomer_is_a_boundary_the_others_get_their_delta_first_and_all_go_on_from_there() -> None:
    bench = Bench()
    ada = bench.join("ada")
    ada.take()
    bob = bench.arrive("bob")
    bench.commit()
    bench.add(ada, 1)
    bench.answer(bob)
    bench.commit()
    assert [("delta", 2, 4)] == [(b["kind"], b["baseSeq"], b["roomSeq"]) for t, b in ada.take() if "baseSeq" in b]
    assert 4 == bob.take()[2][1]["roomSeq"]
    bench.add(ada, 2)
    bench.commit()
    bench.tick()
    (_, for_ada), (_, for_bob) = ada.take()[-1], bob.take()[-1]
    assert ("delta", 4, 5) == (for_bob["kind"], for_bob["baseSeq"], for_bob["roomSeq"])
    assert for_ada == for_bob


def test_a_full_room_takes_nobody_and_a_held_seat_counts() -> None:
    bench = Bench()
    tapes = [bench.join(name) for name in ("ada", "bob", "cyd")]
    bench.drop(tapes[0])
    bench.commit()
    before = len(bench.journal), plain(bench.room.rules.state)
    refused = try_join(bench)
    assert refused is not None
    assert "overloaded" == refused.code
    bench.settle()
    assert before == (len(bench.journal), plain(bench.room.rules.state))


def test_a_join_that_the_rules_refuse_leaves_nothing_behind() -> None:
    bench = Bench()
    refused = try_join(bench, password="wrong")
    assert refused is not None
    assert "illegal" == refused.code
    bench.settle()
    assert (1, 0) == (len(bench.journal), len(bench.room.seats))


def test_a_dropped_session_is_held_and_the_drop_is_an_entry() -> None:
    bench = Bench()
    ada, bob = bench.join("ada"), bench.join("bob")
    bob.take()
    bench.drop(ada)
    assert bench.now_ms + LIMITS.hold_ms == bench.seat("ada").held_until_ms
    assert "session.drop" == bench.journal[-1].kind
    bench.commit()
    bench.tick()
    ((_, delta),) = bob.take()
    assert [{"people": {"ada": {"connected": False}}}] == delta["patches"]


def test_a_link_that_is_gone_is_sent_nothing_more() -> None:
    bench = Bench()
    ada = bench.join("ada")
    ada.take()
    bench.add(ada, 1)
    bench.drop(ada)
    bench.commit()
    bench.tick()
    assert [] == ada.take()


def test_a_socket_that_ends_twice_or_after_another_came_holds_nothing() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bench.drop(ada)
    again = bench.come_back("ada", "ada 0", "ada 1")
    bench.commit()
    entries = len(bench.journal)
    bench.drop(ada)
    assert (entries, again) == (len(bench.journal), bench.seat("ada").link)


def test_a_held_session_comes_back_with_its_token_and_goes_on() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bench.add(ada, 1)
    bench.drop(ada)
    bench.commit()
    back = bench.dial("ada", token("ada 0"), token("ada 1"))
    assert isinstance(back, Tape)
    assert [] == back.take()
    bench.commit()
    bench.answer(back)
    (first, _), (_, handshake), (_, snapshot), *_ = back.take()
    assert ("JOIN_ROOM", 1, "snapshot") == (first, handshake["lastSeq"], snapshot["kind"])
    assert snapshot["state"]["people"]["ada"]["connected"]
    assert bench.seat("ada").held_until_ms is None


def test_a_newer_connection_replaces_the_older_which_is_closed_4501_at_once() -> None:
    bench = Bench()
    ada = bench.join("ada")
    ada.take()
    newer = bench.dial("ada", token("ada 0"), token("ada 1"))
    assert isinstance(newer, Tape)
    assert [("event.session", {"status": "terminating", "reason": "replaced"})] == ada.take()
    assert 4501 == ada.closed
    assert "terminating" == bench.add(ada, 1)
    bench.commit()
    assert [] == ada.take()


def test_of_a_hundred_dials_with_one_token_one_wins() -> None:
    bench = Bench()
    ada = bench.join("ada")
    dials = [bench.dial("ada", token("ada 0"), token(f"ada {n}")) for n in range(1, 101)]
    assert [Dial.BUSY] * 99 == dials[1:]
    winner = dials[0]
    assert isinstance(winner, Tape)
    assert 4501 == ada.closed
    bench.commit()
    bench.answer(winner)
    assert Dial.UNKNOWN is bench.dial("ada", token("ada 0"), token("late"))
    assert isinstance(bench.dial("ada", token("ada 1"), token("next")), Tape)


def test_a_token_of_nobody_is_unknown() -> None:
    bench = Bench()
    bench.join("ada")
    assert Dial.UNKNOWN is bench.dial("bob", token("ada 0"), token("x"))
    assert Dial.UNKNOWN is bench.dial("ada", token("bob 0"), token("x"))


def test_a_lost_join_room_and_a_lost_join_byte_lock_nobody_out() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    unanswered = bench.dial("ada", token("ada 0"), token("ada 1"))
    assert isinstance(unanswered, Tape)
    bench.commit()
    bench.drop(unanswered)
    assert (token("ada 0"), token("ada 1")) == bench.seat("ada").tokens.counting
    assert isinstance(bench.dial("ada", token("ada 1"), token("ada 2")), Tape)


def test_what_counts_after_a_drop_is_journaled_with_it() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    back = bench.come_back("ada", "ada 0", "ada 1")
    bench.drop(back)
    assert [token("ada 0"), token("ada 0"), token("ada 0") + token("ada 1"), token("ada 1")] == [
        entry.tokens for entry in bench.journal if entry.tokens is not None
    ]


def test_who_leaves_gets_a_last_delta_without_itself_and_its_close_once_that_is_durable() -> None:
    bench = Bench()
    ada, bob = bench.join("ada"), bench.join("bob")
    ada.take(), bob.take()
    bench.leave("ada")
    assert ([], None) == (ada.take(), ada.closed)
    bench.commit()
    assert 4000 == ada.closed
    ((_, delta),) = ada.take()
    assert [{"people": {"ada": None}}] == delta["patches"]
    assert [delta] == [body for _, body in bob.take()]
    assert bench.room.seats.get("ada") is None
    assert Dial.UNKNOWN is bench.dial("ada", token("ada 0"), token("x"))


def test_the_socket_of_a_session_that_left_ends_without_an_entry() -> None:
    """Else its drop would stand behind its leave, and the journal could not be read again."""
    bench = Bench()
    ada = bench.join("ada")
    bench.leave("ada")
    entries = len(bench.journal)
    bench.drop(ada)
    bench.commit()
    assert entries == len(bench.journal)
    assert 0 == len(bench.take_over().room.seats)


def test_a_session_ends_once() -> None:
    bench = Bench()
    bench.join("ada")
    seat = bench.seat("ada")
    for _ in range(2):
        bench.room.leave(seat, 4000, "consented", bench.now_ms, bench.random)
    bench.settle()
    assert ["session.leave"] == [entry.kind for entry in bench.journal if entry.kind == "session.leave"]
    assert not bench.room.is_broken


def test_a_hold_ends_at_its_deadline_with_a_leave() -> None:
    bench = Bench()
    bench.drop(bench.join("ada"))
    bench.now_ms += LIMITS.hold_ms - 1
    bench.sweep()
    assert "session.drop" == bench.journal[-1].kind
    bench.now_ms += 1
    bench.sweep()
    assert "session.leave" == bench.journal[-1].kind
    assert {"reason": "expired"} == msgspec.json.decode(bench.journal[-1].intent or b"")
    assert {"total": 0, "people": {}} == plain(bench.room.rules.state)


def test_an_idle_session_is_ended_final_delta_event_session_4503() -> None:
    bench = Bench()
    ada = bench.join("ada")
    ada.take()
    bench.now_ms += LIMITS.idle_ms - 1
    bench.sweep()
    bench.now_ms += 1
    bench.sweep()
    bench.commit()
    (_, delta), (last, words) = ada.take()
    assert ([{"people": {"ada": None}}], "event.session") == (delta["patches"], last)
    assert ({"status": "terminating", "reason": "idle"}, 4503) == (words, ada.closed)


def test_who_was_heard_of_is_not_idle() -> None:
    bench = Bench()
    bench.join("ada")
    bench.now_ms += LIMITS.idle_ms - 1
    bench.seat("ada").active_at_ms = bench.now_ms
    bench.now_ms += LIMITS.idle_ms - 1
    bench.sweep()
    assert bench.room.seats.get("ada") is not None


def test_a_character_is_taken_with_the_join_and_given_back_with_the_leave() -> None:
    bench = Bench(CharacterYard())
    ada = bench.join("ada")
    bench.add(ada, 1, amount=2)
    bench.leave("ada")
    moves = [(entry.kind, entry.character) for entry in bench.journal if entry.character is not None]
    (join, taken), (leave, given_back) = moves
    assert ("session.join", "take", "player-ada", None) == (join, taken.kind, taken.player_id, taken.profile)
    assert ("session.leave", "give_back", "player-ada") == (leave, given_back.kind, given_back.player_id)
    assert {"coins": 7} == msgspec.json.decode(given_back.profile or b"")


def test_a_room_without_characters_moves_none() -> None:
    bench = Bench()
    bench.join("ada")
    bench.leave("ada")
    assert not [entry for entry in bench.journal if entry.character is not None]


# -- a room that breaks ------------------------------------------------------------------------------------------------


def test_a_step_that_raises_is_rejected_internal_before_everyone_is_told_to_come_back() -> None:
    bench = Bench()
    ada, bob = bench.join("ada"), bench.join("bob")
    bench.add(bob, 1, amount=5)
    ada.take(), bob.take()
    assert "internal" == bench.add(ada, 1, FAILING)
    assert bench.room.is_broken
    assert isinstance(bench.room.bug, RuntimeError)
    assert ([], None) == (ada.take(), ada.closed)
    bench.commit()
    assert ["event.reject", "delta", "event.session"] == ada.kinds()
    assert ["intent", "delta", "event.session"] == bob.kinds()
    assert (4010, 4010) == (ada.closed, bob.closed)


class Sly(Yard):
    """Changes something and then refuses."""

    def on_join(self, step: Step, options: Mapping[str, Any]) -> Reject | None:
        self.state.total += 1
        return illegal("No.")


class Clumsy(Yard):
    """Fails at whatever a test asks it to fail at."""

    fails_at = ""

    def on_create(self, step: Step, options: Mapping[str, Any]) -> None:
        self._do("create")

    def on_join(self, step: Step, options: Mapping[str, Any]) -> Reject | None:
        self._do("join")
        return super().on_join(step, options)

    def on_drop(self, step: Step) -> None:
        self._do("drop")
        super().on_drop(step)

    def on_reconnect(self, step: Step) -> None:
        self._do("reconnect")
        super().on_reconnect(step)

    def on_leave(self, step: Step) -> None:
        self._do("leave")
        super().on_leave(step)

    def _do(self, what: str) -> None:
        if what == self.fails_at:
            self.state.total = 666
            raise RuntimeError(what)


def fail(bench: Bench, at: str, ada: Tape) -> None:
    rules = bench.room.rules
    assert isinstance(rules, Clumsy)
    rules.fails_at = at
    if at == "join":
        assert try_join(bench) is not None
    elif at == "drop":
        bench.drop(ada)
    elif at == "reconnect":
        bench.dial("ada", token("ada 0"), token("ada 1"))
    else:
        bench.leave("ada")
    bench.settle()


@pytest.mark.parametrize("at", ["join", "drop", "reconnect", "leave"])
def test_a_broken_room_writes_nothing_more_and_takes_nothing_more(at: str) -> None:
    bench = Bench(Clumsy())
    ada, bob = bench.join("ada"), bench.join("bob")
    bench.commit()
    entries = len(bench.journal)
    fail(bench, at, ada)
    assert bench.room.is_broken
    room, seat = bench.room, bench.seat("bob")
    assert "terminating" == bench.add(bob, 1)
    bench.drop(bob)
    bench.leave("bob")
    bench.resume(bob, 3)
    assert try_join(bench) is not None
    assert Dial.BUSY is room.dial("bob", token("bob 0"), token("bob 1"))
    bench.now_ms += 10**9
    bench.sweep()
    room.drop_unconnected(bench.now_ms, bench.random)
    bench.commit()
    bench.tick()
    assert entries == len(bench.journal)
    assert seat is room.seats.get("bob")
    assert 666 != bench.take_over(rules=Yard()).room.rules.state.total


@pytest.mark.parametrize("at", ["join", "drop", "reconnect", "leave"])
def test_everyone_else_is_told_4010_when_a_room_breaks(at: str) -> None:
    bench = Bench(Clumsy())
    ada, bob = bench.join("ada"), bench.join("bob")
    bob.take()
    fail(bench, at, ada)
    bench.commit()
    assert ["event.session"] == bob.kinds()
    assert 4010 == bob.closed


def test_a_join_byte_after_the_break_shows_nothing_of_what_memory_has() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bob = bench.arrive("bob")
    bench.commit()
    bench.add(ada, 1, FAILING)
    bench.answer(bob)
    bench.commit()
    assert ["JOIN_ROOM", "event.session"] == bob.kinds()


def test_who_waits_to_resume_when_the_room_breaks_gets_no_snapshot_of_what_memory_has() -> None:
    bench = Bench()
    bob = bench.join("bob")
    bench.drop(bench.join("ada", resumes=True))
    ada = bench.come_back("ada", "ada 0", "ada 1")
    bench.commit()
    ada.take()
    bench.add(bob, 1, amount=1)
    bench.add(bob, 2, FAILING)
    bench.now_ms += 10_000
    bench.sweep()
    bench.commit()
    assert ["event.session"] == ada.kinds()


def test_a_step_that_changes_and_refuses_is_a_bug() -> None:
    bench = Bench(Sly())
    refused = try_join(bench)
    assert refused is not None
    assert "internal" == refused.code
    assert bench.room.is_broken


def test_a_creation_that_fails_is_no_room() -> None:
    rules = Clumsy()
    rules.fails_at = "create"
    room = Room("r1", 1, rules, History(0, 1, HISTORY_ENTRIES_MAX, HISTORY_BYTES_MAX), LIMITS)
    with pytest.raises(RuntimeError, match="create"):
        room.create({}, 0, Random(1))
    assert ([], True) == (room.take_entries(), room.is_broken)


# -- all at once -------------------------------------------------------------------------------------------------------


def test_an_announcement_waits_for_no_commit_and_goes_to_whoever_has_joined() -> None:
    bench = Bench()
    ada, bob = bench.join("ada"), bench.arrive("bob")
    ada.take()
    bench.add(ada, 1)
    bench.room.announce(room_data("event.degraded", b"\x80"))
    bench.settle()
    assert ["event.degraded"] == ada.kinds()
    assert [] == bob.take()


def test_closing_all_ends_links_and_not_sessions() -> None:
    bench = Bench()
    ada, bob = bench.join("ada"), bench.join("bob")
    ada.take(), bob.take()
    bench.add(ada, 1)
    bench.room.close_all(4010, "drain")
    bench.settle()
    assert (["event.session"], 4010, 4010) == (ada.kinds(), ada.closed, bob.closed)
    assert 2 == len(bench.room.seats)
    bench.commit()
    assert [] == ada.take()


def test_closing_all_ends_links_whose_last_frames_wait() -> None:
    bench = Bench()
    ada = bench.join("ada")
    bench.leave("ada")
    bench.room.close_all(4010, "the room is elsewhere")
    bench.settle()
    assert 4010 == ada.closed
    bench.commit()
