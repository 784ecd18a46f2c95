"""
Intents, as transcripts: one outcome each, told when it is durable; and everything a client may get wrong.
"""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codes import CloseCode, RejectCode
from contracts.limits import HELD_MAX, OUTCOMES_MAX, UNREADABLE_MAX
from server.core.reject import Reject
from server.core.state import plain
from tests.core.parts import FAILING, REFUSED, UNPACED, UNWRITABLE, Bench, Tape


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def ada(bench: Bench) -> Tape:
    tape = bench.join("ada")
    tape.take()
    return tape


def answers(tape: Tape) -> list[dict]:
    return [body for kind, body in tape.take() if kind in ("event.ack", "event.reject")]


def test_an_intent_is_acked_with_its_room_seq_once_that_is_durable(bench: Bench, ada: Tape) -> None:
    assert "applied" == bench.add(ada, 1)
    bench.tick()
    assert [] == ada.take()
    bench.commit()
    assert [("event.ack", {"kind": "intent", "seq": 1, "roomSeq": 3, "status": "applied"})] == ada.take()
    bench.tick()
    ((_, delta),) = ada.take()
    assert (2, 3, [{"total": 1, "people": {"ada": {"coins": 1}}}]) == (
        delta["baseSeq"],
        delta["roomSeq"],
        delta["patches"],
    )


def test_an_entry_has_the_intent_as_understood_and_the_patch_it_caused(bench: Bench, ada: Tape) -> None:
    bench.ask(ada, "intent.add", {"seq": 1.0, "amount": 2.0, "note": "never asked for"})
    entry = bench.journal[-1]
    assert ("intent.add", 1, 3, 1, b'{"seq":1,"amount":2}') == (
        entry.kind,
        entry.seq,
        entry.room_seq,
        entry.epoch,
        entry.intent,
    )
    assert b'{"total":2,"people":{"ada":{"coins":2}}}' == entry.patch
    assert ("ada", "player-ada", bench.now_ms) == (entry.session_id, entry.player_id, entry.at)


def test_an_event_goes_to_all_also_its_sender_after_the_commit_and_before_the_delta(bench: Bench, ada: Tape) -> None:
    bob = bench.join("bob")
    bob.take(), ada.take()
    bench.say(ada, 1, "  hello  ")
    bench.tick()
    assert [] == bob.take()
    bench.commit()
    bench.tick()
    (_, line), (_, delta) = bob.take()
    said = {"roomSeq": 4, "n": 0, "sessionId": "ada", "name": "Ada", "text": "hello", "at": float(bench.now_ms)}
    assert said == line
    assert ([], 3, 4) == (delta["patches"], delta["baseSeq"], delta["roomSeq"])
    assert ["event.chat", "intent", "delta"] == ada.kinds()


def test_a_tick_right_after_the_commit_still_sends_the_event_first(bench: Bench, ada: Tape) -> None:
    bench.say(ada, 1, "hello")
    bench.room.commit(bench.room.room_seq)
    bench.tick()
    assert ["event.chat", "intent", "delta"] == ada.kinds()


def test_an_answered_number_is_answered_again_with_its_room_seq_and_has_no_effect(bench: Bench, ada: Tape) -> None:
    bench.add(ada, 1, 5)
    bench.add(ada, 2, 6)
    bench.commit()
    ada.take()
    assert "duplicate" == bench.add(ada, 1, 5)
    assert [{"kind": "intent", "seq": 1, "roomSeq": 3, "status": "duplicate"}] == answers(ada)
    assert 11 == bench.room.rules.state.total


def test_a_pending_number_sent_again_is_answered_when_it_is_durable(bench: Bench, ada: Tape) -> None:
    bench.add(ada, 1)
    bench.add(ada, 1)
    assert [] == ada.take()
    bench.commit()
    assert ["applied", "duplicate"] == [answer["status"] for answer in answers(ada)]
    assert 1 == bench.room.rules.state.total


def test_a_rejected_number_is_used_up_and_rejected_again_with_its_code(bench: Bench, ada: Tape) -> None:
    assert "illegal" == bench.add(ada, 1, REFUSED)
    bench.add(ada, 1, 5)
    bench.add(ada, 2, 5)
    bench.commit()
    first, again, applied = answers(ada)
    assert ("illegal", "Unlucky.", False) == (first["code"], first["message"], first["retryable"])
    assert (first, 2) == (again, applied["seq"])


def test_what_the_rules_say_rests_on_the_state_and_so_waits_for_it(bench: Bench, ada: Tape) -> None:
    bench.add(ada, 1)
    bench.add(ada, 2, REFUSED)
    assert [] == ada.take()
    bench.commit()
    assert [1, 2] == [answer["seq"] for answer in answers(ada)]


def test_a_number_ahead_is_a_gap_at_once_and_uses_nothing_up(bench: Bench, ada: Tape) -> None:
    bench.add(ada, 1)
    assert "gap" == bench.add(ada, 4)
    (gap,) = answers(ada)
    assert (4, "gap", True, 2) == (gap["seq"], gap["code"], gap["retryable"], gap["expectedSeq"])
    assert "applied" == bench.add(ada, 2)


def test_more_than_the_rate_is_refused_at_once_and_used_up(bench: Bench, ada: Tape) -> None:
    for seq in range(1, 41):
        assert "applied" == bench.add(ada, seq)
    assert "rate_limited" == bench.add(ada, 41)
    assert [(41, "rate_limited", True)] == [(b["seq"], b["code"], b["retryable"]) for b in answers(ada)]
    assert "duplicate" == bench.add(ada, 41)
    bench.now_ms += 50
    assert "applied" == bench.add(ada, 42)
    assert "rate_limited" == bench.add(ada, 43)


def test_answered_numbers_and_gaps_are_never_refused_for_rate_or_load(bench: Bench, ada: Tape) -> None:
    for seq in range(1, 42):
        bench.add(ada, seq)
    bench.room.refusal = Reject(RejectCode.OVERLOADED, "behind")
    assert ["duplicate", "gap", "overloaded"] == [bench.add(ada, seq) for seq in (1, 99, 42)]


def test_a_refusal_is_told_at_once_and_uses_the_number_up(bench: Bench, ada: Tape) -> None:
    bench.room.refusal = Reject(RejectCode.OVERLOADED, "behind")
    bench.add(ada, 1)
    assert ["overloaded"] == [answer["code"] for answer in answers(ada)]
    bench.room.refusal = None
    assert ["duplicate", "applied"] == [bench.add(ada, seq) for seq in (1, 2)]


def test_a_role_without_the_permission_is_forbidden(bench: Bench) -> None:
    watcher = bench.join("bob", role="spectator")
    watcher.take()
    assert ["forbidden", "forbidden"] == [bench.add(watcher, 1), bench.say(watcher, 2, "hello")]
    assert 0 == bench.room.rules.state.total


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"seq": 1, "amount": "1"}, "amount: expected `int`, got `str`"),
        ({"seq": 1.0, "amount": 1.5}, "amount: expected `int`, got `float`"),
        ({"seq": 1, "amount": 0}, "amount: expected `int` >= 1"),
        ({"seq": 1, "amount": 2**63}, "amount: expected `int` <= 100"),
    ],
)
def test_the_next_number_in_a_wrong_form_is_invalid_by_field_and_used_up(
    bench: Bench, ada: Tape, body: dict, message: str
) -> None:
    assert "invalid" == bench.ask(ada, "intent.add", body)
    (answer,) = answers(ada)
    assert (1, "invalid", message) == (answer["seq"], answer["code"], answer["message"])
    assert "applied" == bench.add(ada, 2)


UNNUMBERED = [None, 1, "x", [], {}, {"seq": None}, {"seq": "1"}, {"seq": True}, {"seq": 0}, {"seq": -1}] + [
    {"seq": odd} for odd in (1.5, math.nan, math.inf, 2**53, 2**63, [1], {})
]


@pytest.mark.parametrize("body", UNNUMBERED, ids=repr)
def test_an_intent_without_a_readable_number_is_rejected_as_nobodys(bench: Bench, ada: Tape, body: object) -> None:
    assert "invalid" == bench.ask(ada, "intent.add", body)
    (answer,) = answers(ada)
    assert (None, "invalid") == (answer["seq"], answer["code"])
    assert "applied" == bench.add(ada, 1)


@pytest.mark.parametrize("message_type", ["intent.fly", "", 7])
def test_an_unknown_type_is_rejected_as_nobodys_even_with_a_number(
    bench: Bench, ada: Tape, message_type: str | int
) -> None:
    bench.ask(ada, message_type, {"seq": 1})
    assert [(None, "invalid")] == [(answer["seq"], answer["code"]) for answer in answers(ada)]
    assert "applied" == bench.add(ada, 1)


def test_ten_unreadable_messages_in_a_row_close_4506(bench: Bench, ada: Tape) -> None:
    for _ in range(UNREADABLE_MAX - 1):
        bench.room.unreadable(ada, "no msgpack")
    bench.settle()
    assert ada.closed is None
    ada.take()
    bench.ask(ada, "intent.fly", {})
    assert (["event.reject", "event.session"], 4506) == (ada.kinds(), ada.closed)


def test_a_readable_message_starts_the_count_again(bench: Bench, ada: Tape) -> None:
    for _ in range(UNREADABLE_MAX - 1):
        bench.ask(ada, "intent.fly", {})
    bench.add(ada, 99)
    for _ in range(UNREADABLE_MAX - 1):
        bench.ask(ada, "intent.fly", {})
    bench.resume(ada, 2)
    for _ in range(UNREADABLE_MAX - 1):
        bench.ask(ada, "intent.fly", {})
    assert ada.closed is None


def test_a_closed_link_gets_no_further(bench: Bench, ada: Tape) -> None:
    for _ in range(UNREADABLE_MAX):
        bench.ask(ada, "intent.fly", {})
    assert "terminating" == bench.add(ada, 1)
    assert "terminating" == bench.room.unreadable(ada, "no msgpack")
    bench.commit()
    assert 0 == bench.room.rules.state.total
    bench.drop(ada)
    assert "session.drop" == bench.journal[-1].kind


def test_after_leaving_an_intent_is_rejected_and_the_room_unaffected(bench: Bench, ada: Tape) -> None:
    bench.leave("ada")
    before = plain(bench.room.rules.state)
    assert "terminating" == bench.add(ada, 1)
    assert "terminating" == bench.ask(ada, "intent.fly", None)
    assert [(1, "terminating"), (None, "terminating")] == [(b["seq"], b["code"]) for b in answers(ada)]
    assert (before, False) == (plain(bench.room.rules.state), bench.room.is_broken)


def test_a_number_that_has_its_outcome_gets_no_other_because_its_session_is_over() -> None:
    bench = Bench()
    ada = bench.join("ada")
    ada.take()
    bench.add(ada, 1)
    bench.leave("ada")
    bench.add(ada, 1)
    bench.commit()
    assert [(1, "applied")] == [(body["seq"], body.get("status", body.get("code"))) for body in answers(ada)]


def test_a_request_is_answered_by_its_response_and_by_nothing_else(bench: Bench, ada: Tape) -> None:
    bench.add(ada, 1, request_id=7)
    bench.add(ada, 2, REFUSED, request_id=8)
    bench.ask(ada, "intent.fly", {}, request_id=9)
    bench.commit()
    (fly, applied, refused) = [body for kind, body in ada.take() if kind == "response"]
    assert (9, 1, "invalid") == (*fly[:2], fly[2]["code"])
    assert (7, 0, "applied") == (*applied[:2], applied[2]["status"])
    assert (8, 1, "illegal") == (*refused[:2], refused[2]["code"])


def test_an_event_that_cannot_be_written_is_the_rules_bug(bench: Bench, ada: Tape) -> None:
    assert "internal" == bench.add(ada, 1, UNWRITABLE)
    assert isinstance(bench.room.bug, TypeError)
    bench.commit()
    assert ["event.reject", "event.session"] == ada.kinds()


def test_after_a_bug_nothing_is_applied(bench: Bench, ada: Tape) -> None:
    bench.add(ada, 1, FAILING)
    entries = len(bench.journal)
    assert "terminating" == bench.add(ada, 2)
    assert entries == len(bench.journal)


# -- numbers that memory has forgotten ---------------------------------------------------------------------------------


def test_a_forgotten_number_is_looked_up_once_all_that_is_applied_is_durable() -> None:
    """Asked earlier, the journal might not have it yet, and it would be called never applied."""
    bench = Bench(room_limits=UNPACED)
    ada = bench.join("ada")
    for seq in range(1, OUTCOMES_MAX + 2):
        bench.add(ada, seq)
    assert "duplicate" == bench.add(ada, 1, request_id=3)
    assert [] == bench.look_ups
    bench.commit()
    (question,) = bench.look_ups
    assert (ada, "ada", 1, 3) == (question.link, question.session_id, question.seq, question.request_id)


def test_the_journals_answer_to_a_forgotten_number_is_its_outcome(bench: Bench, ada: Tape) -> None:
    bench.room.looked_up(ada, 1, 17, None)
    bench.room.looked_up(ada, 2, None, None)
    bench.settle()
    applied, refused = answers(ada)
    assert {"kind": "intent", "seq": 1, "roomSeq": 17, "status": "duplicate"} == applied
    assert (2, "not_durable", False) == (refused["seq"], refused["code"], refused["retryable"])


def test_nobody_is_asked_for_a_link_that_is_gone(bench: Bench, ada: Tape) -> None:
    bench.seat("ada").sequence.skip_to(5)
    bench.add(ada, 6)
    bench.add(ada, 3)
    bench.drop(ada)
    bench.commit()
    assert [] == bench.look_ups


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
BODIES = JSON | st.fixed_dictionaries({"seq": st.integers(0, 4) | st.floats(), "amount": JSON, "text": JSON})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["intent.add", "intent.chat", "intent.fly", 3]), BODIES), max_size=12))
def test_whatever_clients_send_they_get_one_answer_each_and_the_room_lives(
    messages: list[tuple[str | int, object]],
) -> None:
    bench = Bench(room_limits=UNPACED)
    ada, bob = bench.join("ada"), bench.join("bob")
    ada.take()
    for message_type, body in messages:
        bench.ask(ada, message_type, body)
        bench.commit()
        assert 1 == len(answers(ada)) or ada.closed == 4506
    assert not bench.room.is_broken
    assert "applied" == bench.add(bob, 1)


def test_while_nothing_can_be_shown_answers_are_not_asked_for_again_without_end(bench: Bench, ada: Tape) -> None:
    """It costs no rate, and each would be held until PostgreSQL is back."""
    bob = bench.join("bob")
    bench.add(ada, 1)
    asked = 0
    while ada.closed is None and asked < 2 * HELD_MAX:
        bench.add(ada, 1)
        asked += 1
    assert (CloseCode.MAY_RECONNECT, True) == (ada.closed, asked <= HELD_MAX)
    bob.take()
    bench.add(bob, 1)
    bench.commit()
    assert ["applied"] == [answer["status"] for answer in answers(bob)]
