"""Facts and properties of merge patches on plain trees; the RFC's own function is the judge."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.state import apply, apply_in_place, compose, merge

KEYS = st.sampled_from("abc")
LEAVES = st.none() | st.integers(0, 2) | st.text("x", max_size=1) | st.lists(st.integers(0, 1), max_size=2)
PATCHES = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3), lambda inner: st.dictionaries(KEYS, LEAVES | inner, max_size=3)
)


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386 section 2, word for word, as the judge."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


#: A tree holds no null: it is what patches made.
TREES = PATCHES.map(lambda patch: merge_patch({}, patch))


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7386_appendix_a_hold(target: Any, patch: Any, result: Any) -> None:
    assert result == apply(target, patch)


@given(TREES, PATCHES)
def test_applying_is_the_merge_patch_of_the_rfc(target: Any, patch: Any) -> None:
    expected = merge_patch(target, patch)
    assert expected == apply(target, patch)
    apply_in_place(target, patch)
    assert expected == target


@given(TREES, PATCHES, st.lists(PATCHES, max_size=3))
def test_a_target_and_a_patch_are_never_changed_by_what_is_applied_later(
    target: Any, patch: Any, later: list[Any]
) -> None:
    target_before, patch_before = deepcopy(target), deepcopy(patch)
    patched = apply(target, patch)
    for other in later:
        apply_in_place(patched, other)
    assert (target_before, patch_before) == (target, patch)


@given(TREES, st.lists(PATCHES, max_size=6))
def test_composed_patches_do_what_the_patches_do_one_by_one(target: Any, patches: list[Any]) -> None:
    expected = target
    for patch in patches:
        expected = merge_patch(expected, patch)
    for split in range(len(patches) + 1):
        folded = deepcopy(target)
        for patch in [*compose(patches[:split]), *compose(patches[split:])]:
            apply_in_place(folded, patch)
        assert expected == folded


@given(st.lists(PATCHES, max_size=6))
def test_composing_changes_no_patch_and_shares_none(patches: list[Any]) -> None:
    before = deepcopy(patches)
    composed = compose(patches)
    for patch in patches:
        merge(composed, patch)
    assert before == patches


@given(st.lists(PATCHES, max_size=6))
def test_composing_is_the_same_all_at_once_and_one_at_a_time(patches: list[Any]) -> None:
    composed: list[Any] = []
    for patch in patches:
        merge(composed, patch)
    assert compose(patches) == composed


def becomes_object(earlier: Any, later: Any) -> bool:
    """Whether a key that `earlier` sets to null, a scalar or an array is an object in `later`."""
    return any(
        isinstance(later[key], dict) and (not isinstance(value, dict) or becomes_object(value, later[key]))
        for key, value in earlier.items()
        if key in later
    )


@given(st.lists(PATCHES, max_size=6))
def test_a_second_patch_begins_only_at_the_exception(patches: list[Any]) -> None:
    composed: list[Any] = []
    for patch in patches:
        begins = bool(patch) and (not composed or becomes_object(composed[-1], patch))
        length = len(composed)
        merge(composed, patch)
        assert len(composed) == length + begins
    assert {} not in composed


@pytest.mark.parametrize("value", [None, 1, "text", False, [1, 2]])
def test_a_key_that_was_no_object_and_becomes_one_begins_a_second_patch(value: Any) -> None:
    patches = [{"a": {"b": value}}, {"a": {"b": {"y": 1}}}]
    assert patches == compose(patches)
    assert apply(apply({"a": {"b": {"x": 1}}}, patches[0]), patches[1]) == {"a": {"b": {"y": 1}}}


def test_a_patch_that_stops_the_merge_follows_as_a_whole() -> None:
    """What of it came before as well is said twice, which changes nothing."""
    first = {"n": 1, "gone": None}
    second = {"n": 2, "m": {"k": 3}, "gone": {"x": 1}}
    assert [{"n": 2, "m": {"k": 3}, "gone": None}, second] == compose([first, second])
    assert ({"n": 1, "gone": None}, {"n": 2, "m": {"k": 3}, "gone": {"x": 1}}) == (first, second)


def test_a_merge_goes_on_behind_its_second_patch() -> None:
    assert compose([{"a": None}, {"a": {"x": 1}}, {"a": {"y": 2}}]) == [{"a": None}, {"a": {"x": 1, "y": 2}}]


@pytest.mark.parametrize(
    ("earlier", "later", "merged"),
    [
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": {"x": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": None}, {"a": 1}, {"a": 1}),
        ({"a": {"x": 1}}, {"a": {"x": None}}, {"a": {"x": None}}),
        ({"a": {}}, {"a": {"x": {"y": 1}}}, {"a": {"x": {"y": 1}}}),
    ],
)
def test_all_else_merges_into_one_patch(earlier: Any, later: Any, merged: Any) -> None:
    assert [merged] == compose([earlier, later])


def test_patches_that_change_nothing_compose_to_none() -> None:
    assert compose([{}, {}]) == []
