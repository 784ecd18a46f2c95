"""
Map: a dict of a state, keyed by str, that records which entries changed.

A Map is declared as `Map[int]` or `Map[Item]` and learns what it holds from the field it is
assigned to; one made by itself, `Map({"potion": 1})`, is checked then, as a whole. After that each
assignment is checked at once. Iteration is in order of insertion, in memory only: neither a
patch nor a snapshot promises an order.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar

from server.core.state.node import (
    ABSENT,
    DURABLE,
    Node,
    Tree,
    attach,
    detach,
    note,
    plain_leaf,
    refuse_if_attached,
    settle,
)
from server.core.state.values import StateError, check_key

if TYPE_CHECKING:
    from server.core.state.kinds import Leaf, Nested

V = TypeVar("V")


class Map(Node, MutableMapping[str, V]):
    """Entries by key, all of one declared type; a State put in has one place until it is removed."""

    __slots__ = ("_entries", "_item")

    def __init__(self, entries: Mapping[str, V] | None = None) -> None:
        self._entries: dict[str, V] = {}
        super().__init__(self._entries)
        #: What an entry may be; None until a field takes this Map.
        self._item: Leaf | Nested | None = None
        self.update(entries or {})

    def __getitem__(self, key: str) -> V:
        return self._entries[key]

    def __setitem__(self, key: str, value: V) -> None:
        old = self._entries.get(key, ABSENT)
        if value is old:
            return
        try:
            key = check_key(key)
            if isinstance(value, Node):
                refuse_if_attached(value, self)
            if self._item is not None:
                value = self._item.check(value)
        except StateError as refused:
            raise StateError(f"{self._name_of(key)}: {refused}") from None
        if isinstance(old, Node):
            self._note(key, old)
            detach(old)
        elif value != old:
            self._note(key, old)
        if isinstance(value, Node):
            attach(value, self, key)
        self._entries[key] = value

    def __delitem__(self, key: str) -> None:
        old = self._entries[key]
        self._note(key, old)
        if isinstance(old, Node):
            detach(old)
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    # The mixins of MutableMapping would do, at one call of __getitem__ for each entry.
    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def values(self) -> ValuesView[V]:
        return self._entries.values()

    def items(self) -> ItemsView[str, V]:
        return self._entries.items()

    def __repr__(self) -> str:
        return f"Map({self._entries!r})"

    def _note(self, key: str, old: Any) -> None:
        for view in self._item.views if self._item is not None else (DURABLE,):
            note(self, view, key, old)

    def _hold_only(self, item: Leaf | Nested) -> None:
        """Take the kind of a field, all entries or none; scalars are stored as that kind stores them."""
        entries = {}
        for key, value in self._entries.items():
            try:
                entries[key] = item.check(value)
            except StateError as refused:
                raise StateError(f"[{key!r}]: {refused}") from None
        self._entries.update(entries)
        self._item = item

    def _tree(self, view: int, at_take: bool = False) -> Tree:
        entries: Mapping[str, Any] = self._entries
        if at_take:
            entries = {**entries, **(self._record.changes[view] or {})}
        tree = {}
        for key, value in entries.items():
            if isinstance(value, Node):
                if (part := value._tree(view, at_take)) or view == DURABLE:
                    tree[key] = part
            elif value is not ABSENT:
                tree[key] = plain_leaf(value)
        return tree

    def _settle(self, view: int) -> None:
        settle(self, view, self._entries)

    def _name_of(self, key: str) -> str:
        parent = self._record.parent
        name = parent._name_of(self._record.key) if parent is not None else "Map"
        return f"{name}[{key!r}]"
