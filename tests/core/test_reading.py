"""Reading: numbers as SDKs send them, and what is wrong in a sentence."""

import pytest

from contracts.intents import Action, Add, Chat, Move, Resume
from contracts.message import INTEGER_MAX
from server.core.reading import read, readable_seq
from server.core.reject import Reject


@pytest.mark.parametrize("seq", [1, 7.0, INTEGER_MAX, float(INTEGER_MAX)])
def test_a_number_may_come_as_a_float(seq: float) -> None:
    assert int(seq) == readable_seq({"seq": seq})


@pytest.mark.parametrize("seq", [0, -1, 1.5, True, "1", None, INTEGER_MAX + 1, float("nan"), float("inf")])
def test_what_is_no_number_from_one_is_none(seq: object) -> None:
    assert readable_seq({"seq": seq}) is None


def test_integral_floats_are_integers_wherever_a_message_has_them() -> None:
    assert Move(seq=2, dx=1, dy=-1) == read({"seq": 2.0, "dx": 1.0, "dy": -1.0}, Move)
    assert Resume(room_seq=2**33) == read({"roomSeq": float(2**33)}, Resume)
    nested = read({"seq": 1.0, "action": "open", "args": {"at": [1.0, {"x": 2.5}]}}, Action)
    assert Action(seq=1, action="open", args={"at": [1, {"x": 2.5}]}) == nested


def test_unknown_fields_are_ignored() -> None:
    assert Add(seq=1) == read({"seq": 1, "extra": {}}, Add)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ({"seq": 1, "dx": 2, "dy": 0}, Move, "dx: invalid enum value 2"),
        ({"seq": 1.0, "dx": 0, "dy": "0"}, Move, "dy: expected `int`, got `str`"),
        ({"seq": 1, "dx": 0, "dy": 0}, Move, "dx, dy: expected a step, got 0, 0"),
        ({"seq": 1, "dx": 1}, Move, "Object missing required field `dy`"),
        ({"seq": 1, "text": "  "}, Chat, "text: expected 1 to 500 characters after trimming, got 0"),
        ({"seq": 1, "text": "a\nb"}, Chat, "text: expected no control characters"),
        (None, Resume, "Expected `object`, got `null`"),
    ],
)
def test_a_wrong_form_is_invalid_with_the_field_and_what_was_expected(
    body: object, kind: type[Move], message: str
) -> None:
    answer = read(body, kind)
    assert isinstance(answer, Reject)
    assert ("invalid", message) == (answer.code, answer.message)
