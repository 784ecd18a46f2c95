"""Facts about what characters do in the game room: doors, items, blows."""

import pytest

from contracts.states import HP_MAX
from server.rooms.game.room import CARRIED_MAX, ITEMS_MAX
from server.rooms.game.state import DOOR_CLOSED, DOOR_OPEN, SPAWNS
from tests.rooms.arena import DOOR, arena, at, held_by


def test_an_unknown_action_is_refused_with_those_that_are_known() -> None:
    reject = arena().join("a").act("dance")
    assert ("illegal", "Nobody here can 'dance': it is open, take, drop, strike.") == (
        reject["code"],
        reject["message"],
    )


# -- doors ------------------------------------------------------------------------------------------------------------


def test_a_door_faced_opens_lets_through_and_closes_again() -> None:
    table = arena()
    ada = table.join("a").stand(12, 6)
    assert ada.move(0, -1) is None
    assert ada.act("open") is None
    assert DOOR_OPEN == table.state.world.tiles[DOOR]
    assert ada.move(0, -1) is None
    assert ada.move(0, -1) is None
    assert ada.act("open", "12,4") is None
    assert DOOR_CLOSED == table.state.world.tiles[DOOR]


def test_a_door_cannot_close_on_anyone_not_even_on_who_closes_it() -> None:
    table = arena()
    ada, ben = table.join("a").stand(12, 5, "up"), table.join("b")
    ada.act("open")
    ben.stand(*DOOR)
    ben.drop()
    assert "Someone stands in the doorway." == ada.act("open")["message"]
    ben.leave()
    ada.stand(*DOOR)
    assert "Someone stands in the doorway." == ada.act("open", "12,4")["message"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("11,4", "There is no door."),
        ("-1,5", "Only a door next to you can be opened."),
        ("14,4", "Only a door next to you can be opened."),
        ("the door", "Only a door next to you can be opened."),
        ("12", "Only a door next to you can be opened."),
        ("", "Only a door next to you can be opened."),
        ("9" * 60 + ",4", "Only a door next to you can be opened."),
        (None, "There is no door."),
    ],
)
def test_only_a_door_within_reach_opens(target: str | None, message: str) -> None:
    reject = arena().join("a").stand(12, 5, "down").act("open", target)
    assert ("illegal", message) == (reject["code"], reject["message"])


def test_beyond_the_worlds_edge_is_no_door() -> None:
    assert "There is no door." == arena().join("a").stand(0, 0, "up").act("open")["message"]


# -- items ------------------------------------------------------------------------------------------------------------


def test_what_lies_underfoot_is_taken_before_what_is_faced() -> None:
    table = arena({"faced": {"kind": "key", "x": 20, "y": 21}, "under": {"kind": "coin", "x": 20, "y": 20}})
    ada = table.join("a").stand(20, 20, "down")
    assert ada.act("take") is None
    assert {"coin": 1} == held_by(ada)
    assert ada.act("take") is None
    assert {"coin": 1, "key": 1} == held_by(ada)
    assert "There is nothing to take." == ada.act("take")["message"]


def test_items_of_a_kind_are_counted_and_lie_down_one_by_one() -> None:
    table = arena({"1": {"kind": "coin", "x": 20, "y": 20}, "2": {"kind": "coin", "x": 21, "y": 21}})
    ada = table.join("a").stand(20, 20)
    assert ada.act("take", "2") is None
    assert ada.act("take", "1") is None
    assert {"coin": 2} == held_by(ada)
    assert ada.act("drop", "coin") is None
    assert {"coin": 1} == held_by(ada)
    assert ada.act("drop") is None
    assert {} == held_by(ada)
    lying = [item for item_id, item in table.tree["world"]["items"].items() if not item_id.startswith("far")]
    assert [{"kind": "coin", "x": 20, "y": 20}] * 2 == lying
    assert "You carry nothing." == ada.act("drop")["message"]


def test_drop_without_a_target_puts_down_what_was_first_picked_up() -> None:
    ada = arena().join("a", rest={"name": "Ada", "hp": 10, "inventory": {"shield": 1, "apple": 2}})
    ada.act("drop")
    assert {"apple": 2} == held_by(ada)
    assert "You do not carry that." == ada.act("drop", "shield")["message"]


@pytest.mark.parametrize(("x", "y"), [(22, 20), (20, 22), (18, 21), (21, 18)])
def test_an_item_two_tiles_away_is_out_of_reach(x: int, y: int) -> None:
    ada = arena({"i": {"kind": "key", "x": x, "y": y}}).join("a").stand(20, 20)
    assert "That is too far away." == ada.act("take", "i")["message"]


def test_an_item_that_someone_else_took_is_gone() -> None:
    table = arena({"i": {"kind": "key", "x": 20, "y": 20}})
    ada, ben = table.join("a").stand(20, 20), table.join("b").stand(20, 20)
    assert ben.act("take", "i") is None
    assert "That is not there any more." == ada.act("take", "i")["message"]


def test_hands_and_ground_hold_only_so_much() -> None:
    table = arena({"i": {"kind": "key", "x": 20, "y": 20}})
    rest = {"name": "Ada", "hp": 1, "inventory": {"coin": CARRIED_MAX}}
    ada = table.join("a", rest=rest).stand(20, 20)
    assert "You cannot carry any more." == ada.act("take")["message"]
    free = ITEMS_MAX - len(table.state.world.items)
    heaps = [table.join(f"b{n}", rest=rest) for n in range(free // CARRIED_MAX)]
    for heap in heaps:
        for _ in range(CARRIED_MAX):
            assert heap.act("drop") is None
    for _ in range(free % CARRIED_MAX - 1):
        assert ada.act("drop") is None
    # One more has room: of what falls with a character, the rest stays with it.
    before = sum(held_by(ada).values())
    heaps[0].stand(21, 20, "left")
    assert heaps[0].act("strike") is None
    assert (before - 1, HP_MAX) == (sum(held_by(ada).values()), ada.own.hp)
    assert "Too much lies around already." == ada.act("drop")["message"]


# -- blows ------------------------------------------------------------------------------------------------------------


def test_a_strike_hurts_who_is_faced() -> None:
    table = arena()
    ada, ben = table.join("a").stand(20, 20, "right"), table.join("b").stand(21, 20)
    assert ada.act("strike") is None
    assert HP_MAX - 3 <= ben.own.hp <= HP_MAX - 1
    assert HP_MAX == ada.own.hp


def test_a_target_may_be_on_the_own_tile_or_any_of_the_eight_around() -> None:
    table = arena()
    ada, ben = table.join("a").stand(20, 20, "right"), table.join("b", "Ben")
    for x, y in [(20, 20), (19, 19), (21, 21)]:
        ben.stand(x, y)
        assert ada.act("strike", "b") is None
    ben.stand(22, 20)
    assert "Ben is out of reach." == ada.act("strike", "b")["message"]


def test_who_falls_drops_all_and_wakes_whole_on_the_plaza() -> None:
    table = arena()
    ada = table.join("a").stand(20, 20, "right")
    ben = table.join("b", rest={"name": "Ben", "hp": 1, "inventory": {"coin": 2, "key": 1}}).stand(21, 20)
    assert ada.act("strike") is None
    assert (HP_MAX, {}) == (ben.own.hp, held_by(ben))
    assert at(ben) in SPAWNS
    lying = [(item["kind"], item["x"], item["y"]) for item in table.tree["world"]["items"].values() if item["y"] == 20]
    assert [("coin", 21, 20)] * 2 + [("key", 21, 20)] == [item for item in lying if item[0] != "shell"]


def test_who_is_away_cannot_be_struck_and_shields_nobody() -> None:
    table = arena()
    ada = table.join("a").stand(20, 20, "right")
    ben = table.join("b", "Ben").stand(21, 20)
    ben.drop()
    reject = ada.act("strike")
    assert ("illegal", "Ben is away and cannot be struck.") == (reject["code"], reject["message"])
    cyd = table.join("c").stand(21, 20)
    assert ada.act("strike") is None
    assert (HP_MAX, True) == (ben.own.hp, cyd.own.hp < HP_MAX)


def test_there_must_be_someone_else_to_strike() -> None:
    table = arena()
    ada, _ = table.join("a").stand(20, 20, "right"), table.join("b").stand(20, 20)
    assert "Nobody is there." == ada.act("strike")["message"]
    assert "Nobody is there." == ada.act("strike", "z")["message"]
    assert "You cannot strike yourself." == ada.act("strike", "a")["message"]
