"""
The opening handshake (RFC 6455 section 4.2), the same for every transport.

`websockets` reads and checks the request; the edge's `Accept` is asked only about a request that
could be upgraded. Extensions and subprotocols are declined by not being mentioned.
"""

from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request
from websockets.server import ServerProtocol

from contracts import limits
from server.edge.transport.base import Accept, Endpoint, Later, Refusal, UpgradeRequest

_log: Final = structlog.get_logger()


class Agreement(msgspec.Struct, frozen=True):
    endpoint: Endpoint
    key: str  #: the client's Sec-WebSocket-Key
    protocol: ServerProtocol  #: open, with the 101 response waiting to be sent


class Postponed(msgspec.Struct, frozen=True):
    """An agreement but for the endpoint."""

    later: Later
    key: str
    protocol: ServerProtocol

    def agreed(self, endpoint: Endpoint) -> Agreement:
        return Agreement(endpoint, self.key, self.protocol)


def negotiate(request_bytes: bytes, peer: str, accept: Accept) -> Agreement | Postponed | Refusal:
    """Answers one complete upgrade request."""
    protocol = ServerProtocol(max_size=limits.MESSAGE_BYTES_MAX)
    protocol.receive_data(request_bytes)
    events = protocol.events_received()
    if not events or not isinstance(request := events[0], Request):
        return _unreadable(protocol.handshake_exc)
    response = protocol.accept(request)
    if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        return Refusal(response.status_code, "not a WebSocket handshake")
    path, _, query = request.path.partition("?")
    headers: dict[str, str] = {}
    for name, value in request.headers.raw_items():
        headers.setdefault(name.lower(), value)
    try:
        verdict = accept(UpgradeRequest(path, query, headers, peer))
    except Exception:
        _log.exception("accept_raised", path=path)
        return Refusal(500, "internal error")
    if isinstance(verdict, Refusal):
        return verdict
    protocol.send_response(response)
    key = headers["sec-websocket-key"]
    return Postponed(verdict, key, protocol) if isinstance(verdict, Later) else Agreement(verdict, key, protocol)


def _unreadable(reason: Exception | None) -> Refusal:
    if isinstance(reason, RequestLineTooLong):
        return Refusal(414, "URL too long")
    if isinstance(reason, HeaderLineTooLong | TooManyHeaders):
        return Refusal(431, "headers too large")
    return Refusal(400, "not a WebSocket handshake")


def refusal_bytes(refusal: Refusal, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The HTTP response for `refusal`, after which the connection is closed."""
    status = HTTPStatus(refusal.status)
    body = msgspec.json.encode({"code": refusal.status, "message": refusal.message})
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        # RFC 6455 section 4.4 wants it where the version was wrong; elsewhere it does no harm.
        (b"sec-websocket-version", b"13"),
    ]
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after_s))
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, status.phrase.encode(), lines, body)
