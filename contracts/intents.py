"""What a client may send in ROOM_DATA: the intents of the rooms we ship, and the session's own messages."""

import unicodedata
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from contracts import limits
from contracts.message import Intent, Message, RoomSequence, Sequence

Step = Literal[-1, 0, 1]


def has_control_characters(text: str) -> bool:
    """True when a character of Unicode category Cc (newline, NUL, escape ...) is in it."""
    return any(unicodedata.category(character) == "Cc" for character in text)


class Move(Intent, frozen=True, kw_only=True):
    """One step to a neighbouring tile, diagonals included."""

    TYPE: ClassVar[str] = "intent.move"

    dx: Step
    dy: Step

    def __post_init__(self) -> None:
        if self.dx == 0 and self.dy == 0:
            raise ValueError("dx, dy: expected a step, got 0, 0")


class Chat(Intent, frozen=True, kw_only=True):
    """A line said to everyone in the room; `text` holds it trimmed."""

    TYPE: ClassVar[str] = "intent.chat"

    text: Annotated[str, Meta(min_length=1, description="1 to 500 characters after trimming, no control characters")]

    def __post_init__(self) -> None:
        text = self.text.strip()
        if not 1 <= len(text) <= limits.CHAT_CHARS_MAX:
            raise ValueError(f"text: expected 1 to {limits.CHAT_CHARS_MAX} characters after trimming, got {len(text)}")
        if has_control_characters(text):
            raise ValueError("text: expected no control characters")
        msgspec.structs.force_setattr(self, "text", text)


class Action(Intent, frozen=True, kw_only=True):
    """Something done in the world; the `game` room knows `open`, `take`, `drop` and `strike`."""

    TYPE: ClassVar[str] = "intent.action"

    action: Annotated[str, Meta(min_length=1, max_length=limits.ACTION_CHARS_MAX)]
    target: Annotated[str, Meta(max_length=limits.TARGET_CHARS_MAX)] | None = None
    args: dict[str, Any] | None = None


class Add(Intent, frozen=True, kw_only=True):
    """Adds to the total of a `counter` room."""

    TYPE: ClassVar[str] = "intent.add"

    amount: Annotated[int, Meta(ge=1, le=100)] = 1


class Resume(Message, frozen=True, kw_only=True):
    """Where a client stands: the last roomSeq it applied, its epoch, and the highest number whose outcome it holds."""

    TYPE: ClassVar[str] = "session.resume"

    room_seq: RoomSequence
    epoch: RoomSequence | None = None
    seq: RoomSequence | None = None


class Logout(Message, frozen=True, kw_only=True):
    """Ends the player's sessions and revokes their tokens."""

    TYPE: ClassVar[str] = "session.logout"


INTENTS: tuple[type[Intent], ...] = (Move, Chat, Action, Add)
FROM_CLIENT: tuple[type[Message], ...] = (*INTENTS, Resume, Logout)

__all__ = [
    "FROM_CLIENT",
    "INTENTS",
    "Action",
    "Add",
    "Chat",
    "Logout",
    "Move",
    "Resume",
    "Sequence",
    "has_control_characters",
]
