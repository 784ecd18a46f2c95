"""
Nodes: the tree that a state forms, and the record of what changed in it.

`State`, `Map` and `Grid` are the nodes. Each has one record: where it hangs (parent and
key), and for each *view* of the tree the changes since that view was last taken:

    DURABLE   what merge patches and snapshots hold, taken after each step
    VOLATILE  what is broadcast and never stored, taken at each tick

A view's changes map each touched key to its *base*, what stood there at the last take:

    a leaf's old value | ABSENT | a child, other than the one now there: it was replaced
                                | the child still there: something below it changed

    fresh (None) --settle--> settled ({}) --note--> changed ({key: base, ...}) --settle--> settled

A fresh node has never been taken: its parent's patch carries it whole, so it records
nothing. A fresh or changed child of a node that is not fresh itself is always named by that node's
changes, so a take visits touched nodes only. A removed child keeps its own record untouched
until the next take, because the state at the last take is read from it then: which keys of
a replaced entry are gone.

Nothing here knows of fields, of wire names, or of any encoding but plain trees.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from mypy_extensions import mypyc_attr

from server.core.state.values import Check, StateError

DURABLE: Final = 0
VOLATILE: Final = 1
VIEWS: Final = (DURABLE, VOLATILE)


class Absent:
    """The type of ABSENT: no entry, in a record or as "there is nothing to say"."""

    __slots__ = ()


ABSENT: Final = Absent()

Tree = dict[str, Any]


class Shape:
    """What a class of fields declares, as far as assignments and patches ask."""

    __slots__ = ("checks", "defaults", "wires")

    def __init__(self, wires: dict[str, str], checks: dict[str, Check], defaults: dict[str, Any]) -> None:
        #: By field, its name in patches.
        self.wires = wires
        #: By durable field that is no node, what may stand there.
        self.checks = checks
        #: By volatile field, the value that patches do not say.
        self.defaults = defaults


class Record:
    """Where a node hangs, and what changed in it since each view was last taken."""

    __slots__ = ("changes", "key", "parent", "shape", "values")

    def __init__(self, values: dict[str, Any], shape: Shape | None) -> None:
        self.parent: Node | None = None
        self.key: str = ""
        #: By view: key -> base, or None while the view has never taken this node.
        self.changes: list[dict[Any, Any] | None] = [None] * len(VIEWS)
        #: What the node holds now, by key; of a node that keeps its own account of that, empty.
        self.values = values
        self.shape = shape


class Take:
    """One take of a view: the records it has read, and the nodes that it met where there was another, or none."""

    __slots__ = ("placed", "read", "view")

    def __init__(self, view: int) -> None:
        self.view = view
        self.read: list[Record] = []
        self.placed: list[Node] = []

    def settle(self) -> None:
        """Forget the changes that are taken: each node's that was read, and all at and below what was placed."""
        view = self.view
        for record in self.read:
            record.changes[view] = {}
        for node in self.placed:
            node._settle(view)


@mypyc_attr(allow_interpreted_subclasses=True)
class Node:
    """A part of a state's tree. The names of fields have no leading underscore, so these methods meet none."""

    __slots__ = ("_record",)

    _record: Record
    #: The views that have something to say of this class.
    _views: ClassVar[tuple[int, ...]] = (DURABLE,)

    def __init__(self, values: dict[str, Any], shape: Shape | None = None) -> None:
        # Not a plain assignment: State refuses names that are not fields.
        object.__setattr__(self, "_record", Record(values, shape))

    def _assign(self, name: str, value: Any) -> None:
        """Assign a field, if it is a durable one that is no node; `_assign_other` is for all else."""
        record = self._record
        check = record.shape.checks.get(name) if record.shape is not None else None
        if check is None:
            self._assign_other(name, value)
            return
        values = record.values
        old = values[name]
        if value is old:
            return
        try:
            value = check(value)
        except StateError as refused:
            raise StateError(f"{self._name_of(name)}: {refused}") from None
        if value != old:
            note(self, DURABLE, name, old)
            values[name] = value

    def _assign_other(self, name: str, value: Any) -> None:
        """Of classes with fields."""
        raise NotImplementedError

    @abstractmethod
    def _tree(self, view: int, at_take: bool = False) -> Tree:
        """The whole view below here as a tree of its own: now, or as it stood at the last take."""

    def _patch(self, take: Take) -> Tree:
        """The merge patch from the last take to now; the whole tree while fresh. Changes nothing but `take`."""
        record, view = self._record, take.view
        changes = record.changes[view]
        if changes is None:
            take.placed.append(self)
            return self._tree(view)
        take.read.append(record)
        values, shape, patch = record.values, record.shape, {}
        for key, base in changes.items():
            now = values.get(key, ABSENT)
            change = change_of(take, base, now)
            if change is ABSENT:
                continue
            if shape is None:
                patch[key] = change
            elif view == VOLATILE and key in shape.defaults and now == shape.defaults[key]:
                patch[shape.wires[key]] = None
            else:
                patch[shape.wires[key]] = change
        return patch

    @abstractmethod
    def _settle(self, view: int) -> None:
        """Forget the changes of a view, here and on the touched paths below."""

    @abstractmethod
    def _name_of(self, key: str) -> str:
        """The name of a child for error messages."""


def note(node: Node, view: int, key: Any, base: Any) -> None:
    """Record that `key` changed from `base`, unless it already did since the last take. Call before the change."""
    changes = node._record.changes[view]
    if changes is None or key in changes:
        return
    if not changes:
        _note_above(node, view)
    changes[key] = base


def _note_above(node: Node, view: int) -> None:
    record = node._record
    while (parent := record.parent) is not None:
        above = parent._record
        changes = above.changes[view]
        if changes is None or record.key in changes:
            return
        is_first = not changes
        changes[record.key] = node
        if not is_first:
            return
        node, record = parent, above


def refuse_if_attached(child: Node, parent: Node) -> None:
    """A node hangs in one place, and never below itself: else one change would need two paths, or an endless one."""
    if (holder := child._record.parent) is not None:
        raise StateError(
            f"already held as {holder._name_of(child._record.key)}: remove it there first, or make another"
        )
    above: Node | None = parent
    while above is not None:
        if above is child:
            raise StateError("a state cannot be put into itself")
        above = above._record.parent


def attach(child: Node, parent: Node, key: str) -> None:
    child._record.parent = parent
    child._record.key = key


def detach(child: Node) -> None:
    child._record.parent = None


def change_of(take: Take, base: Any, now: Any) -> Any:
    """What a patch says of a key that was `base` at the last take and is `now`; ABSENT when it says nothing."""
    view = take.view
    if isinstance(now, Node):
        if now is base:
            return now._patch(take) or ABSENT
        take.placed.append(now)
        tree = now._tree(view)
        if isinstance(base, Node):
            null_what_is_gone(tree, base._tree(view, at_take=True))
        return tree if tree or view == DURABLE else ABSENT
    if now is ABSENT:
        return ABSENT if base is ABSENT or (view == VOLATILE and not base._tree(view, at_take=True)) else None
    return ABSENT if now == base else plain_leaf(now)


def null_what_is_gone(tree: Tree, old: Tree) -> None:
    """Make `tree` a patch that turns `old` into what `tree` was: a merge patch alone would keep the old keys."""
    for key, was in old.items():
        if key not in tree:
            tree[key] = None
        elif isinstance(was, dict):
            null_what_is_gone(tree[key], was)


def plain_leaf(value: Any) -> Any:
    return list(value) if type(value) is tuple else value


def settle(node: Node, view: int, values: Mapping[str, Any]) -> None:
    """Forget the changes of a node with these `values`, and below it those of what they name; of a fresh one, all."""
    changes = node._record.changes[view]
    for key in values if changes is None else changes:
        if isinstance(child := values.get(key), Node):
            child._settle(view)
    node._record.changes[view] = {}
