"""The output gate: in order, each for its roomSeq, and not before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.gate import Gate


def test_nothing_is_released_before_its_room_seq_is_durable() -> None:
    gate: Gate[str] = Gate()
    gate.hold(1, "a")
    gate.hold(2, "b")
    assert [] == gate.open(0)
    assert [(1, "a")] == gate.open(1)
    assert [(2, "b")] == gate.open(9)
    assert ([], 0) == (gate.open(9), len(gate))


def test_what_is_held_for_what_is_durable_already_waits_for_nothing_but_its_turn() -> None:
    gate: Gate[str] = Gate()
    gate.hold(2, "first")
    gate.hold(2, "second")
    assert [(2, "first"), (2, "second")] == gate.open(2)


def test_a_room_seq_never_falls() -> None:
    gate: Gate[str] = Gate()
    gate.hold(2, "a")
    with pytest.raises(AssertionError):
        gate.hold(1, "b")


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 60)))
def test_whenever_it_is_opened_all_comes_out_once_in_order(rises: list[int], opens: list[int]) -> None:
    gate: Gate[int] = Gate()
    room_seq, released = 0, []
    for number, rise in enumerate(rises):
        room_seq += rise
        gate.hold(room_seq, number)
    for durable in sorted(opens):
        newly = gate.open(durable)
        assert all(at <= durable for at, _ in newly)
        released += newly
    released += gate.open(room_seq)
    assert list(range(len(rises))) == [number for _, number in released]
