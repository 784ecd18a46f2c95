"""Facts about declaring a state, and about what an assignment refuses."""

from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any, ClassVar

import numpy as np
import pytest

from server.core.state import (
    Grid,
    GridKind,
    Leaf,
    Map,
    MapOf,
    Nested,
    State,
    StateError,
    Volatile,
    fields_of,
    load,
    plain,
)


class Item(State):
    kind: str = "rock"


class Player(State):
    SPEED: ClassVar[int] = 3

    player_id: str
    x: int = 0
    speed: float = 1.5
    is_ready: bool = False
    path: tuple[int, ...] = ()
    inventory: Map[int]
    items: Map[Item]
    hand: Item
    tiles: Grid
    typing: Volatile[bool] = False

    def step(self) -> None:
        self.x += self.SPEED


class Boss(Player):
    title: str = "boss"
    x: int = 7


class Facing(StrEnum):
    NORTH = "north"


class Tile(IntEnum):
    WALL = 1


def test_fields_are_listed_in_declared_order_with_wire_name_kind_and_default() -> None:
    facts = [(field.name, field.wire, type(field.kind)) for field in fields_of(Player)]
    assert [
        ("player_id", "playerId", Leaf),
        ("x", "x", Leaf),
        ("speed", "speed", Leaf),
        ("is_ready", "isReady", Leaf),
        ("path", "path", Leaf),
        ("inventory", "inventory", MapOf),
        ("items", "items", MapOf),
        ("hand", "hand", Nested),
        ("tiles", "tiles", GridKind),
        ("typing", "typing", Leaf),
    ] == facts
    by_name = {field.name: field for field in fields_of(Player)}
    assert (int, True) == (by_name["path"].kind.type, by_name["path"].kind.is_array)
    assert Item is by_name["items"].kind.item.type
    assert by_name["speed"].default == 1.5


def test_a_subclass_has_the_fields_of_its_base_first_and_may_change_a_default() -> None:
    assert [*(field.name for field in fields_of(Player)), "title"] == [field.name for field in fields_of(Boss)]
    assert (Boss(player_id="b").x, Player(player_id="p").x) == (7, 0)


def test_what_is_not_given_has_its_default_or_begins_empty() -> None:
    assert plain(Player(player_id="p")) == {
        "playerId": "p",
        "x": 0,
        "speed": 1.5,
        "isReady": False,
        "path": [],
        "inventory": {},
        "items": {},
        "hand": {"kind": "rock"},
        "tiles": {},
    }


def test_methods_and_class_variables_are_the_class_own() -> None:
    player = Player(player_id="p")
    player.step()
    assert player.x == 3


BAD_VALUES = [
    ("player_id", None, "expected str, got None"),
    ("player_id", 1, "expected str, got 1"),
    ("player_id", b"x", "expected str"),
    ("player_id", "\ud800", "lone surrogates"),
    ("x", "x", "expected int, got 'x'"),
    ("x", None, "null"),
    ("x", True, "expected int, got True"),
    ("x", 1.0, "expected int, got 1.0"),
    ("x", 2**53, "2^53"),
    ("x", -(2**53), "2^53"),
    ("x", np.int64(1), "expected int"),
    ("speed", float("nan"), "expected finite float"),
    ("speed", float("inf"), "expected finite float"),
    ("speed", float("-inf"), "expected finite float"),
    ("speed", 2**53, "2^53"),
    ("speed", 10**400, "2^53"),
    ("speed", True, "expected float, got True"),
    ("speed", "1", "expected float"),
    ("is_ready", 1, "expected bool, got 1"),
    ("is_ready", None, "null"),
    ("path", [1], "use a Map keyed by id"),
    ("path", (1, "2"), "expected int, got '2'"),
    ("path", (None,), "null"),
    ("path", ((1,),), "expected int"),
    ("inventory", {"a": 1}, "use a Map"),
    ("inventory", [], "expected Map"),
    ("inventory", None, "null"),
    ("inventory", Map({"a": "b"}), "['a']: expected int, got 'b'"),
    ("items", Map({"a": 1}), "['a']: expected Item, got 1"),
    ("hand", {"kind": "x"}, "expected Item"),
    ("hand", None, "null"),
    ("hand", Player(player_id="other"), "expected Item"),
    ("tiles", [[1]], "expected Grid"),
    ("typing", 1, "expected bool"),
]


@pytest.mark.parametrize(("name", "value", "reason"), BAD_VALUES)
def test_an_assignment_refuses_what_the_wire_cannot_carry_and_names_the_field(
    name: str, value: Any, reason: str
) -> None:
    player = Player(player_id="p")
    before = plain(player)
    with pytest.raises(StateError) as refused:
        setattr(player, name, value)
    assert str(refused.value).startswith(f"Player.{name}: ")
    assert reason in str(refused.value)
    assert before == plain(player)


@pytest.mark.parametrize(("name", "value", "reason"), BAD_VALUES)
def test_a_construction_refuses_the_same(name: str, value: Any, reason: str) -> None:
    with pytest.raises(StateError) as refused:
        Player(**{"player_id": "p", name: value})
    assert str(refused.value).startswith(f"Player.{name}: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("__proto__", 1, "Player.inventory['__proto__']: the key '__proto__' is not allowed"),
        ("\udfff", 1, "lone surrogates"),
        (1, 1, "Player.inventory[1]: expected str, got 1"),
        ("a", None, "Player.inventory['a']: expected int, got None"),
        ("a", True, "Player.inventory['a']: expected int, got True"),
        ("a", {}, "Player.inventory['a']: expected int, got {}"),
        ("a", 2**53, "2^53"),
        ("a", Item(), "Player.inventory['a']: expected int"),
    ],
)
def test_an_entry_of_a_map_is_refused_with_the_name_of_its_field(key: Any, value: Any, message: str) -> None:
    player = Player(player_id="p")
    with pytest.raises(StateError) as refused:
        player.inventory[key] = value
    assert message in str(refused.value)
    assert dict(player.inventory) == {}


def test_a_map_made_by_itself_refuses_bad_keys_at_once() -> None:
    with pytest.raises(StateError, match="__proto__"):
        Map({"__proto__": 1})


@pytest.mark.parametrize("change", [lambda p: setattr(p, "hpp", 1), lambda p: Player(player_id="q", hpp=1)])
def test_a_name_that_is_no_field_is_refused(change: Callable[[Player], None]) -> None:
    with pytest.raises(StateError, match=r"^Player.hpp: no such field"):
        change(Player(player_id="p"))


def test_a_field_without_default_has_to_be_given_and_none_can_be_deleted() -> None:
    with pytest.raises(StateError, match=r"^Player.player_id: has no default"):
        Player()
    with pytest.raises(StateError, match=r"^Player.x: a field cannot be deleted"):
        del Player(player_id="p").x


def test_values_are_stored_as_plain_scalars() -> None:
    player = Player(player_id=Facing.NORTH, speed=2, x=Tile.WALL)
    assert [str, float, int] == [type(player.player_id), type(player.speed), type(player.x)]
    assert (player.player_id, player.speed, player.x) == ("north", 2.0, 1)
    player.speed = -0.0
    assert str(player.speed) == "0.0"
    player.speed = np.float64(0.5)
    assert float is type(player.speed)


def test_the_largest_integers_and_any_text_are_kept() -> None:
    player = Player(player_id="\x00é😀", x=2**53 - 1)
    player.x = -(2**53 - 1)
    assert (player.player_id, player.x) == ("\x00é😀", 1 - 2**53)


def declared_as(hint: Any, **defaults: Any) -> Callable[[], object]:
    return lambda: type("Bad", (State,), {"__annotations__": {"field": hint}, **defaults})


@pytest.mark.parametrize(
    ("declare", "reason"),
    [
        (declared_as(list[int]), "use a Map keyed by id"),
        (declared_as(dict[str, int]), "use a Map keyed by id"),
        (declared_as(int | None), "null cannot be held"),
        (declared_as(Map), "say what it holds"),
        (declared_as(Map[Map[int]]), "wrap it in a State"),
        (declared_as(Map[Grid]), "wrap it in a State"),
        (declared_as(bytes), "cannot be declared"),
        (declared_as(tuple[int, int]), "cannot be declared"),
        (declared_as(tuple[Item, ...]), "cannot be declared"),
        (declared_as(int, field="x"), "expected int, got 'x'"),
        (declared_as(Grid, field=Grid(1, 1)), "begins empty"),
        (declared_as(Volatile[int]), "with a default"),
        (declared_as(Volatile[Map[int]]), "a volatile field is a scalar"),
    ],
)
def test_a_declaration_that_cannot_be_kept_is_refused_with_the_name_of_its_field(
    declare: Callable[[], object], reason: str
) -> None:
    with pytest.raises(StateError) as refused:
        declare()
    assert str(refused.value).startswith("Bad.field: ")
    assert reason in str(refused.value)


def test_names_that_would_collide_are_refused() -> None:
    with pytest.raises(StateError, match="two fields have one name on the wire"):
        type("Bad", (State,), {"__annotations__": {"a_b": int, "aB": int}, "a_b": 0, "aB": 0})
    with pytest.raises(StateError, match="no leading underscore"):
        type("Bad", (State,), {"__annotations__": {"_record": int}})


def test_a_state_has_one_place() -> None:
    one, two = Player(player_id="1"), Player(player_id="2")
    item = Item()
    one.items["i"] = item
    with pytest.raises(StateError, match=r"^Player.items\['j'\]: already held as Player.items\['i'\]"):
        two.items["j"] = item
    with pytest.raises(StateError, match=r"^Player.hand: already held as"):
        two.hand = item
    with pytest.raises(StateError, match=r"^Player.items: already held as Player.items"):
        two.items = one.items
    with pytest.raises(StateError, match="already held as"):
        Player(player_id="3", hand=item)
    two.items["j"] = one.items.pop("i")
    assert two.items["j"] is item


def test_a_state_given_twice_or_to_itself_is_refused() -> None:
    class Pair(State):
        left: Map[int]
        right: Map[int]

    class Box(State):
        boxes: Map[Item]

    twice: Map[int] = Map()
    with pytest.raises(StateError, match="already held as"):
        Pair(left=twice, right=twice)
    box = Box()
    with pytest.raises(StateError, match="cannot be put into itself"):
        box.boxes["a"] = box  # type: ignore[assignment]


def test_a_refused_map_keeps_the_values_it_has_elsewhere() -> None:
    class Scores(State):
        points: Map[int]
        means: Map[float]

    scores = Scores(points=Map({"a": 1}))
    with pytest.raises(StateError, match="already held as"):
        scores.means = scores.points  # type: ignore[assignment]
    assert int is type(scores.points["a"])


def test_a_map_behaves_as_a_dict() -> None:
    inventory = Player(player_id="p", inventory=Map({"a": 1, "b": 2})).inventory
    assert list(inventory) == ["a", "b"]
    assert "a" in inventory
    assert 3 not in inventory
    assert (len(inventory), inventory.get("c"), inventory.setdefault("c", 7)) == (2, None, 7)
    assert inventory.pop("a") == 1
    assert list(inventory.values()) == [2, 7]
    assert list(inventory.items()) == [("b", 2), ("c", 7)]
    with pytest.raises(KeyError):
        del inventory["a"]
    inventory.clear()
    assert inventory == {}


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ([], "expected object"),
        ({"playerId": None}, "Player.player_id: expected str, got None"),
        ({"playerId": "p", "items": {"a": {"kind": 1}}}, "Item.kind: expected str, got 1"),
        ({"playerId": "p", "items": {"a": 1}}, "Player.items: expected object, got 1"),
        ({"playerId": "p", "items": 1}, "Player.items: expected object, got 1"),
        ({"playerId": "p", "tiles": {"0,0": 1}}, "Player.tiles: expected rows of tiles by chunk"),
        ({"playerId": "p", "tiles": {"0,0": {"0": [1, 2], "1": [1]}}}, "Player.tiles: expected rows"),
        ({"playerId": "p", "tiles": {"a": {}}}, "Player.tiles: expected rows of tiles by chunk"),
        ({"x": 1}, "Player.player_id: has no default"),
    ],
)
def test_a_snapshot_that_the_class_cannot_hold_is_refused_with_the_name_of_the_field(old: Any, message: str) -> None:
    with pytest.raises(StateError) as refused:
        load(Player, old)
    assert message in str(refused.value)


def test_an_old_snapshot_loads_unknown_fields_ignored_and_missing_ones_at_their_defaults() -> None:
    player = load(Player, {"playerId": "p", "x": 4, "path": [1, 2], "mana": 9, "hand": {}, "typing": True})
    assert (player.x, player.speed, player.path, player.hand.kind, player.typing) == (4, 1.5, (1, 2), "rock", False)
