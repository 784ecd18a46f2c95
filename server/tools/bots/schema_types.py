"""
The types of a Colyseus state, as the server describes them in JOIN_ROOM (its reflection).

A reflection is itself a state, of types that every client knows. Both dialects are read: 0.18's, in which a collection
names the primitive it holds apart, and that of 0.16 and 0.17, which writes `array:uint8`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from server.core.colyseus.primitives import decode_number, decode_string
from server.core.colyseus.schema import FIXED

#: From a body and an offset to the value there and the offset behind it.
Read = Callable[[bytes, int], tuple[Any, int]]

#: The last index would read as `SWITCH`.
FIELDS_MAX: Final = 63
COLLECTIONS: Final = frozenset({"map", "array", "set", "collection", "stream"})


class Form(msgspec.Struct, frozen=True):
    """What a field, or an element of a collection, is: a primitive with its reader, or a structure."""

    #: A primitive's name, "ref", or one of `COLLECTIONS`.
    kind: str
    #: None for structures, of which the number is written.
    read: Read | None = None
    #: Of a "ref": the declared type, which an operation may replace by one derived from it.
    type_id: int = 0
    #: Of a collection.
    element: "Form | None" = None


class Field(msgspec.Struct, frozen=True):
    name: str
    form: Form


class Types(msgspec.Struct, frozen=True):
    """By type id its fields, those of its ancestors first: a field's place is its index on the wire."""

    fields: Mapping[int, Sequence[Field]]
    root: int


def primitive(name: str) -> Form:
    """Raises ValueError for a type that no SDK has."""
    if name == "number":
        return Form(name, decode_number)
    if name == "string":
        return Form(name, decode_string)
    if name == "boolean":
        return Form(name, _read_boolean)
    if name in FIXED:
        return Form(name, _fixed(name))
    raise ValueError(f"a state with a field of type {name!r}, which is not supported")


def types_of(reflection: Mapping[str, Any]) -> Types:
    """From a decoded reflection. Raises ValueError for types that are not supported."""
    described = {each.get("id", 0): each for each in reflection["types"]}

    def fields_of(type_id: int) -> list[Field]:
        own = described[type_id]
        inherited = fields_of(own["extendsId"]) if "extendsId" in own else []
        return [*inherited, *(Field(each["name"], _form_of(each)) for each in own.get("fields", ()))]

    types = Types({type_id: fields_of(type_id) for type_id in described}, reflection.get("rootType", 0))
    if any(len(fields) > FIELDS_MAX for fields in types.fields.values()):
        raise ValueError(f"a type with more than {FIELDS_MAX} fields")
    return types


def _form_of(field: Mapping[str, Any]) -> Form:
    kind, _, old_child = field["type"].partition(":")
    if kind == "ref":
        return Form(kind, type_id=field["referencedType"])
    if kind not in COLLECTIONS:
        return primitive(kind)
    child = field.get("childPrimitive") or old_child
    return Form(kind, element=primitive(child) if child else Form("ref", type_id=field["referencedType"]))


def _fixed(name: str) -> Read:
    form = FIXED[name]
    unpack, size = form.unpack_from, form.size

    def read(body: bytes, offset: int) -> tuple[Any, int]:
        return unpack(body, offset)[0], offset + size

    return read


def _read_boolean(body: bytes, offset: int) -> tuple[bool, int]:
    return body[offset] > 0, offset + 1


def _array_of(type_id: int) -> Form:
    return Form("array", element=Form("ref", type_id=type_id))


#: Of reflections themselves. What 5.x calls a quantized field is not among them: it is refused by its name.
REFLECTION: Final = Types(
    {
        0: (Field("types", _array_of(1)), Field("rootType", primitive("number"))),
        1: (
            Field("id", primitive("number")),
            Field("extendsId", primitive("number")),
            Field("fields", _array_of(2)),
        ),
        2: (
            Field("name", primitive("string")),
            Field("type", primitive("string")),
            Field("referencedType", primitive("number")),
            Field("childPrimitive", primitive("string")),
        ),
    },
    root=0,
)
