"""Forms: the shortcut leads where the long way leads, or nowhere."""

from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from contracts.intents import INTENTS, Action, Add, Chat, Move
from contracts.message import INTEGER_MAX, Intent
from server.core.colyseus.frames import Message, header, parse
from server.core.colyseus.primitives import Malformed
from server.core.colyseus.records import Undecodable, record_head, unpack
from server.core.forms import Forms
from server.core.reading import read, readable_seq

FORMS = Forms(INTENTS)


class Odd(Intent, frozen=True, kw_only=True):
    """Fields of every kind, the names on the wire other than here."""

    TYPE: ClassVar[str] = "odd"

    is_on: bool
    far_away: float
    tags: list[str] | None = None
    note: Annotated[str, Meta(max_length=5)] | None = None


def by_the_long_way(frame: bytes, intents: tuple[type[Intent], ...] = INTENTS) -> Intent | None:
    try:
        parsed = parse(frame)
        assert isinstance(parsed, Message)
        body = unpack(parsed.payload)
    except (Malformed, Undecodable, AssertionError):
        return None
    kinds = [intent for intent in intents if intent.TYPE == parsed.type]
    intent = read(body, kinds[0]) if kinds and readable_seq(body) is not None else None
    return intent if isinstance(intent, Intent) else None


def number(value: int) -> bytes:
    """As an SDK writes it beside records: from 0x40 to 0x7f in two bytes."""
    return bytes((0xCC, value)) if 0x40 <= value < 0x80 else msgspec.msgpack.encode(value)


def frame(intent: str, values: dict[str, bytes]) -> bytes:
    return header(intent) + record_head(list(values)) + b"".join(values.values())


def a_move(seq: int, dx: int = 1, dy: int = 0) -> bytes:
    return frame("intent.move", {"seq": number(seq), "dx": number(dx), "dy": number(dy)})


@pytest.mark.parametrize(
    ("sent", "intent"),
    [
        (a_move(1), Move(seq=1, dx=1, dy=0)),
        (a_move(65, -1, -1), Move(seq=65, dx=-1, dy=-1)),
        (a_move(70_000), Move(seq=70_000, dx=1, dy=0)),
        (frame("intent.chat", {"seq": number(2), "text": b"\xa4 hi "}), Chat(seq=2, text="hi")),
        (frame("intent.add", {"seq": number(3)}), Add(seq=3)),
        (frame("intent.add", {"seq": number(3), "amount": number(7)}), Add(seq=3, amount=7)),
        (frame("intent.action", {"seq": number(1), "action": b"\xa4open"}), Action(seq=1, action="open")),
        (
            frame("intent.action", {"seq": number(1), "action": b"\xa4take", "target": b"\xa2i1"}),
            Action(seq=1, action="take", target="i1"),
        ),
    ],
)
def test_what_sdks_send_is_read_in_one_go(sent: bytes, intent: Intent) -> None:
    assert intent == FORMS.read(sent) == by_the_long_way(sent)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x0d",
        header("intent.move"),
        a_move(1)[:-1],
        a_move(1) + b"\x00",
        a_move(0),
        a_move(1, 2),
        a_move(1, 0, 0),
        a_move(INTEGER_MAX + 1),
        a_move(64),  # its byte could be a record's id
        frame("intent.move", {"dx": number(1), "dy": number(0), "seq": number(1)}),  # in another order
        frame("intent.move", {"seq": b"\x40", "dx": number(1), "dy": number(0)}),
        frame("intent.move", {"seq": b"\xcb\x3f\xf0" + bytes(6), "dx": number(1), "dy": number(0)}),
        frame("intent.chat", {"seq": number(1), "text": b"\xa1\xff"}),
        frame("intent.chat", {"seq": number(1), "text": b"\xa2\x07\x07"}),
        frame("intent.action", {"seq": number(1), "action": b"\xa4open", "args": b"\x80"}),
        header("intent.jump") + a_move(1)[13:],
        b"\x15" + a_move(1)[1:],
    ],
)
def test_all_else_takes_the_long_way(sent: bytes) -> None:
    assert FORMS.read(sent) is None


def test_only_choices_of_fields_without_containers_have_a_form() -> None:
    forms = Forms((Odd,))
    values = {"seq": number(1), "isOn": b"\xc3", "farAway": number(7)}
    expected = Odd(seq=1, is_on=True, far_away=7.0)
    assert expected == forms.read(frame("odd", values)) == by_the_long_way(frame("odd", values), (Odd,))
    with_note = frame("odd", values | {"note": b"\xa1x"})
    assert Odd(seq=1, is_on=True, far_away=7.0, note="x") == forms.read(with_note) == by_the_long_way(with_note, (Odd,))
    assert forms.read(frame("odd", values | {"tags": b"\x91\xa1x"})) is None
    assert forms.read(frame("odd", values | {"note": b"\xa6longer"})) is None


SCALARS: st.SearchStrategy[bytes] = st.one_of(
    st.integers(-2, INTEGER_MAX + 2).map(number),
    st.sampled_from((-1, 0, 1)).map(number),
    st.text(max_size=6).map(msgspec.msgpack.encode),
    st.sampled_from((b"\xc0", b"\xc2", b"\xc3", b"\x40", b"\x7f", b"\xd4\x00\x00", b"\x80", b"\xc4\x01a")),
    st.floats(allow_nan=False).map(msgspec.msgpack.encode),
)
FRAMES = st.builds(
    frame,
    st.sampled_from([intent.TYPE for intent in INTENTS]),
    st.dictionaries(st.sampled_from(("seq", "dx", "dy", "text", "action", "target", "args", "amount")), SCALARS),
)


@given(FRAMES, st.binary(max_size=2), st.integers(0, 3))
def test_the_shortcut_never_reads_what_the_long_way_reads_otherwise(sent: bytes, tail: bytes, cut: int) -> None:
    sent = sent[: len(sent) - cut] + tail
    intent: Any = FORMS.read(sent)
    assert intent is None or intent == by_the_long_way(sent)


@given(st.integers(1, INTEGER_MAX), st.sampled_from((-1, 0, 1)), st.sampled_from((-1, 0, 1)))
def test_the_shortcut_is_taken(seq: int, dx: int, dy: int) -> None:
    """Or the test above would hold for one that reads nothing."""
    moved = a_move(seq, dx, dy)
    if (dx, dy) != (0, 0) and b"\x40" not in moved.removeprefix(a_move(1)[:-3]):
        assert FORMS.read(moved) == Move(seq=seq, dx=dx, dy=dy)
