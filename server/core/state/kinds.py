"""
Kinds: what an annotation of a state's field says may stand there.

    int, float, str, bool      Leaf
    tuple[int, ...]            Leaf, an array: replaced as a whole
    a State class              Nested
    Map[int], Map[Item]        MapOf
    Grid                       GridKind

Each kind checks a value that is assigned, makes what stands there when nothing is given, and
builds a value from its plain form. It also names the views in which such a value appears
(durable always, volatile where a class below has volatile fields). Frozen, so that an encoder may
read the declaration of a state from its classes.
"""

from __future__ import annotations

from types import GenericAlias, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, cast, get_args, get_origin

import msgspec

from server.core.state.grid import Grid
from server.core.state.map import Map
from server.core.state.node import DURABLE, Node
from server.core.state.values import SCALARS, Check, StateError, check_array_of, expected

if TYPE_CHECKING:
    from server.core.state.state import State


class Leaf(msgspec.Struct, frozen=True):
    """A scalar, or an array of scalars."""

    is_node: ClassVar[bool] = False
    views: ClassVar[tuple[int, ...]] = (DURABLE,)

    #: bool, int, float or str: of the value, or of the array's items.
    type: type
    is_array: bool
    check: Check

    def build(self, plain: Any) -> Any:
        return tuple(plain) if self.is_array and isinstance(plain, list) else plain


class Nested(msgspec.Struct, frozen=True):
    """A State of exactly this class: a subclass could not be told from it when loading."""

    is_node: ClassVar[bool] = True

    type: type[State]
    views: tuple[int, ...]

    def check(self, value: Any) -> Any:
        if type(value) is not self.type:
            raise expected(self.type.__name__, value)
        return value

    def empty(self) -> Any:
        return self.type()

    def build(self, plain: Any) -> Any:
        return self.type._from_plain(plain)


class MapOf(msgspec.Struct, frozen=True):
    """A Map of leaves or of States."""

    is_node: ClassVar[bool] = True

    item: Leaf | Nested

    @property
    def views(self) -> tuple[int, ...]:
        return self.item.views

    def check(self, value: Any) -> Any:
        if not isinstance(value, Map):
            raise expected("Map", value)
        value._hold_only(self.item)
        return value

    def empty(self) -> Any:
        return Map()

    def build(self, plain: Any) -> Any:
        if not isinstance(plain, dict):
            raise expected("object", plain)
        return Map({key: self.item.build(value) for key, value in plain.items()})


class GridKind(msgspec.Struct, frozen=True):
    """A Grid; a field's default has no tiles."""

    is_node: ClassVar[bool] = True
    views: ClassVar[tuple[int, ...]] = (DURABLE,)

    def check(self, value: Any) -> Any:
        if not isinstance(value, Grid):
            raise expected("Grid", value)
        return value

    def empty(self) -> Any:
        return Grid(0, 0)

    def build(self, plain: Any) -> Any:
        return Grid._from_plain(plain)


Kind = Leaf | Nested | MapOf | GridKind


def kind_of(hint: Any) -> Kind:
    """The kind that an annotation declares; raises StateError for what a state cannot hold."""
    if hint is Grid:
        return GridKind()
    if get_origin(hint) is Map:
        (item,) = get_args(hint)
        kind = kind_of(item)
        if isinstance(kind, Leaf | Nested):
            return MapOf(kind)
        raise StateError(f"a Map holds scalars or States, not {item}: wrap it in a State")
    if isinstance(hint, type) and not isinstance(hint, GenericAlias):
        if hint in SCALARS:
            return Leaf(hint, False, SCALARS[hint])
        if issubclass(hint, Node) and not issubclass(hint, Map):
            return Nested(cast("type[State]", hint), hint._views)
    match get_origin(hint), get_args(hint):
        case type() as origin, (item, end) if origin is tuple and end is Ellipsis and item in SCALARS:
            return Leaf(item, True, check_array_of(SCALARS[item]))
    raise StateError(f"{hint!r} cannot be declared{_hint_for(hint)}")


def _hint_for(hint: Any) -> str:
    origin = get_origin(hint) or hint
    if origin in (list, set, dict):
        return ": edits in place are not seen, use a Map keyed by id or tuple[T, ...]"
    if origin is UnionType or type(None) in get_args(hint):
        return ": null cannot be held, use a default or an entry of a Map"
    if origin is Map:
        return ": say what it holds, Map[int] or Map[Item]"
    return ": use int, float, str, bool, tuple[T, ...] of these, a State, Map[T] or Grid"
