"""What every message is made of: a struct whose wire names are camelCase, and a type name."""

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

#: Integers travel as IEEE doubles in JavaScript, so none is larger than this.
INTEGER_MAX = 2**53 - 1

Sequence = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
RoomSequence = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
#: Milliseconds since the Unix epoch, UTC; a float because larger msgpack integers reach JavaScript as BigInt.
Milliseconds = Annotated[float, Meta(description="milliseconds since the Unix epoch, UTC")]


class Message(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One message of the contract; `TYPE` is its name on the wire. Receivers ignore fields they don't know."""

    TYPE: ClassVar[str] = ""


class Intent(Message, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """What a player asks for, numbered by its session from 1 without gaps. A room's own intents derive from it."""

    seq: Annotated[Sequence, Meta(description="the session's number of this intent, from 1 without gaps")]


#: A tree as JSON has it: a room's state, or an RFC 7386 merge patch of it.
Tree = dict[str, Any]
