"""What a bot finds wrong in frames that are wrong on purpose."""

import gc
import time
from random import Random
from typing import Any

import msgspec
import pytest

from server.core.colyseus.frames import join_room, parse, room_data
from server.core.colyseus.records import unpack
from server.tools.bots.bot import Bot
from server.tools.bots.courses import Walk, Wander
from server.tools.bots.dialect import Busy, NoSuchRoom, Refused, Seat
from server.tools.bots.holdfast import Holdfast, folded
from server.tools.bots.matchmaking import framer_of, said
from server.tools.bots.room import RECENT_MAX, REMEMBERED, Room, Stand
from server.tools.bots.tally import Tally
from server.tools.http import Answer
from server.tools.wire import JOIN_BYTE
from server.tools.wire import room_data as sdk_room_data

HERE = {"x": 5, "y": 5}


class Wire:
    """The transport: what is sent is kept."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, kind: object, frame: bytes) -> None:
        self.sent.append(frame)


class Table:
    """Two bots of one room that stand at roomSeq 10, and a server at hand that says what the test says."""

    def __init__(self, period_s: float | None = None) -> None:
        self.state: dict[str, Any] = {"players": {"ada": HERE, "bob": HERE}}
        self.tally = Tally()
        self.tally.measured_from = 0.0
        self.room = Room("room", self.tally)
        self.bots = [self._bot(name, period_s) for name in ("ada", "bob")]
        for bot in self.bots:
            self.say(
                bot, "event.state_delta", kind="snapshot", roomSeq=9, epoch=1, tick=0, state=self.state, serverTime=0
            )
            self.delta(bot, 9, 10)
        self.ada, self.bob = self.bots

    def _bot(self, name: str, period_s: float | None) -> Bot:
        bot = Bot(self.room, Seat("room", name, "ws://"), Holdfast("http://"), Walk(Random(1)), self.tally, period_s)
        self.room.bots.append(bot)
        self.connect(bot)
        return bot

    def connect(self, bot: Bot) -> None:
        bot.connected(Wire())  # type: ignore[arg-type]
        bot.hear(join_room("token"))
        self.say(
            bot,
            "event.ack",
            kind="handshake",
            sessionId=bot.session_id,
            playerId="p",
            protocolVersion="1",
            lastSeq=0,
            roomSeq=10,
            epoch=1,
            permissions=[],
            intentRate=20.0,
            intentBurst=40,
            serverTime=0,
            heartbeatMs=0,
        )

    def say(self, bot: Bot, message_type: str, /, **body: object) -> None:
        bot.hear(room_data(message_type, msgspec.msgpack.encode(body)))

    def ask(self, bot: Bot, times: int = 1) -> None:
        now = time.perf_counter()
        for _ in range(times):
            bot.turn(now, now)

    def ack(self, bot: Bot, seq: int, room_seq: int, status: str = "applied") -> None:
        self.say(bot, "event.ack", kind="intent", seq=seq, roomSeq=room_seq, status=status)

    def delta(self, bot: Bot, base: int, to: int, *patches: object) -> None:
        body = {"baseSeq": base, "roomSeq": to, "epoch": 1, "tick": 0, "patches": patches, "serverTime": 0}
        self.say(bot, "event.state_delta", kind="delta", **body)

    def sent(self, bot: Bot) -> list[Any]:
        """What the bot said on its present connection."""
        assert isinstance(bot.wire, Wire)
        frames = [frame for frame in bot.wire.sent if frame != JOIN_BYTE]
        return [read_sent(frame) for frame in frames]

    @property
    def wrong(self) -> dict[str, int]:
        counts = {name: getattr(self.tally, name) for name in ("lost", "doubled", "gaps", "diverged")}
        assert (self.tally.problem_count > 0) == any(counts.values()), self.tally.problems
        return {name: count for name, count in counts.items() if count}


def stands() -> int:
    gc.collect()
    # By `type`: a weak proxy among them would be asked for its referent's class, and that may be gone.
    return sum(type(each) is Stand for each in gc.get_objects())


def read_sent(frame: bytes) -> tuple[Any, Any]:
    """Its type and body, read as the server does."""
    message = parse(frame)
    return message.type, unpack(message.payload)  # type: ignore[union-attr]


@pytest.fixture
def table() -> Table:
    return Table()


def test_what_is_right_is_counted_and_nothing_is_wrong(table: Table) -> None:
    table.ask(table.ada, 2)
    table.ack(table.ada, 1, 11)
    for bot in table.bots:
        table.delta(bot, 10, 11, {"players": {"ada": {"x": 6}}})
    table.ack(table.ada, 2, 12)
    for bot in table.bots:
        table.delta(bot, 11, 12, {"players": {"ada": {"x": 5}}})
    table.tally.end_second(1, 0)
    assert {} == table.wrong
    assert (2, 2, 2) == (table.tally.acked, table.tally.ack_ms.spread().count, table.tally.seen_ms.spread().count)
    assert [("intent.move", 1), ("intent.move", 2)] == [(kind, body["seq"]) for kind, body in table.sent(table.ada)]


def test_bots_that_are_led_alike_share_one_state(table: Table) -> None:
    for bot in table.bots:
        table.delta(bot, 10, 11, {"players": {"ada": {"x": 6}}})
    assert table.ada.stand is table.bob.stand
    assert {"ada": {"x": 6, "y": 5}, "bob": HERE} == table.ada.stand.state["players"]
    assert HERE == table.state["players"]["ada"]


def test_a_bot_that_is_told_something_else_has_a_state_of_its_own(table: Table) -> None:
    table.delta(table.ada, 10, 11, {"players": {"ada": {"x": 6}}})
    table.delta(table.bob, 10, 11, {"players": {"ada": {"x": 7}}})
    assert [6, 7] == [bot.stand.state["players"]["ada"]["x"] for bot in table.bots]


def test_one_frame_leads_different_states_to_different_states(table: Table) -> None:
    for bot, x in zip(table.bots, (6, 7), strict=True):
        table.delta(bot, 10, 11, {"players": {"ada": {"x": x}}})
    for bot in table.bots:
        table.delta(bot, 11, 12, {"players": {"bob": {"x": 1}}})
    assert [(6, 1), (7, 1)] == [
        tuple(bot.stand.state["players"][name]["x"] for name in ("ada", "bob")) for bot in table.bots
    ]


def test_a_delta_that_begins_elsewhere_is_one_gap_and_the_server_is_asked(table: Table) -> None:
    table.delta(table.ada, 11, 12, {})
    table.delta(table.ada, 12, 13, {})
    assert {"gaps": 1} == table.wrong
    assert [("session.resume", {"roomSeq": 10, "epoch": 1, "seq": 0})] == table.sent(table.ada)
    assert 10 == table.ada.stand.room_seq
    table.say(table.ada, "event.ack", kind="resume", roomSeq=13, epoch=1, lastSeq=0, recovered=True)
    table.delta(table.ada, 10, 13, {})
    assert (13, {"gaps": 1}) == (table.ada.stand.room_seq, table.wrong)


def test_a_delta_that_comes_twice_is_a_gap(table: Table) -> None:
    for _ in range(2):
        table.delta(table.ada, 10, 11, {})
    assert {"gaps": 1} == table.wrong


def test_an_intent_acked_twice_is_doubled(table: Table) -> None:
    table.ask(table.ada)
    table.ack(table.ada, 1, 11)
    table.ack(table.ada, 1, 11)
    assert {"doubled": 1} == table.wrong


def test_an_intent_acked_and_rejected_is_doubled(table: Table) -> None:
    table.ask(table.ada)
    table.ack(table.ada, 1, 11)
    table.say(table.ada, "event.reject", seq=1, code="illegal", message="no", retryable=False)
    assert {"doubled": 1} == table.wrong


def test_a_duplicate_of_what_was_sent_once_is_doubled(table: Table) -> None:
    table.ask(table.ada)
    table.ack(table.ada, 1, 11, "duplicate")
    assert {"doubled": 1} == table.wrong


def test_an_answer_to_what_was_never_asked_is_doubled(table: Table) -> None:
    table.ack(table.ada, 1, 11)
    assert {"doubled": 1} == table.wrong


def test_two_intents_at_one_place_are_doubled(table: Table) -> None:
    table.ask(table.ada)
    table.ask(table.bob)
    table.ack(table.ada, 1, 11)
    table.ack(table.bob, 1, 11)
    assert {"doubled": 1} == table.wrong


@pytest.mark.parametrize("acks", [[(2, 11), (1, 12)], [(1, 12), (2, 11)]])
def test_acks_out_of_order_are_a_gap(table: Table, acks: list[tuple[int, int]]) -> None:
    table.ask(table.ada, 2)
    for seq, room_seq in acks:
        table.ack(table.ada, seq, room_seq)
    assert {"gaps": 1} == table.wrong


def test_a_snapshot_from_before_an_ack_is_a_loss(table: Table) -> None:
    table.ask(table.ada)
    table.ack(table.ada, 1, 11)
    table.say(
        table.ada, "event.state_delta", kind="snapshot", roomSeq=10, epoch=1, tick=0, state=table.state, serverTime=0
    )
    assert {"lost": 1} == table.wrong


def test_a_frame_that_can_not_be_read_is_told_and_the_bot_goes_on(table: Table) -> None:
    table.ada.hear(room_data("event.ack", b"\xc1"))
    table.say(table.ada, "event.state_delta", kind="delta", roomSeq="eleven")
    assert (2, 2) == (table.tally.errors["unreadable frame"], table.tally.problem_count)
    assert table.ada.is_live


def test_an_intent_that_was_not_understood_is_told(table: Table) -> None:
    table.say(table.ada, "event.reject", seq=None, code="invalid", message="what?", retryable=False)
    assert ["session ada of room room: an intent was not understood: what?"] == table.tally.problems


def test_a_bot_that_is_back_says_where_it_stands_and_sends_what_is_open_again(table: Table) -> None:
    table.ask(table.ada, 3)
    table.ack(table.ada, 1, 11)
    table.delta(table.ada, 10, 11, {})
    assert table.ada.wire is not None
    table.ada.disconnected(table.ada.wire, 1006)
    table.ask(table.ada)
    table.connect(table.ada)
    table.ada.catch_up(time.perf_counter())
    said = table.sent(table.ada)
    assert ("session.resume", {"roomSeq": 11, "epoch": 1, "seq": 1}) == said[0]
    assert [2, 3, 4] == [body["seq"] for _, body in said[1:]]
    table.ack(table.ada, 2, 12, "duplicate")
    table.ack(table.ada, 3, 13, "duplicate")
    table.ack(table.ada, 4, 14)
    # The server answers a number as often as it is sent.
    table.ack(table.ada, 3, 13, "duplicate")
    assert ({}, 2, 1) == (table.wrong, table.tally.duplicates, table.tally.reconnects)
    table.ack(table.ada, 3, 15, "duplicate")
    assert {"doubled": 1} == table.wrong


def test_a_bot_that_is_away_does_not_hold_on_to_what_the_others_are_shown(table: Table) -> None:
    assert table.ada.wire is not None
    table.ada.disconnected(table.ada.wire, 1006)
    before = stands()
    for room_seq in range(10, 20):
        table.delta(table.bob, room_seq, room_seq + 1, {"players": {"bob": {"x": room_seq}}})
    # The frames of the last few are looked up by whoever stands elsewhere.
    assert stands() - before <= RECENT_MAX + 1
    assert (10, 20) == (table.ada.stand.room_seq, table.bob.stand.room_seq)


def test_what_is_remembered_of_acks_does_not_grow_with_the_run(table: Table) -> None:
    for seq in range(1, 3 * REMEMBERED):
        table.room.acked(2 * seq, table.ada)
        table.ada.acked_to = table.bob.acked_to = 2 * seq
    assert len(table.room._acked) <= REMEMBERED + 1
    table.room.acked(2 * seq, table.bob)
    assert {"doubled": 1} == table.wrong


def test_what_is_sent_again_is_paced_by_what_the_server_takes(table: Table) -> None:
    assert table.ada.wire is not None
    table.ada.disconnected(table.ada.wire, 1006)
    table.ask(table.ada, 100)
    table.connect(table.ada)
    now = time.perf_counter()
    table.ada.catch_up(now)
    assert 20 == len(table.sent(table.ada)) - 1
    table.ada.catch_up(now + 1)
    assert 20 + 18 == len(table.sent(table.ada)) - 1


def test_a_final_close_ends_a_bot_and_what_it_was_to_see_is_seen_by_others(table: Table) -> None:
    table.ask(table.ada)
    table.ack(table.ada, 1, 11)
    assert 1 == table.bob.unseen
    assert table.bob.wire is not None
    table.bob.disconnected(table.bob.wire, 4503)
    assert "closed 4503" == table.bob.ended
    assert (0, {"closed 4503": 1}) == (table.bob.unseen, dict(table.tally.errors))


def test_seen_is_counted_to_when_another_bot_was_shown_it_whatever_came_first(table: Table) -> None:
    """Colyseus shows what it has not yet acked."""
    due = time.perf_counter()
    table.ada.turn(due, due)
    table.delta(table.bob, 10, 11, {})
    shown_at = time.perf_counter()
    while time.perf_counter() < shown_at + 0.002:
        pass
    table.delta(table.bob, 11, 12, {})
    table.ack(table.ada, 1, 11)
    table.tally.end_second(1, 0)
    seen = table.tally.seen_ms.spread()
    assert 1 == seen.count
    assert 0 < seen.max <= (shown_at - due) * 1000


def test_in_the_closed_model_a_turn_waits_for_the_outcome_before_it_and_counts_from_when_it_was_due() -> None:
    table = Table(period_s=0.1)
    due = time.perf_counter() - 1.0
    for turn in range(3):
        table.ada.turn(due + turn * 0.1, due + turn * 0.1)
    assert (1, 3) == (len(table.sent(table.ada)), table.ada.unanswered)
    table.ack(table.ada, 1, 11)
    table.ack(table.ada, 2, 12)
    assert (3, 1) == (len(table.sent(table.ada)), table.ada.unanswered)
    table.tally.end_second(1, 0)
    # The first was due 1 s ago, the second 0.9 s, though it was sent just now.
    assert 950 <= table.tally.ack_ms.spread().mean < 1000
    assert 1 == table.tally.late_ms.spread().count


def test_a_course_turns_back_after_a_reject() -> None:
    walk = Walk(Random(5))
    walk.begin({"players": {"me": HERE}}, "me")
    at = [5, 5]
    for turn in range(200):
        step = walk.ask()
        if turn % 3:
            at = [at[0] + step[0], at[1] + step[1]]
            walk.acked(step)
        else:
            walk.rejected(step)
        assert max(abs(at[0] - 5), abs(at[1] - 5)) <= 1
    assert 0 == walk.missing({"players": {"me": {"x": at[0], "y": at[1]}}}, "me")
    assert 1 == walk.missing({"players": {"me": {"x": at[0] + 1, "y": at[1]}}}, "me")
    assert 1 == walk.missing({"players": {}}, "me")


def test_a_course_over_a_field_stops_at_its_edge() -> None:
    wander = Wander(Random(2))
    wander.begin({"width": 5, "height": 5, "players": {"me": {"x": 4, "y": 0}}}, "me")
    steps = [wander.ask() for _ in range(16)]
    assert [1, 1] == [len(set(steps[:8])), len(set(steps[8:]))]
    for step in ((1, 0), (0, -1), (-1, 1)):
        wander.acked(step)
    wander.rejected((1, 1))
    assert 0 == wander.missing({"players": {"me": {"x": 3, "y": 1}}}, "me")
    assert 2 == wander.missing({"players": {"me": {"x": 3, "y": 3}}}, "me")


def test_folding_is_that_of_rfc_7386_and_changes_nothing_given() -> None:
    before = {"a": {"b": 1, "c": {"d": 2}}, "e": [1], "f": {"g": 1}}
    copy = msgspec.json.decode(msgspec.json.encode(before))
    after = folded(before, {"a": {"b": None, "c": {"h": {"i": None, "j": 3}}}, "e": [2], "k": {"l": None}})
    assert {"a": {"c": {"d": 2, "h": {"j": 3}}}, "e": [2], "f": {"g": 1}, "k": {}} == after
    assert copy == before
    assert before["f"] is after["f"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (429, b'{"code":429,"message":"too many"}', Busy, "429 too many"),
        (503, b"", Busy, "503 None"),
        (523, b'{"code":523,"message":"r is already full."}', Refused, "523 r is already full."),
        (520, b'{"code":520,"error":"not defined"}', NoSuchRoom, "520 not defined"),
        (409, b'{"code":"version_mismatch","message":"other\\u001b[2J"}', Refused, "409 'other\\x1b[2J'"),
        (200, b"<html>", Refused, "200 None"),
    ],
)
def test_what_matchmaking_says_is_told_in_its_words(status: int, body: bytes, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind) as refused:
        said(Answer(status, {"retry-after": "7"}, body), "a seat")
    assert (kind, f"a seat: {told}") == (type(refused.value), str(refused.value))
    assert 7.0 == getattr(refused.value, "after_s", 7.0)


@pytest.mark.parametrize("seq", [1, 63, 64, 127, 128, 255, 256, 65_535, 65_536, 2**31, 2**40])
def test_intents_are_written_as_the_sdk_writes_them(seq: int) -> None:
    frame = framer_of(Walk(Random(1)))
    for dx, dy in ((1, 0), (-1, 1), (1, 0)):
        expected = sdk_room_data("intent.move", {"seq": seq, "dx": dx, "dy": dy})
        assert expected == frame(seq, (dx, dy))


def test_a_bot_that_is_lost_as_it_comes_in_ends_as_any_other(table: Table) -> None:
    table.room.bots.remove(table.ada)
    assert table.ada.wire is not None
    table.ada.disconnected(table.ada.wire, 4002)
    assert ("closed 4002", [table.bob]) == (table.ada.ended, table.room.bots)
