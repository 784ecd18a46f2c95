"""Facts about the game room, seen through a real room and its links: its world, who enters, steps and words."""

from typing import Any

import msgspec
import pytest

from contracts.http import CharacterProfile
from contracts.states import HP_MAX, GameState
from server.core.state import plain
from server.rooms.game import Game
from server.rooms.game.room import ITEMS
from server.rooms.game.state import SIZE, SPAWNS
from tests.rooms.arena import arena, at, held_by
from tests.rooms.table import set_table

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
