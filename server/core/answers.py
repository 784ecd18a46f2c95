"""Answers: the frames of acks and rejects, as a message or as the response to `room.request`."""

from typing import Final

from contracts.events import HandshakeAck, IntentAck, RejectEvent, ResumeAck, SessionEvent
from server.core.colyseus.frames import ResponseStatus, header, response
from server.core.colyseus.pack import pack
from server.core.reject import Reject
from server.core.sequence import Applied, Outcome

_ACK: Final = header(IntentAck.TYPE)
_REJECT: Final = header(RejectEvent.TYPE)


def ack(seq: int, room_seq: int, is_duplicate: bool, request_id: int | None = None) -> bytes:
    body = IntentAck(seq=seq, room_seq=room_seq, status="duplicate" if is_duplicate else "applied")
    if request_id is not None:
        return response(request_id, ResponseStatus.OK, pack(body))
    return _ACK + pack(body)


def greeting(body: HandshakeAck | ResumeAck) -> bytes:
    return _ACK + pack(body)


def reject(seq: int | None, why: Reject, request_id: int | None = None, expected_seq: int | None = None) -> bytes:
    body = RejectEvent(
        seq=seq, code=why.code, message=why.message, retryable=why.is_retryable, expected_seq=expected_seq
    )
    if request_id is not None:
        return response(request_id, ResponseStatus.REJECTED, pack(body))
    return _REJECT + pack(body)


def again(seq: int, outcome: Outcome, request_id: int | None) -> bytes:
    """The answer to a number that had one before."""
    if isinstance(outcome, Applied):
        return ack(seq, outcome.room_seq, True, request_id)
    return reject(seq, Reject(outcome.code, outcome.message), request_id)


def terminating(reason: str) -> bytes:
    return header(SessionEvent.TYPE) + pack(SessionEvent(status="terminating", reason=reason))
