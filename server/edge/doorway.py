"""
Doorway: what every HTTP request passes. The rate of its peer, CORS for the origins that the settings
allow, one access log line without the query, and a few headers browsers ask for.

Probes are not limited: whoever watches this server must hear of it above all when others are too many.
"""

import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.edge.http import too_many_requests
from server.edge.origins import Origins
from server.edge.peers import PeerRate
from server.ops.logs import PROBE_PATHS, log_access

_CORS = (
    (b"access-control-allow-credentials", b"true"),
    (b"access-control-allow-headers", b"Origin, X-Requested-With, Content-Type, Accept, Authorization"),
    (b"access-control-allow-methods", b"GET,HEAD,PUT,PATCH,POST,DELETE"),
    (b"access-control-max-age", b"2592000"),
    (b"vary", b"Origin"),
)
_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))


class Doorway:
    def __init__(self, app: ASGIApp, origins: Origins, rate: PeerRate) -> None:
        self._app = app
        self._origins = origins
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        peer = scope["client"][0] if scope.get("client") else ""
        retry_after_s = None if scope["path"] in PROBE_PATHS else self._rate.retry_after_s(peer)
        extra = [*_ALWAYS, *self._cors(dict(scope["headers"]))]

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        if retry_after_s is not None:
            await too_many_requests(scope["path"], retry_after_s)(scope, receive, answer)
        elif scope["method"] == "OPTIONS":
            await answer({"type": "http.response.start", "status": 204, "headers": []})
            await answer({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, answer)
        log_access(scope["method"], scope["path"], status, time.perf_counter() - began, peer)

    def _cors(self, headers: MutableMapping[bytes, Any]) -> tuple[tuple[bytes, bytes], ...]:
        origin, host = headers.get(b"origin"), headers.get(b"host")
        if origin is None:
            return ((b"access-control-allow-origin", b"*"),)
        if not self._origins.allow(origin.decode("latin-1"), host.decode("latin-1") if host else None):
            return ((b"vary", b"Origin"),)
        return ((b"access-control-allow-origin", origin), *_CORS)
