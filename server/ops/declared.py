"""
Declared: a setting's whole declaration, held in the annotation of one field of a frozen struct.

`about` writes it, `declared` reads it back; parsing, checking, masking and documenting are all derived, so
there is no second list to keep in step. Which settings there are, and where their texts come from, is not known here.
"""

from typing import Any

import msgspec
from msgspec import Meta, inspect

from server.ops.redaction import masked, redacted_text
from server.ops.shapes import TEXT, Shape


def about(
    meaning: str,
    example: object,
    unit: str = "",
    *,
    ge: float | None = None,
    le: float | None = None,
    shape: Shape = TEXT,
    is_secret: bool = False,
) -> Meta:
    """The metadata of one setting, for `Annotated`. Numbers need both bounds; a tuple's shape holds for each item."""
    extra = {"unit": unit, "shape": shape, "is_secret": is_secret}
    return Meta(description=meaning, examples=[as_text(example)], ge=ge, le=le, extra=extra)


class Declared(msgspec.Struct, frozen=True):
    """One setting as declared; `kind` says in words which values it takes."""

    name: str
    type: Any
    default: object
    kind: str
    meaning: str
    example: str
    unit: str
    shape: Shape
    is_secret: bool

    def parsed(self, text: str) -> object:
        """The value that `text` means. Raises `ValueError` with what it must be; a secret's text is not repeated."""
        is_list = isinstance(self.default, tuple)
        items = [item.strip() for item in text.split(",") if item.strip()] if is_list else [text]
        try:
            if all(self.shape.fits(item) for item in items):
                return msgspec.convert(items if is_list else text, self.type, strict=False)
        except ValueError:  # includes msgspec.ValidationError
            pass
        raise ValueError(f"must be {self.kind}" + ("" if self.is_secret else f", not {redacted_text(text)[:80]!r}"))

    def shown(self, settings: msgspec.Struct) -> object:
        """This setting's value in `settings`, as it may be shown."""
        value = getattr(settings, self.name)
        return masked(value) if self.is_secret else value


def declared(settings: type[msgspec.Struct]) -> list[Declared]:
    """Every setting of the struct, in order."""
    described = inspect.type_info(settings)
    assert isinstance(described, inspect.StructType)
    annotations = [field.type for field in msgspec.structs.fields(settings)]
    return [_declared(field, annotation) for field, annotation in zip(described.fields, annotations, strict=True)]


def as_text(value: object) -> str:
    """A value as one would write it into a variable."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _declared(field: inspect.Field, annotation: object) -> Declared:
    described = field.type
    assert isinstance(described, inspect.Metadata), f"{field.name} lacks its meaning"
    extra, schema = described.extra or {}, described.extra_json_schema or {}
    return Declared(
        name=field.name,
        type=annotation,
        default=field.default,
        kind=_kind(described.type, extra["shape"]),
        meaning=schema["description"],
        example=schema["examples"][0],
        unit=extra["unit"],
        shape=extra["shape"],
        is_secret=extra["is_secret"],
    )


def _kind(described: inspect.Type, shape: Shape) -> str:
    match described:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case inspect.LiteralType(values=values):
            return " or ".join(str(value) for value in values)
        case _:
            return shape.words
