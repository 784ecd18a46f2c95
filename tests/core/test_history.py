"""History: what deltas and resumes are made of, within its bounds."""

import pytest

from server.core.history import Change, Emitted, History


def change(room_seq: int, epoch: int = 1, size_bytes: int = 10) -> Change:
    packed = b'{"n":%d}' % room_seq
    return Change(room_seq, epoch, {"n": room_seq}, (Emitted(b"%d" % room_seq),), size_bytes, packed)


def filled(count: int, base_seq: int = 10, entries_max: int = 100, bytes_max: int = 10_000) -> History:
    history = History(base_seq, 1, entries_max, bytes_max)
    for room_seq in range(base_seq + 1, base_seq + count + 1):
        history.append(change(room_seq))
    return history


def test_changes_follow_one_another() -> None:
    history = filled(2)
    for room_seq in (11, 12, 14):
        with pytest.raises(AssertionError):
            history.append(change(room_seq))


def test_it_reaches_from_its_base_to_its_end() -> None:
    history = filled(3)
    assert [False, True, True, True, True, False] == [history.reaches(seq, None) for seq in range(9, 15)]


def test_an_epoch_is_the_one_of_the_entry_at_that_room_seq() -> None:
    history = filled(2)
    history.append(change(13, epoch=4))
    assert [1, 1, 1, 4] == [history.epoch_at(seq) for seq in range(10, 14)]
    assert [True, False, True] == [history.reaches(12, 1), history.reaches(12, 4), history.reaches(13, 4)]
    history.trim(13)
    assert (1, 4) == (history.epoch_at(10), history.epoch_at(13))


@pytest.mark.parametrize("after", range(10, 16))
def test_what_lies_between_two_room_seqs_is_told_in_order(after: int) -> None:
    history = filled(5)
    for up_to in range(after, 16):
        assert list(range(after + 1, up_to + 1)) == [each.room_seq for each in history.between(after, up_to)]


def test_patches_are_composed() -> None:
    assert [{"n": 15}] == filled(5).patches(10, 15)
    assert [] == filled(5).patches(15, 15)


def test_a_change_without_a_patch_adds_none() -> None:
    history = History(0, 1, 10, 100)
    history.append(Change(1, 1, None, (), 1))
    assert [] == history.patches(0, 1)


def test_what_is_sent_is_kept_packed_and_says_the_same() -> None:
    history = filled(5)
    history.trim(13)
    assert [None, None, None, {"n": 14}, {"n": 15}] == [each.tree for each in history.between(10, 15)]
    assert [{"n": seq} for seq in range(11, 16)] == [each.patch for each in history.between(10, 15)]
    assert [[{"n": 12}], [{"n": 15}]] == [history.patches(10, 12), history.patches(12, 15)]


def test_what_comes_after_a_cut_is_packed_when_it_is_sent() -> None:
    history = filled(5)
    history.trim(15)
    history.cut(12)
    history.append(change(13))
    assert [None, {"n": 13}] == [each.tree for each in history.between(11, 13)]
    history.trim(13)
    assert [None, None] == [each.tree for each in history.between(11, 13)]


def test_past_a_bound_the_oldest_go_and_its_base_with_them() -> None:
    history = filled(8, entries_max=5)
    history.trim(18)
    assert (13, 18, False) == (history.base_seq, history.last_seq, history.reaches(12, None))
    heavy = filled(8, bytes_max=35)
    heavy.trim(18)
    assert 15 == heavy.base_seq


def test_the_base_keeps_the_epoch_of_what_was_dropped() -> None:
    history = History(0, 1, 1, 100)
    for room_seq in (1, 2, 3):
        history.append(change(room_seq, epoch=room_seq))
    history.trim(3)
    assert (2, 2) == (history.base_seq, history.epoch_at(2))


def test_what_is_still_to_be_sent_is_never_dropped() -> None:
    history = filled(8, entries_max=5)
    history.trim(11)
    assert 11 == history.base_seq


def test_all_may_go() -> None:
    history = filled(8, entries_max=0)
    history.trim(18)
    assert (18, 18, 1) == (history.base_seq, history.last_seq, history.epoch_at(18))
