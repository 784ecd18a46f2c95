"""
Properties of any history of a state: random steps on random states, and after each step its patch.

A step picks nodes anywhere in the tree, attached or taken out earlier, and sets, replaces, removes,
moves and puts back. Keys and values are few, so that the same ones meet again.
"""

from copy import deepcopy
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.state import (
    Grid,
    Leaf,
    Map,
    MapOf,
    Nested,
    State,
    Volatile,
    apply,
    apply_in_place,
    compose,
    fields_of,
    has_changes,
    load,
    plain,
    take_patch,
    take_volatile,
    volatile_values,
)


class Item(State):
    kind: str = "rock"
    marks: Map[int]
    glow: Volatile[int] = 0


class Player(State):
    x: int = 0
    speed: float = 0.0
    is_ready: bool = False
    path: tuple[str, ...] = ()
    items: Map[Item]
    hand: Item
    cursor_x: Volatile[float] = 0.0


class World(State):
    name: str = ""
    tiles: Grid
    chests: Map[Item]


class Room(State):
    world: World
    players: Map[Player]
    scores: Map[float]


KEYS = st.sampled_from(["a", "b", "é"])
SCALARS: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.sampled_from([0, 1, -1, 2**53 - 1, 1 - 2**53]),
    float: st.sampled_from([0.0, -0.0, 1, 0.1, -1e300, 2**53 - 1]),
    str: st.sampled_from(["", "x", "\x00", "😀"]),
}


def leaf_of(draw: Any, kind: Leaf) -> Any:
    scalar = SCALARS[kind.type]
    return draw(st.lists(scalar, max_size=2).map(tuple) if kind.is_array else scalar)


def value_of(draw: Any, kind: Any) -> Any:
    """A new value of a kind, with content of its own."""
    if isinstance(kind, Leaf):
        return leaf_of(draw, kind)
    if isinstance(kind, MapOf):
        return Map({key: value_of(draw, kind.item) for key in draw(st.sets(KEYS))})
    if isinstance(kind, Nested):
        given_fields = [field for field in fields_of(kind.type) if draw(st.booleans())]
        return kind.type(**{field.name: value_of(draw, field.kind) for field in given_fields})
    grid = Grid(draw(st.integers(0, 3)), draw(st.integers(0, 3)), chunk=2)
    if draw(st.booleans()) and grid.width and grid.height:
        grid[0, 0] = draw(st.integers(0, 2))
    return grid


Place = tuple[Any, Any]  # a node, and its kind


def places_below(node: Any, kind: Any) -> list[Place]:
    found = [(node, kind)]
    if isinstance(kind, Nested):
        for field in fields_of(kind.type):
            if field.kind.is_node:
                found += places_below(getattr(node, field.name), field.kind)
    elif isinstance(kind, MapOf) and kind.item.is_node:
        for child in node.values():
            found += places_below(child, kind.item)
    return found


def change(draw: Any, root: Room, loose: list[Place]) -> None:
    """One random change of a node in the tree, or of one taken out of it."""
    everywhere = places_below(root, Nested(Room, ())) + [
        place for node, kind in loose for place in places_below(node, kind)
    ]
    node, kind = draw(st.sampled_from(everywhere))
    if isinstance(kind, MapOf):
        change_map(draw, node, kind, loose)
    elif isinstance(kind, Nested):
        field = draw(st.sampled_from(fields_of(kind.type)))
        old = getattr(node, field.name)
        setattr(node, field.name, found_or_new(draw, field.kind, loose, node, root))
        if field.kind.is_node and getattr(node, field.name) is not old:
            loose.append((old, field.kind))
    elif node.width and node.height:
        node[draw(st.integers(0, node.width - 1)), draw(st.integers(0, node.height - 1))] = draw(st.integers(0, 2))


def change_map(draw: Any, node: Any, kind: MapOf, loose: list[Place]) -> None:
    key = draw(KEYS)
    old = node.get(key)
    if draw(st.booleans()):
        node.pop(key, None)
    else:
        node[key] = found_or_new(draw, kind.item, loose, node, node)
    if kind.item.is_node and old is not None and node.get(key) is not old:
        loose.append((old, kind.item))


def found_or_new(draw: Any, kind: Any, loose: list[Place], into: Any, root: Any) -> Any:
    """A node taken out earlier, where one fits and does not hold the place itself; else a new value."""
    fitting = [
        index
        for index, (node, its_kind) in enumerate(loose)
        if its_kind == kind and all(into is not below for below, _ in places_below(node, kind))
    ]
    if fitting and draw(st.booleans()):
        return loose.pop(draw(st.sampled_from(fitting)))[0]
    return value_of(draw, kind)


def without_empties(tree: dict[str, Any]) -> dict[str, Any]:
    """A volatile tree as its readers see it: an empty object says nothing."""
    pruned = {key: without_empties(value) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in pruned.items() if value != {}}


def carried(tree: Any) -> list[Any]:
    """What arrives of a tree by each codec."""
    return [
        msgspec.json.decode(msgspec.json.encode(tree)),
        msgspec.msgpack.decode(msgspec.msgpack.encode(tree)),
    ]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_history_is_told_by_its_patches(data: st.DataObject) -> None:
    draw = data.draw
    root = value_of(draw, Nested(Room, ()))
    loose: list[Place] = []
    shown = plain(root)
    shown_volatile = volatile_values(root) or {}
    assert shown == take_patch(root)
    assert shown_volatile == (take_volatile(root) or {})
    states, patches, copies = [shown], [], []
    for _ in range(draw(st.integers(1, 6))):
        for _ in range(draw(st.integers(0, 5))):
            change(draw, root, loose)
        if draw(st.booleans()):
            shown_volatile = apply(shown_volatile, take_volatile(root) or {})
            assert without_empties(volatile_values(root) or {}) == without_empties(shown_volatile)
        changed = has_changes(root)
        patch = take_patch(root)
        assert changed or patch is None
        states.append(plain(root))
        patches.append(patch or {})
        copies.append(deepcopy(patch or {}))
        assert states[-1] == apply(states[-2], patches[-1])
        assert [patches[-1]] * 2 == carried(patches[-1])
        assert states[-1] == plain(load(Room, states[-1]))
        assert (has_changes(root), take_patch(root)) == (False, None)

    for split in range(len(patches) + 1):
        folded = deepcopy(states[0])
        for patch in [*compose(patches[:split]), *compose(patches[split:])]:
            apply_in_place(folded, patch)
        assert states[-1] == folded
    one_by_one = deepcopy(states[0])
    for patch in patches:
        apply_in_place(one_by_one, patch)
    assert states[-1] == one_by_one == plain(load(Room, one_by_one))
    assert copies == patches
    assert all(apply(before, patch) == after for before, patch, after in zip(states, copies, states[1:], strict=False))
