"""Bodies of the HTTP interface. Times here are integers: JSON has no trouble with them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from contracts import limits
from contracts.intents import has_control_characters


class Body(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A JSON object of the HTTP interface; unknown fields are ignored."""


class ErrorBody(Body, frozen=True, kw_only=True):
    """Every answer but 200. `code` is a word, in matchmaking Colyseus' number; `error` then repeats `message`."""

    code: str | int
    message: str
    error: str | None = None
    field: str | None = None


class VersionMismatchBody(Body, frozen=True, kw_only=True):
    """409: the client was built for another protocol version."""

    code: Literal["version_mismatch"]
    message: str
    expected: str
    received: str | None


class GuestRequest(Body, frozen=True, kw_only=True):
    """Asks for a guest's access token; `name` holds it trimmed, None lets the server choose."""

    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            msgspec.structs.force_setattr(self, "name", checked_name(self.name))


def checked_name(name: str) -> str:
    """The name trimmed; raises ValueError unless it has 1 to 32 characters, all of them text that can be shown."""
    name = name.strip()
    if not 1 <= len(name) <= limits.NAME_CHARS_MAX:
        raise ValueError(f"name: expected 1 to {limits.NAME_CHARS_MAX} characters after trimming, got {len(name)}")
    if has_control_characters(name):
        raise ValueError("name: expected no control characters")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError("name: expected no lone surrogates") from None
    return name


class GuestAnswer(Body, frozen=True, kw_only=True):
    access_token: str
    expires_in: Annotated[int, Meta(description="seconds")]
    player_id: str


class CharacterProfile(Body, frozen=True, kw_only=True):
    """A player's character as it rests between rooms. `inventory` counts items by kind."""

    name: str
    hp: int
    inventory: dict[str, int]


class BootstrapRequest(Body, frozen=True, kw_only=True):
    protocol_version: str


class BootstrapAnswer(Body, frozen=True, kw_only=True):
    player_id: str
    character: CharacterProfile
    protocol_version: str
    permissions: list[str]
    rooms: Annotated[list[str], Meta(description="names of the rooms this server knows")]
    server_time: Annotated[int, Meta(description="milliseconds since the Unix epoch, UTC")]


class LogoutAnswer(Body, frozen=True, kw_only=True):
    sessions: Annotated[int, Meta(description="how many sessions were ended")]


class VersionAnswer(Body, frozen=True, kw_only=True):
    name: str
    version: str
    protocol_version: str
    schema_hash: str


class RoomListing(Body, frozen=True, kw_only=True):
    """A room as anyone may see it."""

    room_id: str
    name: str
    clients: int
    max_clients: int
    locked: bool
    private: bool
    metadata: dict[str, Any]
    created_at: Annotated[int, Meta(description="milliseconds since the Unix epoch, UTC")]


class DependencyHealth(Body, frozen=True, kw_only=True):
    status: Literal["ok", "degraded", "unavailable"]
    reason: str = ""


class ReadyAnswer(Body, frozen=True, kw_only=True):
    ready: bool
    dependencies: dict[str, DependencyHealth]


class SeatRoom(Body, frozen=True, kw_only=True):
    """The seat's room once more, nested, where the SDK of 0.16 looks for it."""

    name: str
    room_id: str
    process_id: str
    public_address: str | None = None


class Seat(Body, frozen=True, kw_only=True):
    """A seat reservation in the shape all three SDKs accept (colyseus-wire.md 1.3)."""

    name: str
    session_id: str
    room_id: str
    process_id: str
    room: SeatRoom
    public_address: str | None = None


BODIES: tuple[type[Body], ...] = (
    ErrorBody,
    VersionMismatchBody,
    GuestRequest,
    GuestAnswer,
    BootstrapRequest,
    BootstrapAnswer,
    LogoutAnswer,
    VersionAnswer,
    RoomListing,
    ReadyAnswer,
    Seat,
)
