"""
Area of interest: which entries of a room's state are located, and which of these a client gets.

    class Field(State):
        players: Map[Walker]            # by session id; a Walker has x and y
        trees: Map[Tree]                # so has a Tree

    class Plaza(Room):
        state: Field
        interest = Interest("players", also=("trees",), chunk=16, reach=1)

The plane is cut into chunks of `chunk` x `chunk`. A client's *area* are the chunks within `reach` of the one that its
own entry is in, nine as a rule; without an entry of its own it has none. Its state at roomSeq N is

    restricted(fold of the journal up to N, its area there)

which is the fold without the located entries outside; all that is not located goes to everyone. `restricted` is the
one definition: snapshots are made by it, and what the deltas lead to is held against it.

Here is what a room declares, and how a tree is read by it. How deltas are made by area is in `areas`.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from contracts.message import Tree
from server.core.state import Leaf, MapOf, Nested, State, StateError, fields_of

Chunk = tuple[int, int]
Area = frozenset[Chunk]

NOWHERE: Area = frozenset()


class Chart(msgspec.Struct, frozen=True):
    """An interest in terms of the wire: which maps of a state's tree are located, and by which numbers."""

    #: The map that is keyed by session.
    own: str
    #: All located maps, that one included.
    maps: tuple[str, ...]
    x: str
    y: str
    chunk: int
    reach: int

    def chunk_of(self, entry: Tree) -> Chunk:
        return int(entry[self.x] // self.chunk), int(entry[self.y] // self.chunk)

    def around(self, chunk: Chunk | None) -> Area:
        """The area of a client whose entry is in `chunk`."""
        if chunk is None:
            return NOWHERE
        (cx, cy), reach = chunk, range(-self.reach, self.reach + 1)
        return frozenset((cx + dx, cy + dy) for dx in reach for dy in reach)

    def area_of(self, tree: Tree, session_id: str) -> Area:
        """The area of a session, in a state that has all entries or those of its area."""
        entry = tree.get(self.own, {}).get(session_id)
        return NOWHERE if entry is None else self.around(self.chunk_of(entry))

    def restricted(self, tree: Tree, area: Area) -> Tree:
        """`tree` without the located entries outside `area`. It shares what it keeps with `tree`."""
        return tree | {name: self._within(tree[name], area) for name in self.maps if name in tree}

    def others(self, patch: Tree) -> Tree:
        """What a patch says of all that is not located."""
        return {name: value for name, value in patch.items() if name not in self.maps}

    def anew(self, restricted: Tree, patches: Iterable[Tree]) -> list[Tree]:
        """
        Patches that lead to `restricted` from whatever a client had, if `patches` lead there from the same roomSeq.

        What it had of the located maps depends on where it was then, which nobody remembers: they are replaced.
        """
        located = {name: restricted[name] for name in self.maps if name in restricted}
        others = [self.others(patch) for patch in patches]
        return [dict.fromkeys(located), located, *filter(None, others)]

    def _within(self, entries: dict[str, Any], area: Area) -> dict[str, Any]:
        return {key: entry for key, entry in entries.items() if self.chunk_of(entry) in area}


class Interest(msgspec.Struct, frozen=True):
    """
    What a room class declares, by the names of its state's fields.

    `own` is a Map of States keyed by session id, `also` names more Maps whose entries are located the same way.
    """

    own: str
    also: tuple[str, ...] = ()
    x: str = "x"
    y: str = "y"
    #: How long a chunk's side is, in what x and y count.
    chunk: int = 16
    #: How many chunks a client sees beyond its own, to each side.
    reach: int = 1

    def chart(self, state: type[State]) -> Chart:
        """The interest as it applies to a state. Raises StateError, naming the field, if it does not."""
        if self.chunk < 1 or self.reach < 0:
            raise StateError(f"a chunk is 1 or more, a reach 0 or more: {self}")
        fields = {field.name: field for field in fields_of(state)}
        maps = []
        for name in dict.fromkeys((self.own, *self.also)):
            if name not in fields:
                raise StateError(f"{state.__name__}.{name}: no such field")
            try:
                x, y = self._axes(fields[name].kind)
            except StateError as refused:
                raise StateError(f"{state.__name__}.{name}: {refused}") from None
            maps.append(fields[name].wire)
        return Chart(maps[0], tuple(maps), x, y, self.chunk, self.reach)

    def _axes(self, kind: object) -> tuple[str, str]:
        if not isinstance(kind, MapOf) or not isinstance(kind.item, Nested):
            raise StateError("only the entries of a Map of States are located")
        fields = {field.name: field for field in fields_of(kind.item.type)}
        for name in (self.x, self.y):
            axis = fields[name].kind if name in fields else None
            if not isinstance(axis, Leaf) or axis.is_array or axis.type not in (int, float):
                raise StateError(f"{kind.item.type.__name__} has no number {name!r} to be located by")
        if len(kind.views) > 1:
            raise StateError("an entry that is located has no volatile fields: those are shown to everyone")
        return fields[self.x].wire, fields[self.y].wire
