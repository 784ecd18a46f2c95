"""Codes on the wire: why a connection closed, why an intent was refused, why a join failed."""

from enum import IntEnum, StrEnum


class CloseCode(IntEnum):
    """WebSocket close codes. 4000-4010 are Colyseus' own; 4500-4508 are ours and terminal for its SDKs."""

    PROTOCOL = 1002
    TOO_BIG = 1009
    CONSENTED = 4000
    #: A failed join.
    ERROR = 4002
    FAILED_TO_RECONNECT = 4003
    #: Drain, moved room, fenced node: the SDK dials again by itself.
    MAY_RECONNECT = 4010
    VERSION_MISMATCH = 4500
    #: The session has a newer connection, or the player joined elsewhere.
    REPLACED = 4501
    REMOVED = 4502
    IDLE = 4503
    LOGGED_OUT = 4504
    FLOOD = 4505
    PROTOCOL_ERROR = 4506
    TOO_SLOW = 4507
    ACCESS_REVOKED = 4508


class RejectCode(StrEnum):
    """Why an intent had no effect."""

    #: The payload is not of the message's form.
    INVALID = "invalid"
    #: The rules of the room say no.
    ILLEGAL = "illegal"
    #: The number is ahead of the next one; consumes nothing.
    GAP = "gap"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    DEGRADED = "degraded"
    #: Never became durable; it has no effect and never will.
    NOT_DURABLE = "not_durable"
    #: The role lacks the permission.
    FORBIDDEN = "forbidden"
    TERMINATING = "terminating"
    INTERNAL = "internal"


#: Rejects that are worth sending again, under a new number.
RETRYABLE = frozenset({RejectCode.GAP, RejectCode.RATE_LIMITED, RejectCode.OVERLOADED, RejectCode.DEGRADED})


class MatchmakeCode(IntEnum):
    """Colyseus' matchmaking errors; HTTP status, body code and ERROR frame all carry them."""

    NO_HANDLER = 520
    NO_ROOM = 521
    BAD_ROOM_ID = 522
    UNHANDLED = 523
    EXPIRED = 524
    AUTH_FAILED = 525
    #: The room refused or failed the join.
    JOIN_FAILED = 526


class Kind(StrEnum):
    """Kinds of journal entries beside the message types of intents."""

    ROOM_CREATE = "room.create"
    SESSION_JOIN = "session.join"
    SESSION_DROP = "session.drop"
    SESSION_RECONNECT = "session.reconnect"
    SESSION_LEAVE = "session.leave"
    TICK = "tick"
