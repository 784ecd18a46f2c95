"""
Grid: a rectangle of tiles on numpy, recorded by row of a chunk.

The plain form is rows of small integers by chunk, so that the change of one tile is a patch of
one row of one chunk:

    {"<cx>,<cy>": {"<row in the chunk>": [tile, ...]}}

Chunks at the right and lower edges are narrower where the size is not a multiple of the chunk's. The
size is not written: it follows from the rows. A grid never changes its size; another one may
replace it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.core.state.node import DURABLE, Node, Take, Tree, note
from server.core.state.values import StateError, expected

#: Tiles along each side of a chunk, where the grid does not say.
CHUNK: Final = 16
#: Tiles are int16, more kinds of tile than a game draws.
TILE_MIN: Final = -(2**15)
TILE_MAX: Final = 2**15 - 1

Tiles = npt.NDArray[np.int16]


class Grid(Node):
    """`width` x `height` tiles, 0 at first. `grid[x, y]` reads and writes one; x is the column, y the row."""

    __slots__ = ("_tiles", "_view", "chunk", "height", "width")

    def __init__(self, width: int, height: int, chunk: int = CHUNK) -> None:
        super().__init__({})
        if width < 0 or height < 0 or chunk < 1:
            raise StateError(f"Grid({width}, {height}, chunk={chunk}): a grid cannot have that size")
        self.width = width
        self.height = height
        self.chunk = chunk
        self._tiles: Tiles = np.zeros((height, width), np.int16)
        self._view = self._tiles.view()
        self._view.flags.writeable = False

    @property
    def array(self) -> Tiles:
        """The live tiles for bulk reads, indexed [y, x]; read-only, as writes would not be recorded."""
        return self._view

    def __getitem__(self, at: tuple[int, int]) -> int:
        """The tile at (x, y); IndexError outside (a negative index does not count from the end)."""
        x, y = at
        self._refuse_outside(x, y)
        return self._tiles.item(y, x)

    def __setitem__(self, at: tuple[int, int], tile: int) -> None:
        x, y = at
        self._refuse_outside(x, y)
        if isinstance(tile, bool) or not isinstance(tile, int) or not TILE_MIN <= tile <= TILE_MAX:
            raise StateError(f"{self._name_of(f'{x},{y}')}: {expected('tile (int of 16 bits)', tile)}")
        if tile != self._tiles.item(y, x):
            note(self, DURABLE, (x // self.chunk, y), None)
            self._tiles[y, x] = tile

    def fill_from(self, array: npt.ArrayLike) -> None:
        """Set every tile at once from integers of shape (height, width); only rows that differ count as changed."""
        given = np.asarray(array)
        if given.shape != self._tiles.shape or given.dtype.kind not in "iu":
            raise StateError(f"{self._name_of('')}: expected integers of shape {self._tiles.shape}")
        if given.size and (given.min() < TILE_MIN or given.max() > TILE_MAX):
            raise StateError(f"{self._name_of('')}: expected tiles (int of 16 bits)")
        ys, xs = np.nonzero(self._tiles != given)
        for cx, y in {*zip((xs // self.chunk).tolist(), ys.tolist(), strict=True)}:
            note(self, DURABLE, (cx, y), None)
        self._tiles[:] = given

    def _refuse_outside(self, x: int, y: int) -> None:
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise IndexError(f"({x}, {y}) is outside a grid of {self.width} x {self.height}")

    def _tree(self, view: int, at_take: bool = False) -> Tree:
        """All rows. At a take only the keys are of interest, and those never change."""
        size, lines = self.chunk, self._tiles.tolist()
        return {
            f"{left // size},{top // size}": {
                str(row): line[left : left + size] for row, line in enumerate(lines[top : top + size])
            }
            for top in range(0, self.height, size)
            for left in range(0, self.width, size)
        }

    def _patch(self, take: Take) -> Tree:
        changes = self._record.changes[take.view]
        if changes is None:
            take.placed.append(self)
            return self._tree(take.view)
        take.read.append(self._record)
        return self._rows(changes)

    def _rows(self, rows: Iterable[tuple[int, int]]) -> Tree:
        size = self.chunk
        tree: Tree = {}
        for cx, y in rows:
            cy, row = divmod(y, size)
            tree.setdefault(f"{cx},{cy}", {})[str(row)] = self._tiles[y, cx * size : (cx + 1) * size].tolist()
        return tree

    def _settle(self, view: int) -> None:
        self._record.changes[view] = {}

    def _name_of(self, key: str) -> str:
        parent = self._record.parent
        name = parent._name_of(self._record.key) if parent is not None else "Grid"
        return f"{name}[{key}]" if key else name

    @classmethod
    def _from_plain(cls, plain: Any) -> Grid:
        try:
            return cls._from_chunks(plain) if plain else cls(0, 0)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise expected("rows of tiles by chunk", plain) from None

    @classmethod
    def _from_chunks(cls, chunks: dict[str, dict[str, list[int]]]) -> Grid:
        columns, lines = (1 + max(int(at.split(",")[side]) for at in chunks) for side in (0, 1))
        rows: list[list[int]] = []
        for cy in range(lines):
            line = [chunks[f"{cx},{cy}"] for cx in range(columns)]
            rows += ([tile for chunk in line for tile in chunk[str(row)]] for row in range(len(line[0])))
        height, width = len(rows), len(rows[0])
        first = chunks["0,0"]
        # The side that was cut shows the chunk's size; a grid of one chunk has any size that holds it.
        chunk = len(first["0"]) if columns > 1 else len(first) if lines > 1 else max(CHUNK, width, height)
        grid = cls(width, height, chunk)
        grid.fill_from(rows)
        return grid
