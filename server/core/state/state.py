"""
State: the declared, typed state of a room.

    class Player(State):
        name: str                        # no default: has to be given
        x: int = 0
        inventory: Map[int]              # empty unless given, like a nested State
        typing: Volatile[bool] = False   # broadcast, never stored

    player = Player(name="Ada")
    player.x += 1

A class lists its fields by annotation (see kinds for the types), those of its bases first; classes
are declared before they are named. An assignment is checked, recorded, and refused with the field's
name. Reads cost what an attribute costs: the values are the instance's own attributes. On the
wire a field `player_id` is `playerId`.

What the record means is in node; how it is taken, in root.
"""

from __future__ import annotations

from inspect import get_annotations
from typing import Annotated, Any, ClassVar, Final, Self, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from server.core.state.kinds import Kind, Leaf, kind_of
from server.core.state.node import (
    ABSENT,
    DURABLE,
    VIEWS,
    VOLATILE,
    Node,
    Shape,
    Tree,
    attach,
    detach,
    note,
    plain_leaf,
    refuse_if_attached,
    settle,
)
from server.core.state.values import StateError, expected

T = TypeVar("T")

VOLATILE_MARK: Final = "volatile"
#: Marks a field as broadcast and never stored; to a type checker it is the type itself.
Volatile = Annotated[T, VOLATILE_MARK]


class Field(msgspec.Struct, frozen=True):
    """One declared field, for encoders to read."""

    name: str
    #: The name in patches and snapshots.
    wire: str
    kind: Kind
    #: A leaf's value when none is given; ABSENT where one has to be, and for nodes, which start empty.
    default: Any
    #: The views in which the field appears.
    views: tuple[int, ...]

    def make_default(self) -> Any:
        if not isinstance(self.kind, Leaf):
            return self.kind.check(self.kind.empty())
        if self.default is ABSENT:
            raise StateError("has no default, so a value has to be given")
        return self.default


class State(Node):
    """Base of the classes that declare a room's state. Takes its fields as keywords."""

    _fields: ClassVar[dict[str, Field]] = {}
    _shape: ClassVar[Shape] = Shape({}, {}, {})
    #: By view, the fields that appear in it.
    _seen: ClassVar[tuple[tuple[Field, ...], ...]] = tuple(() for _ in VIEWS)

    def __init_subclass__(cls) -> None:
        hints = get_type_hints(cls, include_extras=True)
        names = [name for name in _annotated_names(cls) if get_origin(hints[name]) is not ClassVar]
        cls._fields = {name: _field_of(cls, name, hints[name]) for name in names}
        cls._seen = tuple(tuple(field for field in cls._fields.values() if view in field.views) for view in VIEWS)
        leaves = [field for field in cls._fields.values() if isinstance(field.kind, Leaf)]
        cls._shape = Shape(
            {field.name: field.wire for field in cls._fields.values()},
            {field.name: field.kind.check for field in leaves if DURABLE in field.views},
            {field.name: field.default for field in leaves if VOLATILE in field.views},
        )
        cls._views = tuple(view for view in VIEWS if view == DURABLE or cls._seen[view])
        if len({field.wire for field in cls._fields.values()}) < len(cls._fields):
            raise StateError(f"{cls.__name__}: two fields have one name on the wire")

    def __init__(self, **given: Any) -> None:
        super().__init__(self.__dict__, self._shape)
        if unknown := given.keys() - self._fields.keys():
            raise StateError(f"{self._name_of(min(unknown))}: no such field")
        # First all checks, then all changes: a refused construction leaves what it was given unattached.
        values = {name: self._checked(field, given.get(name, ABSENT)) for name, field in self._fields.items()}
        for name, value in values.items():
            if isinstance(value, Node):
                refuse_if_attached(value, self)
                attach(value, self, name)
        self.__dict__.update(values)

    def _assign_other(self, name: str, value: Any) -> None:
        """A node, a volatile value, or what is no field."""
        field = self._fields.get(name)
        if field is None:
            raise StateError(f"{self._name_of(name)}: no such field")
        old = self.__dict__[name]
        if value is old:
            return
        value = self._checked(field, value)
        is_node = field.kind.is_node
        if not is_node and value == old:
            return
        for view in field.views:
            note(self, view, name, old)
        if is_node:
            detach(old)
            attach(value, self, name)
        self.__dict__[name] = value

    def _refuse_to_delete(self, name: str) -> None:
        raise StateError(f"{self._name_of(name)}: a field cannot be deleted")

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"

    def _checked(self, field: Field, value: Any) -> Any:
        try:
            if value is ABSENT:
                return field.make_default()
            if isinstance(value, Node):
                refuse_if_attached(value, self)
            return field.kind.check(value)
        except StateError as refused:
            raise StateError(f"{self._name_of(field.name)}: {refused}") from None

    def _tree(self, view: int, at_take: bool = False) -> Tree:
        values = self.__dict__
        if at_take:
            values = {**values, **(self._record.changes[view] or {})}
        tree = {}
        for field in self._seen[view]:
            value = values[field.name]
            if isinstance(value, Node):
                if (part := value._tree(view, at_take)) or view == DURABLE:
                    tree[field.wire] = part
            elif view == DURABLE or value != field.default:
                tree[field.wire] = plain_leaf(value)
        return tree

    def _settle(self, view: int) -> None:
        settle(self, view, self.__dict__)

    def _name_of(self, key: str) -> str:
        return f"{type(self).__name__}.{key}"

    @classmethod
    def _from_plain(cls, plain: Any) -> Self:
        """Unknown names are ignored and missing fields take their defaults, as old snapshots load under new code."""
        if not isinstance(plain, dict):
            raise expected("object", plain)
        given = {}
        for field in cls._seen[DURABLE]:
            if field.wire in plain:
                try:
                    given[field.name] = field.kind.build(plain[field.wire])
                except StateError as refused:
                    raise StateError(f"{cls.__name__}.{field.name}: {refused}") from None
        return cls(**given)


# Set from outside, where type checkers do not look: seeing a __setattr__, they would let any name be assigned.
State.__setattr__ = Node._assign  # type: ignore[method-assign, assignment]
State.__delattr__ = State._refuse_to_delete  # type: ignore[method-assign, assignment]


def fields_of(cls: type[State]) -> tuple[Field, ...]:
    """The declared fields of a class: those of its bases first, each class's in the order written."""
    return tuple(cls._fields.values())


def _annotated_names(cls: type[State]) -> dict[str, None]:
    """The names annotated in a class and its bases, base first, each once."""
    declared = [base for base in reversed(cls.__mro__) if issubclass(base, State) and base is not State]
    return dict.fromkeys(name for base in declared for name in get_annotations(base))


def _field_of(cls: type[State], name: str, hint: Any) -> Field:
    is_volatile = get_origin(hint) is Annotated and VOLATILE_MARK in hint.__metadata__
    try:
        if name.startswith("_"):
            raise StateError("a field's name has no leading underscore")
        kind = kind_of(get_args(hint)[0] if is_volatile else hint)
        default = _default_of(cls, name, kind)
        if is_volatile and (not isinstance(kind, Leaf) or default is ABSENT):
            raise StateError("a volatile field is a scalar or a tuple, with a default (what a loaded room begins with)")
    except StateError as refused:
        raise StateError(f"{cls.__name__}.{name}: {refused}") from None
    return Field(name, _wire_name(name), kind, default, (VOLATILE,) if is_volatile else kind.views)


def _default_of(cls: type[State], name: str, kind: Kind) -> Any:
    if name not in cls.__dict__:
        inherited = cls._fields.get(name)
        return inherited.default if inherited is not None else ABSENT
    default = cls.__dict__[name]
    if not isinstance(kind, Leaf):
        raise StateError("takes no default: it begins empty")
    return kind.check(default)


def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
