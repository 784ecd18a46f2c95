"""Facts about tile grids: bounds, rows by chunk, and the size that follows from the rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.state import Grid, State, StateError, apply, clear, load, plain, take_patch


class World(State):
    tiles: Grid


def a_world(width: int, height: int, chunk: int = 16) -> World:
    world = World(tiles=Grid(width, height, chunk))
    world.tiles.fill_from(np.arange(width * height).reshape(height, width))
    clear(world)
    return world


def test_the_plain_form_is_rows_by_chunk_narrower_at_the_edges() -> None:
    assert plain(a_world(3, 3, chunk=2)) == {
        "tiles": {
            "0,0": {"0": [0, 1], "1": [3, 4]},
            "1,0": {"0": [2], "1": [5]},
            "0,1": {"0": [6, 7]},
            "1,1": {"0": [8]},
        }
    }


def test_a_tile_is_patched_with_its_row_of_its_chunk() -> None:
    world = a_world(40, 40)
    world.tiles[33, 17] = 7
    row = [*range(17 * 40 + 32, 17 * 40 + 40)]
    row[1] = 7
    assert {"tiles": {"2,1": {"1": row}}} == take_patch(world)
    assert take_patch(world) is None


def test_filling_counts_rows_that_differ_only() -> None:
    world = a_world(4, 2, chunk=2)
    tiles = world.tiles.array.copy()
    tiles[1, 3] = 99
    world.tiles.fill_from(tiles)
    assert take_patch(world) == {"tiles": {"1,0": {"1": [6, 99]}}}


def test_x_is_the_column_and_y_the_row() -> None:
    grid = Grid(3, 2)
    grid[2, 1] = 5
    assert (grid[2, 1], grid.array[1, 2], grid[1, 1]) == (5, 5, 0)
    assert int is type(grid[2, 1])


@pytest.mark.parametrize("at", [(3, 0), (0, 2), (-1, 0), (0, -1)])
def test_outside_the_grid_nothing_is_read_or_written(at: tuple[int, int]) -> None:
    grid = Grid(3, 2)
    with pytest.raises(IndexError, match="outside a grid of 3 x 2"):
        grid[at]
    with pytest.raises(IndexError, match="outside a grid of 3 x 2"):
        grid[at] = 1


@pytest.mark.parametrize("tile", [2**15, -(2**15) - 1, 1.0, True, None, "1"])
def test_a_tile_is_an_int_of_16_bits(tile: Any) -> None:
    world = a_world(3, 3)
    with pytest.raises(StateError, match=r"^World.tiles\[1,2\]: expected tile"):
        world.tiles[1, 2] = tile


@pytest.mark.parametrize("array", [[[1, 2]], [[1], [2**15]], [[1], [-(2**15) - 1]], [[1.0], [2.0]], [[2**64], [1]]])
def test_a_grid_is_filled_from_integers_of_its_shape(array: Any) -> None:
    world = a_world(1, 2)
    with pytest.raises(StateError, match=r"^World.tiles: expected"):
        world.tiles.fill_from(array)
    assert world.tiles.array.tolist() == [[0], [1]]


def test_the_array_is_live_and_read_only() -> None:
    grid = Grid(2, 2)
    tiles = grid.array
    grid[1, 0] = 3
    assert tiles[0, 1] == 3
    with pytest.raises(ValueError, match="read-only"):
        tiles[0, 0] = 1


def test_a_grid_has_a_size() -> None:
    with pytest.raises(StateError, match="cannot have that size"):
        Grid(-1, 1)
    with pytest.raises(StateError, match="cannot have that size"):
        Grid(1, 1, chunk=0)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_a_loaded_grid_is_the_grid_whatever_its_size_and_chunk(width: int, height: int, chunk: int) -> None:
    world = a_world(width, height, chunk)
    loaded = load(World, plain(world))
    assert np.array_equal(world.tiles.array, loaded.tiles.array)
    for each in (world, loaded):
        each.tiles[width - 1, height - 1] = -1
    patch = take_patch(world)
    assert patch == take_patch(loaded)
    assert plain(loaded) == apply(plain(a_world(width, height, chunk)), patch or {})


def test_a_grid_of_no_tiles_is_an_empty_object() -> None:
    assert plain(World()) == {"tiles": {}}
    assert load(World, {"tiles": {}}).tiles.array.shape == (0, 0)
