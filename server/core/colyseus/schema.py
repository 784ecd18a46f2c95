"""
Colyseus' state by schema: the operations and the fixed forms that both of its halves share.

A state is a tree of structures, each with a number (its refId). A full state and a patch have the same grammar: blocks
of operations, each headed by `SWITCH` and the number of the structure it changes. Everything is little-endian. Source:
the schema dossier's sections 3, 4 and 6, checked against the official encoders.
"""

import struct
from typing import Final

REPLACE: Final = 0x00
CLEAR: Final = 0x0A
REVERSE: Final = 0x0F
MOVE: Final = 0x20
DELETE_BY_REFID: Final = 0x21
DELETE: Final = 0x40
#: As a bit: a new value, or a new reference, follows.
ADD: Final = 0x80
ADD_BY_REFID: Final = 0x81
MOVE_AND_ADD: Final = 0xA0
DELETE_AND_ADD: Final = 0xC0
#: After the number of a structure that an operation with the bit `ADD` brings: its type follows.
TYPE_ID: Final = 0xD5
#: Where an operation could be: the number of the structure that the next block is about follows.
SWITCH: Final = 0xFF

#: A schema's operations are one byte: these bits, and below them the field's index.
FIELD_OPERATION: Final = 0xC0
FIELD_INDEX: Final = 0x3F

#: The primitive types of a fixed size, by their names in the reflection. The others are `number`, `string`, `boolean`.
FIXED: Final = {
    "int8": struct.Struct("<b"),
    "uint8": struct.Struct("<B"),
    "int16": struct.Struct("<h"),
    "uint16": struct.Struct("<H"),
    "int32": struct.Struct("<i"),
    "uint32": struct.Struct("<I"),
    "int64": struct.Struct("<q"),
    "uint64": struct.Struct("<Q"),
    "bigint64": struct.Struct("<q"),
    "biguint64": struct.Struct("<Q"),
    "float32": struct.Struct("<f"),
    "float64": struct.Struct("<d"),
}
