"""
A Colyseus state by schema, decoded as its official client decodes it, but without changing anything:

    decode(types, refs, body) -> the structures after `body`; those it doesn't touch are shared with `refs`

so what one bot has decoded serves all bots of its room that stood at the same state. Structures refer to each other by
number (refId); `plain` puts them together as the SDK's `toJSON` does. Source: the schema dossier, sections 4 to 11.

What the official client logs and skips (a structure nobody introduced, an unknown field, a body cut off) raises `Odd`
here: a bot that skips something has a state that it can't trust.

Where the official clients count references, this looks for what can still be reached from the root after a body that
took something away. The two differ only in what a faulty server leaks.
"""

import struct
from collections.abc import Mapping
from typing import Any

from server.core.colyseus import schema as op
from server.core.colyseus.primitives import Malformed, decode_number, decode_string
from server.tools.bots.schema_types import COLLECTIONS, REFLECTION, Form, Types, types_of


class Odd(ValueError):
    """The body is not what a client of this state can follow; the text says where."""


class Structure:
    """One node of the state. Whoever shares it never changes it: `own` gives the copy that may be."""

    __slots__ = ("form", "keys", "type_id", "values")

    def __init__(self, form: Form, type_id: int, values: Any, keys: dict[int, str] | None = None) -> None:
        self.form = form
        #: Of a schema; it may be one derived from the declared one.
        self.type_id = type_id
        #: Schema: by field index. Map: by key. Array: a list. The others: by index.
        self.values = values
        #: Of a map: key by index.
        self.keys = keys

    def copy(self) -> "Structure":
        return Structure(self.form, self.type_id, self.values.copy(), self.keys and self.keys.copy())


Refs = Mapping[int, Structure]


def empty(types: Types) -> Refs:
    """Before the first full state."""
    return {0: Structure(Form("ref", type_id=types.root), types.root, {})}


def decode_reflection(body: bytes) -> Types:
    """The types that a JOIN_ROOM describes. Raises Odd."""
    try:
        return types_of(plain(REFLECTION, decode(REFLECTION, empty(REFLECTION), body)))
    except (KeyError, ValueError) as problem:
        raise Odd(f"the state's description can't be followed: {problem}") from problem


def decode(types: Types, refs: Refs, body: bytes) -> Refs:
    """The structures after a full state or a patch, given without its opcode. Raises Odd."""
    decoding = _Decoding(types, dict(refs), body)
    try:
        decoding.run()
    except (IndexError, struct.error, Malformed) as problem:
        raise Odd(f"a state body of {len(body)} bytes is cut off or garbled") from problem
    return decoding.reachable() if decoding.has_released else decoding.refs


def plain(types: Types, refs: Refs, ref_id: int = 0) -> Any:
    """The tree at a structure as JSON has it: unset fields left out, sets as lists."""
    structure = refs[ref_id]
    form = structure.form

    def shown(of: Form, value: Any) -> Any:
        return value if of.read is not None else plain(types, refs, value)

    if form.kind == "ref":
        fields = types.fields[structure.type_id]
        return {fields[index].name: shown(fields[index].form, value) for index, value in structure.values.items()}
    assert form.element is not None
    if form.kind == "map":
        return {key: shown(form.element, value) for key, value in structure.values.items()}
    values = structure.values if form.kind == "array" else structure.values.values()
    return [shown(form.element, value) for value in values]


#: In an array, until the block's end.
_HOLE = object()


class _Decoding:
    def __init__(self, types: Types, refs: dict[int, Structure], body: bytes) -> None:
        self.refs = refs
        self.has_released = False
        self._types = types
        self._body = body
        self._owned: set[int] = set()

    def run(self) -> None:
        body, end = self._body, len(self._body)
        offset = 0
        structure = self._own(0)
        while offset < end:
            if body[offset] == op.SWITCH:
                ref_id, offset = decode_number(body, offset + 1)
                structure = self._own(int(ref_id))
            kind = structure.form.kind
            if kind == "ref":
                offset = self._change_schema(structure, offset)
            elif kind == "map":
                offset = self._change_map(structure, offset)
            elif kind == "array":
                offset = self._change_array(structure, offset)
            else:
                offset = self._change_set(structure, offset)

    def reachable(self) -> dict[int, Structure]:
        """What is left of the structures: a client forgets those it can't get to."""
        found: dict[int, Structure] = {}
        waiting = [0]
        while waiting:
            ref_id = waiting.pop()
            if ref_id not in found:
                structure = found[ref_id] = self.refs[ref_id]
                waiting.extend(self._children(structure))
        return found

    def _children(self, structure: Structure) -> list[int]:
        form = structure.form
        if form.kind == "ref":
            fields = self._types.fields[structure.type_id]
            return [value for index, value in structure.values.items() if fields[index].form.read is None]
        assert form.element is not None
        if form.element.read is not None:
            return []
        return list(structure.values if form.kind == "array" else structure.values.values())

    def _own(self, ref_id: int) -> Structure:
        structure = self.refs.get(ref_id)
        if structure is None:
            raise Odd(f"a change of structure {ref_id}, which nothing has introduced")
        if ref_id not in self._owned:
            structure = self.refs[ref_id] = structure.copy()
            self._owned.add(ref_id)
        return structure

    # -- one block each; the offset behind it -------------------------------------------------------------------------

    def _change_schema(self, structure: Structure, offset: int) -> int:
        body, end, values = self._body, len(self._body), structure.values
        fields = self._types.fields.get(structure.type_id)
        if fields is None:
            raise Odd(f"a structure of type {structure.type_id}, which is not described")
        while offset < end and (byte := body[offset]) != op.SWITCH:
            operation, index = byte & op.FIELD_OPERATION, byte & op.FIELD_INDEX
            if index >= len(fields):
                raise Odd(f"field {index} of a type with {len(fields)} fields")
            form = fields[index].form
            offset += 1
            if operation == op.DELETE:
                values.pop(index, None)
                self.has_released = True
            elif form.read is not None:
                values[index], offset = form.read(body, offset)
            else:
                values[index], offset = self._reference(form, operation, offset)
        return offset

    def _change_map(self, structure: Structure, offset: int) -> int:
        body, end, values, keys = self._body, len(self._body), structure.values, structure.keys
        element = structure.form.element
        assert keys is not None
        assert element is not None
        while offset < end and (operation := body[offset]) != op.SWITCH:
            if operation == op.CLEAR:
                values.clear()
                keys.clear()
                self.has_released = True
                offset += 1
                continue
            index, offset = self._number(offset + 1)
            if operation == op.DELETE:
                values.pop(keys.pop(index, ""), None)
                self.has_released = True
                continue
            if operation & op.ADD:
                keys[index], offset = decode_string(body, offset)
            elif index not in keys:
                raise Odd(f"a change of a map's entry {index}, which nothing has introduced")
            values[keys[index]], offset = self._value(element, operation, offset)
        return offset

    def _change_set(self, structure: Structure, offset: int) -> int:
        """Sets, collections and streams."""
        body, end, values = self._body, len(self._body), structure.values
        element = structure.form.element
        assert element is not None
        while offset < end and (operation := body[offset]) != op.SWITCH:
            if operation == op.CLEAR:
                values.clear()
                self.has_released = True
                offset += 1
                continue
            index, offset = self._number(offset + 1)
            if operation == op.DELETE:
                values.pop(index, None)
                self.has_released = True
            else:
                value, offset = self._value(element, operation, offset)
                if operation & op.ADD or index not in values:  # an entry of a set is never replaced
                    values[index] = value
        return offset

    def _change_array(self, structure: Structure, offset: int) -> int:
        """Within a block indexes are those before its deletions; the holes close at its end."""
        body, end, items = self._body, len(self._body), structure.values
        element = structure.form.element
        assert element is not None
        while offset < end and (operation := body[offset]) != op.SWITCH:
            offset += 1
            if operation == op.CLEAR:
                items.clear()
                self.has_released = True
            elif operation == op.REVERSE:
                items.reverse()
            elif operation == op.DELETE_BY_REFID:
                ref_id, offset = self._number(offset)
                _punch(items, items.index(ref_id) if ref_id in items else len(items))
                self.has_released = True
            elif operation == op.DELETE:
                index, offset = self._number(offset)
                _punch(items, index)
                self.has_released = True
            elif operation == op.ADD_BY_REFID:
                ref_id, offset = self._number(offset)
                value, offset = self._value(element, operation, offset)
                _put(items, items.index(ref_id) if ref_id in items else len(items), value)
            else:
                index, offset = self._number(offset)
                value, offset = self._value(element, operation, offset)
                (_insert if operation == op.ADD else _put)(items, index, value)
        items[:] = [item for item in items if item is not _HOLE]
        return offset

    # -- values -------------------------------------------------------------------------------------------------------

    def _number(self, offset: int) -> tuple[int, int]:
        number, offset = decode_number(self._body, offset)
        return int(number), offset

    def _value(self, form: Form, operation: int, offset: int) -> tuple[Any, int]:
        if form.read is not None:
            return form.read(self._body, offset)
        return self._reference(form, operation, offset)

    def _reference(self, form: Form, operation: int, offset: int) -> tuple[int, int]:
        """The number of a structure, which is made if it is new. Only what is there can be pointed to."""
        body = self._body
        ref_id, offset = self._number(offset)
        type_id = form.type_id
        if form.kind == "ref" and operation & op.ADD and offset < len(body) and body[offset] == op.TYPE_ID:
            type_id, offset = self._number(offset + 1)
        if operation & op.DELETE:
            self.has_released = True
        if ref_id not in self.refs:
            if not operation & op.ADD:
                raise Odd(f"a reference to structure {ref_id}, which nothing has introduced")
            self.refs[ref_id] = _new(form, type_id)
            self._owned.add(ref_id)
        elif not operation & op.ADD or form.kind in COLLECTIONS:
            self.has_released = True
        return ref_id, offset


def _new(form: Form, type_id: int) -> Structure:
    if form.kind == "map":
        return Structure(form, 0, {}, {})
    return Structure(form, type_id, [] if form.kind == "array" else {})


def _punch(items: list[Any], index: int) -> None:
    if index < len(items):
        items[index] = _HOLE


def _put(items: list[Any], index: int, value: Any) -> None:
    items.extend([_HOLE] * (index + 1 - len(items)))
    items[index] = value


def _insert(items: list[Any], index: int, value: Any) -> None:
    """As 5.x does: before what is there, unless it is the same."""
    if index >= len(items) or items[index] is _HOLE:
        _put(items, index, value)
    elif items[index] != value:
        items.insert(index, value)
