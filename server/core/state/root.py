"""
Root: what is taken from a whole state, and how one is loaded.

A step changes the state, then takes its patch:

    apply(plain as of the last take, take_patch(root)) == plain(root)

A new root has never been taken: its first patch is `plain(root)`, the patch of the room's creation.
What is returned is a tree of its own, of dicts, lists and scalars; later changes do not reach it.

The volatile view is a tree apart, taken at its own pace. It holds values that differ from their
default; a value back at its default is `null` in a patch, as is an entry removed, so that
a newcomer's tree (`volatile_values`) and a patched one agree: what is absent has its default.
"""

from __future__ import annotations

from typing import Any, TypeVar

from server.core.state.node import DURABLE, VIEWS, VOLATILE, Node, Take, Tree
from server.core.state.state import State

S = TypeVar("S", bound=State)


def take_patch(root: State) -> Tree | None:
    """The merge patch of what changed durably since the last take; None if nothing did. Starts a new record."""
    return _take(root, DURABLE)


def take_volatile(root: State) -> Tree | None:
    """
    The same for the volatile values. Applied by merge, it may leave empty objects, which mean nothing.

    Where a class declares volatile fields, take this at each tick: its record keeps removed entries until then.
    """
    return _take(root, VOLATILE)


def has_changes(root: State) -> bool:
    """Whether durable fields were assigned since the last take; `take_patch` may find that they ended as they began."""
    return root._record.changes[DURABLE] != {}


def plain(root: State) -> Tree:
    """The whole durable state: what a snapshot holds and a client starts from."""
    return root._tree(DURABLE)


def volatile_values(root: State) -> Tree | None:
    """The volatile values of now, for a newcomer; None if all have their defaults."""
    return root._tree(VOLATILE) or None


def load(cls: type[S], plain_state: Any) -> S:
    """
    The root that `plain_state` describes, with nothing changed and volatile values at their defaults.

    Unknown names are ignored; missing fields take their defaults, so fields added to a class
    need one. Raises StateError, naming the field, for what the class cannot hold.
    """
    root = cls._from_plain(plain_state)
    clear(root)
    return root


def clear(root: State) -> None:
    """Forget all changes, durable and volatile: the state of now counts as taken."""
    for view in VIEWS:
        root._settle(view)


def _take(root: Node, view: int) -> Tree | None:
    assert root._record.parent is None, "changes are taken from the root, which alone has the whole path to them"
    take = Take(view)
    patch = root._patch(take)
    # Only now: an entry moved or replaced is described by the records of both nodes.
    take.settle()
    return patch or None
