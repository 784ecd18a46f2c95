"""Facts about the rules of the game room, seen through a real room and its links."""

from typing import Any

import msgspec
import pytest

from contracts.http import CharacterProfile
from contracts.states import GameState
from server.core.state import plain
from server.rooms.game import Game
from server.rooms.game.room import CARRIED_MAX, HP_MAX, ITEMS, ITEMS_MAX
from server.rooms.game.state import DOOR_CLOSED, DOOR_OPEN, FLOOR, GRASS, SIZE, SPAWNS, WALL, WATER
from tests.rooms.table import Sitting, Table, set_table

#: A house wall from (10, 4) to (14, 4) with a door in it, water behind, all else grass.
WALLS = [(10, 4), (11, 4), (13, 4), (14, 4)]
DOOR = (12, 4)
POND = (12, 8)


def arena(items: dict[str, Any] | None = None, seed: int = 1) -> Table:
    """A bare world with one wall, one door and one pond."""
    game = Game()
    table = set_table(game, seed=seed).create(seed=1)
    world = plain(table.state)["world"]
    grid = [[GRASS] * SIZE for _ in range(SIZE)]
    for x, y in WALLS:
        grid[y][x] = WALL
    grid[DOOR[1]][DOOR[0]] = DOOR_CLOSED
    grid[POND[1]][POND[0]] = WATER
    for x, y in SPAWNS:
        grid[y][x] = FLOOR
    world["tiles"] = {
        f"{cx},{cy}": {str(row): grid[cy * 16 + row][cx * 16 : cx * 16 + 16] for row in range(16)}
        for cx in range(SIZE // 16)
        for cy in range(SIZE // 16)
    }
    # Far away, so that a join finds enough and scatters nothing.
    far = {f"far{n}": {"kind": "shell", "x": 90, "y": n} for n in range(ITEMS)}
    world["items"] = {**far, **(items or {})}
    return set_table(Game(), {"world": world, "players": {}}, seed)


def at(sitting: Sitting) -> tuple[int, int]:
    return sitting.own.x, sitting.own.y


def held_by(sitting: Sitting) -> dict[str, int]:
    return dict(sitting.own.inventory)


# -- the world --------------------------------------------------------------------------------------------------------


def test_the_state_keeps_its_contract_strictly() -> None:
    table = set_table(Game()).create(seed=5)
    table.join("a", rest={"name": "Ada", "hp": 4, "inventory": {"key": 2}})
    state = plain(table.state)
    understood = msgspec.convert(state, GameState, strict=True)
    assert (SIZE, SIZE, ITEMS) == (understood.world.width, understood.world.height, len(understood.world.items))
    # Nothing is in the state that the contract does not name.
    assert state == msgspec.to_builtins(understood) == table.tree


def test_a_seed_makes_the_same_world_whatever_the_chance() -> None:
    ours, theirs = (set_table(Game(), seed=chance).create(seed=-3) for chance in (1, 2))
    assert ours.tree == theirs.tree


@pytest.mark.parametrize("seed", [None, "7", True, 1.5, [], {}])
def test_without_an_integer_seed_chance_makes_the_world(seed: Any) -> None:
    ours, theirs = (set_table(Game(), seed=chance).create(seed=seed) for chance in (1, 2))
    assert ours.tree["world"]["tiles"] != theirs.tree["world"]["tiles"]


def test_the_journal_alone_explains_the_world() -> None:
    table = set_table(Game()).create(seed=1)
    table.join("a").move(0, 1)
    assert plain(table.state) == plain(set_table(Game(), table.tree).state)


# -- joining and leaving ----------------------------------------------------------------------------------------------


def test_a_new_character_enters_on_a_spawn_tile_whole_and_empty_handed() -> None:
    ada = arena().join("a", "Ada")
    own = ada.own
    assert at(ada) in SPAWNS
    assert ("player of a", "Ada", HP_MAX, {}, True) == (own.player_id, own.name, own.hp, held_by(ada), own.connected)


def test_a_character_comes_with_what_it_carries_and_takes_it_away() -> None:
    table = arena()
    ada = table.join("a", "Ada", {"name": "Old name", "hp": 3, "inventory": {"key": 1, "coin": 4}})
    assert (3, {"key": 1, "coin": 4}) == (ada.own.hp, held_by(ada))
    rest = ada.leave()
    assert CharacterProfile(name="Ada", hp=3, inventory={"key": 1, "coin": 4}) == msgspec.convert(
        rest, CharacterProfile
    )
    assert {} == table.tree["players"]


def test_a_join_brings_items_back_to_a_world_where_few_are_left() -> None:
    table = arena()
    items = table.state.world.items
    for item_id in list(items)[: ITEMS // 2 + 1]:
        del items[item_id]
    table.join("a")
    assert ITEMS == len(items)
    table.join("b")
    assert ITEMS == len(items)


def test_a_dropped_session_stays_in_the_world_and_is_shown_as_away() -> None:
    table = arena()
    ada = table.join("a").stand(10, 10)
    ada.drop()
    assert (False, (10, 10)) == (table.tree["players"]["a"]["connected"], at(ada))
    ada.reconnect()
    assert table.tree["players"]["a"]["connected"] is True


# -- moving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "facing"),
    [
        ((0, -1), "up"),
        ((0, 1), "down"),
        ((-1, 0), "left"),
        ((1, 0), "right"),
        ((-1, -1), "left"),
        ((-1, 1), "left"),
        ((1, -1), "right"),
        ((1, 1), "right"),
    ],
)
def test_a_step_leads_to_the_next_tile_and_turns_the_character(step: tuple[int, int], facing: str) -> None:
    ada = arena().join("a").stand(20, 20)
    assert ada.move(*step) is None
    assert ((20 + step[0], 20 + step[1]), facing) == (at(ada), ada.own.facing)


@pytest.mark.parametrize(
    ("start", "step", "message"),
    [
        ((11, 5), (0, -1), "A wall is in the way."),
        ((12, 5), (-1, -1), "A wall is in the way."),
        ((12, 5), (0, -1), "The door is closed."),
        ((12, 7), (0, 1), "The water is too deep."),
        ((0, 0), (-1, 0), "The world ends here."),
        ((SIZE - 1, SIZE - 1), (0, 1), "The world ends here."),
    ],
)
def test_walls_closed_doors_water_and_the_edge_stop_a_step(
    start: tuple[int, int], step: tuple[int, int], message: str
) -> None:
    table = arena()
    ada = table.join("a").stand(*start, "right")
    before = table.tree
    reject = ada.move(*step)
    assert ("illegal", message, False) == (reject["code"], reject["message"], reject["retryable"])
    assert before == table.tree


def test_a_diagonal_step_asks_only_for_its_target_to_be_open() -> None:
    ada = arena().join("a").stand(12, 3)
    assert ada.move(1, -1) is None
    ada.stand(9, 4)
    assert ada.move(1, -1) is None


def test_characters_and_items_stop_nobody() -> None:
    table = arena({"i": {"kind": "coin", "x": 21, "y": 20}})
    ada, ben = table.join("a").stand(20, 20), table.join("b").stand(21, 20)
    assert ada.move(1, 0) is None
    assert at(ada) == at(ben)


@pytest.mark.parametrize("body", [{"dx": 0, "dy": 0}, {"dx": 2, "dy": 0}, {"dx": "1", "dy": 0}, {"dx": 1}])
def test_what_is_no_step_is_invalid(body: dict[str, Any]) -> None:
    assert "invalid" == arena().join("a").ask("intent.move", **body)["code"]


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


# -- words ------------------------------------------------------------------------------------------------------------


def test_a_line_is_heard_by_all_and_by_who_said_it_before_the_delta() -> None:
    table = arena()
    ada, ben = table.join("a", "Ada"), table.join("b")
    ben.link.got.clear()
    assert ada.ask("intent.chat", text="  hello ") is None
    for link in (ada.link, ben.link):
        kinds = [kind for kind, _ in link.got if kind in ("event.chat", "event.state_delta")]
        assert ["event.chat", "event.state_delta"] == kinds
        line = dict(link.got)["event.chat"]
        assert ("a", "Ada", "hello", 0) == (line["sessionId"], line["name"], line["text"], line["n"])


@pytest.mark.parametrize("intent", [("intent.chat", {"text": "hi"}), ("intent.move", {"dx": 1, "dy": 0})])
def test_a_spectator_may_neither_speak_nor_act(intent: tuple[str, dict[str, Any]]) -> None:
    watcher = arena().join("a", role="spectator")
    assert "forbidden" == watcher.ask(intent[0], **intent[1])["code"]


def test_an_unknown_action_is_refused_with_those_that_are_known() -> None:
    reject = arena().join("a").act("dance")
    assert ("illegal", "Nobody here can 'dance': it is open, take, drop, strike.") == (
        reject["code"],
        reject["message"],
    )
