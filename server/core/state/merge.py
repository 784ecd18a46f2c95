"""
Merge patches (RFC 7386) on plain trees: applying them, and composing several into one.

Applying is the RFC's MergePatch. Composing has one exception: where an earlier patch sets a key
to `null`, a scalar or an array and a later one to an object,

    {"a": null} then {"a": {"y": 1}}    is not    {"a": {"y": 1}}

the composed patch would keep inner keys that the earlier one removed. There a second
patch begins. So a run of patches composes to a list, nearly always of one.

A patch given is never changed, nor shared with a result that may be: dicts are copied as they
are taken over. Arrays are values, replaced as a whole and never edited, and may be shared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Tree = dict[str, Any]


def apply(target: Tree, patch: Tree) -> Tree:
    """A new tree: `target` with `patch` applied. Costs a copy of `target`; to fold many, see `apply_in_place`."""
    patched = _copy(target)
    apply_in_place(patched, patch)
    return patched


def apply_in_place(target: Tree, patch: Tree) -> None:
    """Apply `patch` to `target` itself; costs the size of the patch."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            child = target.get(key)
            if not isinstance(child, dict):
                child = target[key] = {}
            apply_in_place(child, value)
        else:
            target[key] = value


def compose(patches: Iterable[Tree]) -> list[Tree]:
    """As few patches as possible that do, in order, what `patches` do; `[]` if they do nothing."""
    composed: list[Tree] = []
    for patch in patches:
        merge(composed, patch)
    return composed


def merge(composed: list[Tree], patch: Tree) -> None:
    """Add one patch to a list that this or `compose` made and the caller owns; costs the size of the patch."""
    if not patch:
        return
    if not (composed and _merged_into(composed[-1], patch)):
        composed.append(_copy(patch))


def _merged_into(earlier: Tree, later: Tree) -> bool:
    """
    False where `later` cannot be composed with `earlier`, and is to follow it.

    Some of it may be in `earlier` by then. That does no harm: what follows says the same again.
    """
    for key, value in later.items():
        if not isinstance(value, dict):
            earlier[key] = value
        elif key not in earlier:
            earlier[key] = _copy(value)
        else:
            old = earlier[key]
            if not isinstance(old, dict) or not _merged_into(old, value):
                return False
    return True


def _copy(tree: Tree) -> Tree:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in tree.items()}
