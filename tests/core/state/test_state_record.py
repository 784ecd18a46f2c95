"""Facts about what a state records: which patch a change makes, and which it does not."""

from typing import ClassVar

import pytest

from server.core.state import (
    Grid,
    Map,
    State,
    Volatile,
    apply,
    clear,
    has_changes,
    load,
    plain,
    take_patch,
    take_volatile,
    volatile_values,
)
from server.core.state.node import Take


class Item(State):
    kind: str = "rock"
    marks: Map[int]


class Player(State):
    name: str = ""
    x: int = 0
    y: int = 0
    speed: float = 0.0
    path: tuple[int, ...] = ()
    items: Map[Item]
    typing: Volatile[bool] = False
    cursor: Volatile[float] = 0.0


class World(State):
    tiles: Grid
    name: str = ""


class Room(State):
    world: World
    players: Map[Player]
    scores: Map[int]


def a_room() -> Room:
    room = Room(world=World(tiles=Grid(4, 4, chunk=2)))
    room.players["a"] = Player(name="Ada", items=Map({"i": Item(marks=Map({"m": 1, "n": 2}))}))
    room.players["b"] = Player(name="Bob")
    room.scores["s"] = 1000000
    clear(room)
    return room


def test_the_first_patch_of_a_new_root_is_its_whole_state() -> None:
    room = Room(scores=Map({"a": 1}))
    room.scores["b"] = 2
    assert has_changes(room)
    assert plain(room) == take_patch(room)
    assert not has_changes(room)
    assert take_patch(room) is None


def test_a_loaded_root_has_an_empty_record() -> None:
    room = load(Room, plain(a_room()))
    assert (has_changes(room), take_patch(room), take_volatile(room)) == (False, None, None)


def test_a_move_is_a_patch_of_what_moved() -> None:
    room = a_room()
    room.players["a"].x += 1
    assert has_changes(room)
    assert take_patch(room) == {"players": {"a": {"x": 1}}}


def test_a_field_set_to_its_present_value_records_nothing() -> None:
    room = a_room()
    room.players["a"].x = 0
    room.players["a"].name = "Ada"
    room.players["a"].speed = 0
    room.players["a"].path = ()
    room.scores["s"] = int("1000000")
    room.players["a"].items = room.players["a"].items
    room.players["a"] = room.players["a"]
    room.world.tiles[0, 0] = 0
    assert not has_changes(room)
    assert take_patch(room) is None


def test_a_field_that_ends_as_it_began_is_not_in_the_patch() -> None:
    room = a_room()
    room.players["a"].x = 5
    room.players["a"].y = 5
    room.players["a"].x = 0
    room.players["c"] = Player()
    del room.players["c"]
    assert take_patch(room) == {"players": {"a": {"y": 5}}}


def test_changes_that_cancel_out_make_no_patch() -> None:
    room = a_room()
    room.players["a"].x = 5
    room.players["a"].x = 0
    room.scores["t"] = 1
    del room.scores["t"]
    assert take_patch(room) is None


def test_an_array_is_replaced_as_a_whole() -> None:
    room = a_room()
    room.players["a"].path = (1, 2)
    assert take_patch(room) == {"players": {"a": {"path": [1, 2]}}}


def test_a_new_entry_is_carried_whole_and_a_removed_one_is_null() -> None:
    room = a_room()
    room.players["c"] = Player(name="Cy", x=3)
    room.players["c"].y = 4
    del room.players["b"]
    whole = {"name": "Cy", "x": 3, "y": 4, "speed": 0.0, "path": [], "items": {}}
    assert {"players": {"c": whole, "b": None}} == take_patch(room)


def test_changes_of_an_entry_before_it_was_taken_are_not_lost_after() -> None:
    room = a_room()
    player = Player()
    player.x = 1
    room.players["c"] = player
    take_patch(room)
    player.x = 2
    assert take_patch(room) == {"players": {"c": {"x": 2}}}


def test_a_replaced_entry_carries_null_for_each_inner_key_that_is_gone() -> None:
    room = a_room()
    room.players["a"] = Player(items=Map({"j": Item()}))
    patch = take_patch(room)
    assert patch is not None
    assert patch["players"]["a"]["items"] == {"i": None, "j": {"kind": "rock", "marks": {}}}


def test_an_entry_deleted_and_set_again_carries_null_at_every_depth() -> None:
    room = a_room()
    before = plain(room)
    del room.players["a"]
    room.players["a"] = Player(items=Map({"i": Item(kind="gem", marks=Map({"n": 3}))}))
    patch = take_patch(room)
    assert patch is not None
    assert patch["players"]["a"]["items"] == {"i": {"kind": "gem", "marks": {"n": 3, "m": None}}}
    assert plain(room) == apply(before, patch)


def test_the_keys_that_are_gone_are_those_of_the_last_take_whatever_happened_to_the_old_entry_since() -> None:
    room = a_room()
    before = plain(room)
    old = room.players["a"]
    old.items["new"] = Item()
    del old.items["i"].marks["m"]
    room.players["a"] = Player()
    old.items.clear()
    patch = take_patch(room)
    assert patch is not None
    assert patch["players"]["a"]["items"] == {"i": None}
    assert plain(room) == apply(before, patch)


def test_entries_that_swap_places_are_seen_as_they_were_at_the_last_take() -> None:
    room = a_room()
    before = plain(room)
    a, b = room.players.pop("a"), room.players.pop("b")
    room.players["a"], room.players["b"] = b, a
    a.items["i"].marks.clear()
    patch = take_patch(room)
    assert patch is not None
    assert patch["players"]["a"]["items"] == {"i": None}
    assert plain(room) == apply(before, patch)
    a.x = 9
    assert take_patch(room) == {"players": {"b": {"x": 9}}}


def test_an_entry_taken_out_and_put_back_carries_only_what_changed() -> None:
    room = a_room()
    player = room.players.pop("a")
    player.x = 2
    room.players["a"] = player
    assert take_patch(room) == {"players": {"a": {"x": 2}}}


def test_an_entry_put_back_after_a_take_is_carried_whole_and_recorded_again() -> None:
    room = a_room()
    player = room.players.pop("a")
    player.x = 1
    assert take_patch(room) == {"players": {"a": None}}
    player.items["i"].kind = "gem"
    assert take_patch(room) is None
    room.players["a"] = player
    assert {"players": {"a": plain(player)}} == take_patch(room)
    player.items["i"].marks["o"] = 1
    assert take_patch(room) == {"players": {"a": {"items": {"i": {"marks": {"o": 1}}}}}}


def test_a_replaced_nested_state_carries_its_fields_and_null_for_keys_of_maps_and_grids_that_are_gone() -> None:
    room = a_room()
    before = plain(room)
    room.world = World(tiles=Grid(2, 1, chunk=2))
    patch = take_patch(room)
    gone = {"0,0": {"0": [0, 0], "1": None}, "0,1": None, "1,0": None, "1,1": None}
    assert {"world": {"name": "", "tiles": gone}} == patch
    assert plain(room) == apply(before, patch)


def test_what_is_taken_does_not_change_with_the_state() -> None:
    room = a_room()
    room.players["c"] = Player(path=(1,), items=Map({"i": Item()}))
    room.world.tiles[0, 0] = 1
    patch = take_patch(room)
    whole = plain(room)
    text = repr((patch, whole))
    room.players["c"].items["i"].marks["m"] = 1
    room.players["c"].path = (2,)
    room.world.tiles[1, 0] = 2
    take_patch(room)
    assert text == repr((patch, whole))


def test_editing_what_was_taken_does_not_change_the_state() -> None:
    room = a_room()
    whole = plain(room)
    whole["players"]["a"]["path"].append(1)
    whole["world"]["tiles"]["0,0"]["0"][0] = 7
    del whole["players"]["a"]["items"]["i"]
    assert plain(a_room()) == plain(room)


def test_a_take_visits_only_what_changed() -> None:
    class Counted(State):
        visits: ClassVar[int] = 0

        x: int = 0
        marks: Map[int]

        def _tree(self, view: int, at_take: bool = False) -> dict[str, object]:
            Counted.visits += 1
            return super()._tree(view, at_take)

        def _patch(self, take: Take) -> dict[str, object]:
            Counted.visits += 1
            return super()._patch(take)

        def _settle(self, view: int) -> None:
            Counted.visits += 1
            super()._settle(view)

    class Crowd(State):
        people: Map[Counted]

    crowd = Crowd(people=Map({str(n): Counted() for n in range(100)}))
    take_patch(crowd)
    Counted.visits = 0
    crowd.people["7"].x = 1
    assert take_patch(crowd) == {"people": {"7": {"x": 1}}}
    assert Counted.visits == 1


def test_only_the_root_can_be_taken_from() -> None:
    with pytest.raises(AssertionError, match="root"):
        take_patch(a_room().players["a"])


def test_volatile_fields_are_in_no_patch_and_no_snapshot() -> None:
    room = a_room()
    room.players["a"].typing = True
    assert (has_changes(room), take_patch(room)) == (False, None)
    assert "typing" not in plain(room)["players"]["a"]
    assert take_volatile(room) == {"players": {"a": {"typing": True}}}
    assert take_volatile(room) is None


def test_a_newcomer_gets_the_volatile_values_that_differ_from_their_defaults() -> None:
    room = a_room()
    assert volatile_values(room) is None
    room.players["a"].cursor = 1
    room.players["b"].typing = True
    room.players["b"].typing = False
    assert volatile_values(room) == {"players": {"a": {"cursor": 1.0}}}


def test_a_volatile_value_back_at_its_default_is_null() -> None:
    room = a_room()
    room.players["a"].typing = True
    take_volatile(room)
    room.players["a"].typing = False
    room.players["a"].cursor = 2.0
    assert take_volatile(room) == {"players": {"a": {"typing": None, "cursor": 2.0}}}


def test_an_entry_without_volatile_values_is_in_no_volatile_patch() -> None:
    room = a_room()
    room.players["c"] = Player()
    room.players["a"] = Player()
    assert take_volatile(room) is None


def test_cleared_volatile_values_count_as_taken() -> None:
    room = a_room()
    room.players["a"].typing = True
    room.players["b"].x = 1
    clear(room)
    assert (has_changes(room), take_patch(room), take_volatile(room)) == (False, None, None)
    assert volatile_values(room) == {"players": {"a": {"typing": True}}}


def test_an_entry_with_volatile_fields_only_is_an_empty_object() -> None:
    class Cursor(State):
        x: Volatile[float] = 0.0

    class Chart(State):
        mine: Cursor
        others: Map[Cursor]

    root = Chart()
    take_patch(root)
    root.others["a"] = Cursor(x=1.0)
    assert take_patch(root) == {"others": {"a": {}}}
    assert plain(root) == {"mine": {}, "others": {"a": {}}}
    assert take_volatile(root) == {"others": {"a": {"x": 1.0}}}


def test_removing_an_entry_that_had_volatile_values_is_null_in_their_patch() -> None:
    room = a_room()
    room.players["a"].typing = True
    take_volatile(room)
    room.players["a"].typing = False
    del room.players["a"]
    del room.players["b"]
    take_patch(room)
    assert take_volatile(room) == {"players": {"a": None}}


def test_replacing_an_entry_that_had_volatile_values_resets_them() -> None:
    room = a_room()
    room.players["a"].typing = True
    take_volatile(room)
    room.players["a"] = Player(cursor=1.0)
    take_patch(room)
    assert take_volatile(room) == {"players": {"a": {"cursor": 1.0, "typing": None}}}


def test_the_two_records_are_taken_at_their_own_pace() -> None:
    room = a_room()
    room.players["c"] = Player(typing=True)
    take_patch(room)
    room.players["c"].x = 1
    assert take_volatile(room) == {"players": {"c": {"typing": True}}}
    assert take_patch(room) == {"players": {"c": {"x": 1}}}
    room.players["c"].cursor = 3.0
    assert take_patch(room) is None
    assert take_volatile(room) == {"players": {"c": {"cursor": 3.0}}}
