"""Facts about the worlds that seeds make."""

import numpy as np
import pytest

from contracts.states import TILE_NAMES
from server.rooms.game.land import Tiles, make_land, places_for_items
from server.rooms.game.state import DOOR_CLOSED, FLOOR, OPEN, SIZE, SPAWNS, WALL, WATER

SEEDS = range(40)


def land(seed: int) -> Tiles:
    return make_land(np.random.default_rng(seed))


def reachable(tiles: Tiles) -> np.typing.NDArray[np.bool_]:
    """Where four-way steps lead from the plaza with every door open, by spreading until nothing is new."""
    passable = np.isin(tiles, [*OPEN, DOOR_CLOSED])
    reached = np.zeros_like(passable)
    reached[SPAWNS[0][1], SPAWNS[0][0]] = True
    while True:
        spread = reached.copy()
        spread[1:] |= reached[:-1]
        spread[:-1] |= reached[1:]
        spread[:, 1:] |= reached[:, :-1]
        spread[:, :-1] |= reached[:, 1:]
        spread &= passable
        if (spread == reached).all():
            return reached
        reached = spread


@pytest.mark.parametrize("seed", SEEDS)
def test_every_open_tile_and_every_door_can_be_reached_without_diagonal_steps(seed: int) -> None:
    tiles = land(seed)
    assert (np.isin(tiles, [*OPEN, DOOR_CLOSED]) == reachable(tiles)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_spawn_tiles_and_the_eight_around_each_are_floor(seed: int) -> None:
    tiles = land(seed)
    assert {FLOOR} == {int(tile) for x, y in SPAWNS for tile in tiles[y - 1 : y + 2, x - 1 : x + 2].flat}


@pytest.mark.parametrize("seed", SEEDS)
def test_there_is_something_of_everything_and_most_of_it_is_open(seed: int) -> None:
    tiles = land(seed)
    assert {name for name in TILE_NAMES if name != "door_open"} == {TILE_NAMES[tile] for tile in np.unique(tiles)}
    assert 0.7 < np.isin(tiles, [*OPEN]).mean() < 0.95
    assert (tiles == WATER).mean() > 0.05
    assert (tiles == DOOR_CLOSED).sum() >= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_a_door_stands_between_two_walls(seed: int) -> None:
    tiles = land(seed)
    for y, x in np.argwhere(tiles == DOOR_CLOSED):
        beside, above = {tiles[y, x - 1], tiles[y, x + 1]}, {tiles[y - 1, x], tiles[y + 1, x]}
        assert {WALL} in (beside, above)


def test_a_seed_makes_one_world_and_another_seed_another() -> None:
    assert (land(7) == land(7)).all()
    assert (land(7) != land(8)).any()


@pytest.mark.parametrize("seed", range(5))
def test_items_lie_on_open_tiles_each_on_its_own(seed: int) -> None:
    tiles = land(seed)
    places = places_for_items(tiles, np.random.default_rng(seed), 200)
    assert 200 == len(set(places))
    assert all(0 <= x < SIZE and 0 <= y < SIZE and int(tiles[y, x]) in OPEN for x, y in places)
