"""
Land: a world made from a seed. Pure: all chance comes from the generator given.

    terrain     meadows with ponds and rivers by value noise, sand along every shore
    plaza       floor in the middle, where characters enter
    buildings   houses behind a closed door, some with a second room, and ruins that stand open
    ways        from each entry to the plaza, over bridges where there is water
    pockets     land that cannot be reached gets a way to the plaza, or is drowned if it is tiny

At the end every open tile can be reached from the plaza, without diagonal steps, once the
doors are open. Buildings keep a free rim, so no way is ever walled in.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from typing import Final

import numpy as np
import numpy.typing as npt

from server.rooms.game.state import (
    DOOR_CLOSED,
    FLOOR,
    GRASS,
    MIDDLE,
    OPEN,
    PLAZA,
    SAND,
    SIZE,
    WALL,
    WATER,
    At,
)

Tiles = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]
Heights = npt.NDArray[np.float64]
Chance = np.random.Generator

#: The share of the world that lies under ponds, and with their beaches.
_PONDS: Final = 0.10
_BEACHES: Final = 0.15
#: Half the width of a river, in units of the noise whose middle it follows.
_RIVER: Final = 0.012
#: Buildings wanted, the first of them near the plaza, and how many places are tried.
_BUILDINGS: Final = 14
_VILLAGE: Final = 6
_PLACES: Final = 300
#: Free tiles around a building, and between it and the world's edge.
_RIM: Final = 2
#: Land of fewer tiles that cannot be reached is drowned.
_ISLET: Final = 10
_FIRST_NAMES: Final = ("Kelp", "Amber", "Tide", "Heron", "Salt", "Wren", "Fern", "Lantern")
_LAST_NAMES: Final = ("Hollow", "Reach", "Haven", "Moor", "Ford", "Landing", "Mere", "Garden")

Building = tuple[slice, slice]


def name_land(chance: Chance) -> str:
    return f"{_FIRST_NAMES[chance.integers(len(_FIRST_NAMES))]} {_LAST_NAMES[chance.integers(len(_LAST_NAMES))]}"


def make_land(chance: Chance) -> Tiles:
    """SIZE x SIZE tiles, indexed [y, x]."""
    tiles = _terrain(chance)
    plaza = slice(MIDDLE - PLAZA, MIDDLE + PLAZA + 1)
    tiles[plaza, plaza] = FLOOR
    entries, built = _build(tiles, chance)
    homeward = _ways_home(tiles, built, chance)
    for entry in entries:
        _lay_way(tiles, homeward, entry)
    _join_pockets(tiles, homeward)
    return tiles


def places_for_items(tiles: Tiles, chance: Chance, count: int) -> Sequence[At]:
    """`count` different tiles to lie on, in doorways none; indoors is likelier than its area says."""
    weights = np.select([tiles == FLOOR, (tiles == GRASS) | (tiles == SAND)], [4.0, 1.0]).ravel()
    chosen = chance.choice(SIZE * SIZE, count, replace=False, p=weights / weights.sum())
    return [(int(index % SIZE), int(index // SIZE)) for index in chosen]


# -- terrain ----------------------------------------------------------------------------------------------------------


def _terrain(chance: Chance) -> Tiles:
    height = 0.65 * _noise(chance, 7) + 0.35 * _noise(chance, 16)
    course = 0.8 * _noise(chance, 4) + 0.2 * _noise(chance, 14)
    ys, xs = np.ogrid[:SIZE, :SIZE]
    # The middle lies high and dry, for the plaza and the village around it.
    to_middle = np.hypot(xs - MIDDLE, ys - MIDDLE)
    height += 0.5 * np.exp(-((to_middle / 12) ** 2))
    river = (np.abs(course - np.median(course)) < _RIVER) & (to_middle > 2 * PLAZA)
    water = river | (height < np.quantile(height, _PONDS))
    sand = _widened(water) | (height < np.quantile(height, _BEACHES))
    return np.select([water, sand], [WATER, SAND], GRASS).astype(np.int16)


def _noise(chance: Chance, cells: int) -> Heights:
    """Value noise from 0 to 1: random heights at `cells` + 1 points a side, joined smoothly."""
    lattice = chance.random((cells + 1, cells + 1))
    cell, offset = np.divmod(np.arange(SIZE) * cells, SIZE)
    part = offset / SIZE
    part = part * part * (3 - 2 * part)
    rows = lattice[cell] * (1 - part)[:, None] + lattice[cell + 1] * part[:, None]
    heights: Heights = rows[:, cell] * (1 - part) + rows[:, cell + 1] * part
    return heights


def _widened(mask: Mask) -> Mask:
    """The mask and all eight neighbours of its tiles."""
    padded = np.pad(mask, 1)
    widened: Mask = np.logical_or.reduce([padded[y : y + SIZE, x : x + SIZE] for y in range(3) for x in range(3)])
    return widened


# -- buildings --------------------------------------------------------------------------------------------------------


def _build(tiles: Tiles, chance: Chance) -> tuple[list[At], Mask]:
    """Raise the buildings; returns the tile before each entry, and where no way may lead."""
    built = np.zeros_like(tiles, np.bool_)
    kept_free = built.copy()
    kept_free[MIDDLE - PLAZA : MIDDLE + PLAZA + 1, MIDDLE - PLAZA : MIDDLE + PLAZA + 1] = True
    entries: list[At] = []
    for _ in range(_PLACES):
        site = _site(chance, is_near=len(entries) < _VILLAGE)
        rim = _grown(site, _RIM)
        if kept_free[rim].any() or (tiles[rim] == WATER).mean() > 0.15:
            continue
        kept_free[site] = built[site] = True
        dry = tiles[_grown(site, 1)]
        dry[dry == WATER] = SAND
        entries.append(_raise(tiles, site, chance, is_ruin=len(entries) >= _VILLAGE and chance.random() < 0.5))
        if len(entries) == _BUILDINGS:
            break
    return entries, built


def _site(chance: Chance, is_near: bool) -> Building:
    width, height = (int(side) for side in chance.integers((5, 5), (11, 9)))
    spread = 20 if is_near else MIDDLE
    left, top = (
        int(np.clip(MIDDLE - side // 2 + chance.integers(-spread, spread), _RIM, SIZE - _RIM - side))
        for side in (width, height)
    )
    return slice(top, top + height), slice(left, left + width)


def _grown(site: Building, by: int) -> Building:
    rows, columns = site
    return slice(rows.start - by, rows.stop + by), slice(columns.start - by, columns.stop + by)


def _raise(tiles: Tiles, site: Building, chance: Chance, is_ruin: bool) -> At:
    """Walls around a floor, and one entry; returns the tile before it."""
    rows, columns = site
    tiles[site] = WALL
    tiles[_grown(site, -1)] = FLOOR
    if is_ruin:
        crumbled = (tiles[site] == WALL) & (chance.random(tiles[site].shape) < 0.3)
        tiles[site][crumbled] = FLOOR
    elif columns.stop - columns.start >= 8:
        _divide(tiles, site, chance)
    candidates = [*_entries(tiles, rows, columns)]
    (x, y), before = candidates[chance.integers(len(candidates))]
    tiles[y, x] = FLOOR if is_ruin else DOOR_CLOSED
    return before


def _divide(tiles: Tiles, site: Building, chance: Chance) -> None:
    """A wall between two rooms, with a door in it."""
    rows, columns = site
    middle = (columns.start + columns.stop) // 2
    tiles[rows, middle] = WALL
    tiles[chance.integers(rows.start + 1, rows.stop - 1), middle] = DOOR_CLOSED


def _entries(tiles: Tiles, rows: slice, columns: slice) -> Iterator[tuple[At, At]]:
    """Where a way in could be, with the tile before it: on each side, wherever floor lies behind."""
    for x in range(columns.start + 1, columns.stop - 1):
        if tiles[rows.start + 1, x] == FLOOR:
            yield (x, rows.start), (x, rows.start - 1)
        if tiles[rows.stop - 2, x] == FLOOR:
            yield (x, rows.stop - 1), (x, rows.stop)
    for y in range(rows.start + 1, rows.stop - 1):
        yield (columns.start, y), (columns.start - 1, y)
        yield (columns.stop - 1, y), (columns.stop, y)


# -- ways -------------------------------------------------------------------------------------------------------------


@lru_cache(SIZE * SIZE)
def _neighbours(index: int) -> tuple[int, ...]:
    """The tiles beside, above and below, by their place in the flattened world. Remembered: each is asked for often."""
    y, x = divmod(index, SIZE)
    beside = ((x > 0, -1), (x < SIZE - 1, 1), (y > 0, -SIZE), (y < SIZE - 1, SIZE))
    return tuple(index + step for is_inside, step in beside if is_inside)


def _ways_home(tiles: Tiles, built: Mask, chance: Chance) -> list[int]:
    """For each tile the next one on its cheapest way to the middle; water is dear, and chance bends the ways."""
    cost = np.where(tiles == WATER, 6.0, 1.0) + 2.0 * _noise(chance, 24)
    costs, is_built = cost.ravel().tolist(), built.ravel().tolist()
    middle = MIDDLE * SIZE + MIDDLE
    homeward = [-1] * (SIZE * SIZE)
    reached = [False] * (SIZE * SIZE)
    queue = [(0.0, middle, middle)]
    while queue:
        far, index, toward = heappop(queue)
        if reached[index]:
            continue
        reached[index] = True
        homeward[index] = toward
        for neighbour in _neighbours(index):
            if not reached[neighbour] and not is_built[neighbour]:
                heappush(queue, (far + costs[neighbour], neighbour, index))
    return homeward


def _lay_way(tiles: Tiles, homeward: Sequence[int], start: At) -> Iterable[int]:
    """Sand over land and planks over water, from `start` to the plaza; returns its tiles."""
    flat = tiles.ravel()
    index = start[1] * SIZE + start[0]
    way = [index]
    while homeward[index] != index:
        index = homeward[index]
        way.append(index)
    for index in way:
        if flat[index] == WATER:
            flat[index] = FLOOR
        elif flat[index] == GRASS:
            flat[index] = SAND
    return way


def _join_pockets(tiles: Tiles, homeward: Sequence[int]) -> None:
    flat = tiles.ravel()
    passable = np.isin(flat, [*OPEN, DOOR_CLOSED]).tolist()
    middle = MIDDLE * SIZE + MIDDLE
    reached: set[int] = set()
    _flood(passable, [middle], reached)
    for index in range(SIZE * SIZE):
        if not passable[index] or index in reached:
            continue
        pocket: set[int] = set()
        _flood(passable, [index], pocket)
        # No building stands on so little land, so a pocket begins outdoors, where ways lead home.
        if len(pocket) < _ISLET:
            flat[list(pocket)] = WATER
            for drowned in pocket:
                passable[drowned] = False
            continue
        way = _lay_way(tiles, homeward, (index % SIZE, index // SIZE))
        for paved in way:
            passable[paved] = True
        _flood(passable, way, reached)


def _flood(passable: Sequence[bool], start: Iterable[int], reached: set[int]) -> None:
    """Add to `reached`, from which nothing else could be reached before, all that can be reached from `start`."""
    edge = [index for index in start if index not in reached]
    reached.update(edge)
    while edge:
        for neighbour in _neighbours(edge.pop()):
            if passable[neighbour] and neighbour not in reached:
                reached.add(neighbour)
                edge.append(neighbour)
