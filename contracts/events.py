"""What the server sends in ROOM_DATA. Several forms share one type name and are told apart by `kind`."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from contracts.codes import RejectCode
from contracts.message import Message, Milliseconds, RoomSequence, Sequence, Tree


class HandshakeAck(Message, frozen=True, tag_field="kind", tag="handshake", kw_only=True):
    """First after each join byte: who the session is and where it stands."""

    TYPE: ClassVar[str] = "event.ack"

    session_id: str
    player_id: str
    protocol_version: str
    last_seq: Annotated[RoomSequence, Meta(description="the highest intent number that has an outcome")]
    room_seq: RoomSequence
    epoch: RoomSequence
    permissions: list[str]
    intent_rate: Annotated[float, Meta(description="intents a second")]
    intent_burst: int
    server_time: Milliseconds
    heartbeat_ms: int


class ResumeAck(Message, frozen=True, tag_field="kind", tag="resume", kw_only=True):
    """Answers `session.resume`; `recovered` says that exactly what was missed follows, else a snapshot does."""

    TYPE: ClassVar[str] = "event.ack"

    room_seq: RoomSequence
    epoch: RoomSequence
    last_seq: RoomSequence
    recovered: bool


class IntentAck(Message, frozen=True, tag_field="kind", tag="intent", kw_only=True):
    """The intent is durable in PostgreSQL at `roomSeq`; `duplicate` when its number had been answered before."""

    TYPE: ClassVar[str] = "event.ack"

    seq: Sequence
    room_seq: RoomSequence
    status: Literal["applied", "duplicate"]


class RejectEvent(Message, frozen=True, kw_only=True):
    """The intent had no effect. `seq` is null when none could be read; `expectedSeq` comes with `gap`."""

    TYPE: ClassVar[str] = "event.reject"

    seq: Sequence | None
    code: RejectCode
    message: str
    retryable: bool
    expected_seq: Sequence | None = None


class Snapshot(Message, frozen=True, tag_field="kind", tag="snapshot", kw_only=True):
    """The whole state at `roomSeq`."""

    TYPE: ClassVar[str] = "event.state_delta"

    room_seq: RoomSequence
    epoch: RoomSequence
    tick: RoomSequence
    state: Tree
    server_time: Milliseconds


class Delta(Message, frozen=True, tag_field="kind", tag="delta", kw_only=True):
    """The merged patches from `baseSeq` to `roomSeq`, applied in order; a `baseSeq` not yours is a gap: resume."""

    TYPE: ClassVar[str] = "event.state_delta"

    base_seq: RoomSequence
    room_seq: RoomSequence
    epoch: RoomSequence
    tick: RoomSequence
    patches: Annotated[list[Tree], Meta(description="RFC 7386 merge patches")]
    server_time: Milliseconds


class VolatileDelta(Message, frozen=True, tag_field="kind", tag="volatile", kw_only=True):
    """Patches of what is never stored (cursors, typing); it has no roomSeq."""

    TYPE: ClassVar[str] = "event.state_delta"

    patches: list[Tree]


class ChatEvent(Message, frozen=True, kw_only=True):
    """A line somebody said; `n` counts the events of one action. Always sent before the delta that covers `roomSeq`."""

    TYPE: ClassVar[str] = "event.chat"

    room_seq: RoomSequence
    n: RoomSequence
    session_id: str
    name: str
    text: str
    at: Milliseconds


class Degraded(Message, frozen=True, kw_only=True):
    """A store the server depends on changed its health."""

    TYPE: ClassVar[str] = "event.degraded"

    dependency: Literal["postgres", "redis"]
    status: Literal["degraded", "unavailable", "recovered"]
    reason: str
    since: Milliseconds


class VersionMismatch(Message, frozen=True, kw_only=True):
    """The client speaks another protocol version; close 4500 follows."""

    TYPE: ClassVar[str] = "event.version_mismatch"

    expected: str
    received: str


class SessionEvent(Message, frozen=True, kw_only=True):
    """Comes before a close that the server decides."""

    TYPE: ClassVar[str] = "event.session"

    status: Literal["terminating"]
    reason: str


AckEvent = HandshakeAck | ResumeAck | IntentAck
StateEvent = Snapshot | Delta | VolatileDelta

FROM_SERVER: tuple[type[Message], ...] = (
    HandshakeAck,
    ResumeAck,
    IntentAck,
    RejectEvent,
    Snapshot,
    Delta,
    VolatileDelta,
    ChatEvent,
    Degraded,
    VersionMismatch,
    SessionEvent,
)
