"""
HTTP: the page, health, guests, bootstrap, logout, listings and matchmaking.

Every error is JSON `{code, message}`; in matchmaking `code` is Colyseus' number and the status
too, so that its SDKs raise it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles

from contracts import PROTOCOL_VERSION, limits
from contracts.codes import MatchmakeCode
from contracts.http import (
    BootstrapAnswer,
    CharacterProfile,
    ErrorBody,
    GuestRequest,
    LogoutAnswer,
    RoomListing,
    VersionAnswer,
    VersionMismatchBody,
)
from server.core.faults import Fault
from server.core.permissions import permissions_of
from server.edge.arrivals import new_profile
from server.edge.auth import Access, BadToken
from server.edge.gatehouse import Gatehouse, VersionRefused, bearer_of, check_version
from server.edge.matchmaking import METHODS, Applicant, Matchmaker, NoSeat
from server.presence.directory import Directory
from server.runtime.node import Node
from server.runtime.terms import NodeFull
from server.storage.stores import Stores

_log = structlog.get_logger(service="http")

B = TypeVar("B")

RETRY_AFTER_S = 2
#: Join options that are for the edge; the room gets the others.
_EDGE_OPTIONS = ("accessToken", "protocolVersion", "resume")

Health = Callable[[], tuple[int, dict[str, Any]]]


class Refused(Exception):
    """An error with its own status."""

    def __init__(self, status: int, code: str | int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Routes:
    def __init__(
        self,
        node: Node,
        stores: Stores,
        directory: Directory,
        matchmaker: Matchmaker,
        gatehouse: Gatehouse,
        log_out: Callable[[str], Awaitable[int]],
        liveness: Health,
        readiness: Health,
        metrics: Callable[[], tuple[bytes, str]],
        version: VersionAnswer,
        page: Path,
    ) -> None:
        self._node = node
        self._stores = stores
        self._directory = directory
        self._matchmaker = matchmaker
        self._gatehouse = gatehouse
        self._log_out = log_out
        self._liveness = liveness
        self._readiness = readiness
        self._metrics = metrics
        self._version = version
        self._page = page

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", self._plain(self._liveness)),
                Route("/readyz", self._plain(self._readiness)),
                Route("/version", self._show_version),
                Route("/metrics", self._show_metrics),
                Route("/api/auth/guest", _guarded(self._guest), methods=["POST"]),
                Route("/api/session/bootstrap", _guarded(self._bootstrap), methods=["POST"]),
                Route("/api/session/logout", _guarded(self._logout), methods=["POST"]),
                Route("/api/rooms", _guarded(self._rooms)),
                Route("/matchmake/{method}/{name_or_id}", _guarded(self._matchmake, MatchmakeCode), methods=["POST"]),
                Mount("/", StaticFiles(directory=self._page, html=True, check_dir=False)),
            ],
            exception_handlers={404: _not_found, 405: _not_allowed},
        )

    # -- the server itself ----------------------------------------------------------------------------------------

    @staticmethod
    def _plain(facts: Health) -> Callable[[Request], Awaitable[Response]]:
        async def show(request: Request) -> Response:
            status, body = facts()
            return answer(body, status, {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None)

        return show

    async def _show_version(self, request: Request) -> Response:
        return answer(self._version)

    async def _show_metrics(self, request: Request) -> Response:
        body, content_type = self._metrics()
        return Response(body, headers={"Content-Type": content_type})

    # -- players --------------------------------------------------------------------------------------------------

    async def _guest(self, request: Request) -> Response:
        if not self._gatehouse.can_sign:
            raise Refused(403, "guests_off", "this server takes no guests")
        asked = await _read(request, GuestRequest)
        return answer(self._gatehouse.sign_in(self._gatehouse.new_guest(asked.name)))

    async def _bootstrap(self, request: Request) -> Response:
        access = await self._access(request)
        body = await _read(request, dict[str, Any])
        check_version(body.get("protocolVersion"), may_be_missing=False)
        player = access.player
        row = await self._stores.characters.get_or_create(
            self._node.node_id, player.player_id, player.name, new_profile(player.name)
        )
        return answer(
            BootstrapAnswer(
                player_id=player.player_id,
                character=msgspec.json.decode(row.profile, type=CharacterProfile),
                protocol_version=PROTOCOL_VERSION,
                permissions=list(permissions_of(player.role)),
                rooms=sorted(self._node.games),
                server_time=int(time.time() * 1000),
            )
        )

    async def _logout(self, request: Request) -> Response:
        access = await self._access(request)
        await self._gatehouse.revoke(access)
        return answer(LogoutAnswer(sessions=await self._log_out(access.player.player_id)))

    async def _access(self, request: Request) -> Access:
        token = bearer_of(request.headers.get("authorization"))
        if token is None:
            raise BadToken("expected Authorization: Bearer with an access token")
        return await self._gatehouse.access(token)

    # -- rooms ----------------------------------------------------------------------------------------------------

    async def _rooms(self, request: Request) -> Response:
        """All rooms that have not ended, as PostgreSQL has them; how many are in each, as Redis says."""
        name = request.query_params.get("name")
        if name is not None and name not in self._node.games:
            return answer([])
        rows = await self._stores.rooms.listing(name)
        listed = {listing.room_id: listing for listing in await self._directory.listings(name)}
        return answer(
            [
                RoomListing(
                    room_id=row.room_id,
                    name=row.name,
                    clients=listed[row.room_id].clients if row.room_id in listed else 0,
                    max_clients=row.max_clients,
                    locked=row.locked,
                    private=row.private,
                    metadata=msgspec.json.decode(row.metadata),
                    created_at=row.created_at,
                )
                for row in rows
                if not row.private
            ]
        )

    async def _matchmake(self, request: Request) -> Response:
        method, name_or_id = request.path_params["method"], request.path_params["name_or_id"]
        if method not in METHODS:
            raise NoSeat(MatchmakeCode.NO_HANDLER, f'invalid method "{method}"')
        options = await _read(request, dict[str, Any])
        if self._node.is_draining:
            raise Refused(503, 503, "the server is shutting down")
        if method == "reconnect":
            return await self._reconnect(name_or_id, options)
        bearer = bearer_of(request.headers.get("authorization"))
        try:
            player = await self._gatehouse.applicant(bearer, options)
        except BadToken as problem:
            raise NoSeat(MatchmakeCode.AUTH_FAILED, str(problem)) from None
        version = options.get("protocolVersion")
        check_version(version, may_be_missing=True)
        for_room = {key: value for key, value in options.items() if key not in _EDGE_OPTIONS}
        if len(msgspec.json.encode(for_room)) > limits.JOIN_OPTIONS_BYTES_MAX:
            raise Refused(413, 413, f"options: expected at most {limits.JOIN_OPTIONS_BYTES_MAX} bytes of JSON")
        applicant = Applicant(player, for_room, version, options.get("resume") is True)
        return answer(await self._matchmaker.seat(method, name_or_id, applicant))

    async def _reconnect(self, room_id: str, options: Mapping[str, Any]) -> Response:
        token = options.get("reconnectionToken")
        if not isinstance(token, str) or not token:
            raise NoSeat(MatchmakeCode.UNHANDLED, "'reconnectionToken' must be provided for reconnection.")
        seat, spoken = await self._matchmaker.returning(room_id, token)
        check_version(spoken, may_be_missing=True)
        return answer(seat)


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def _failure(status: int, code: str | int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    error = message if isinstance(code, int) else None
    return answer(ErrorBody(code=code, message=message, error=error), status, headers)


def _guarded(
    handler: Callable[[Request], Awaitable[Response]], numbers: type[MatchmakeCode] | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Every way a request can fail, as its answer. `numbers`: with Colyseus' numbers for codes."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except NoSeat as problem:
            return _failure(problem.code, int(problem.code), str(problem))
        except Refused as problem:
            return _failure(problem.status, problem.code, str(problem), _headers_of(problem.status))
        except BadToken as problem:
            return _failure(401, "unauthorized", str(problem), {"WWW-Authenticate": "Bearer"})
        except VersionRefused as problem:
            body = VersionMismatchBody(
                code="version_mismatch", message=str(problem), expected=PROTOCOL_VERSION, received=problem.received
            )
            return answer(body, 409)
        except (Fault, NodeFull) as fault:
            _log.warning("request could not be served", path=request.url.path, fault=str(fault))
            code = "unavailable" if numbers is None else 503
            return _failure(503, code, "the server cannot do this right now; try again in a moment", _headers_of(503))
        except Exception:
            _log.exception("a request failed", path=request.url.path)
            code = "internal" if numbers is None else int(MatchmakeCode.UNHANDLED)
            return _failure(500 if numbers is None else MatchmakeCode.UNHANDLED, code, "something went wrong here")

    return guarded


def _headers_of(status: int) -> Mapping[str, str] | None:
    if status == 503:
        return {"Retry-After": str(RETRY_AFTER_S)}
    # The rest of the body is not waited for.
    return {"Connection": "close"} if status in (408, 413) else None


async def _read(request: Request, shape: type[B]) -> B:
    """The JSON body in its shape; an empty one is `{}`. Raises Refused with the field and what was expected."""
    body = b""
    try:
        async with asyncio.timeout(limits.HTTP_BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.HTTP_BODY_BYTES_MAX:
                    raise Refused(413, "too_large", f"body: expected at most {limits.HTTP_BODY_BYTES_MAX} bytes")
    except TimeoutError:
        raise Refused(408, "timeout", f"body: expected within {limits.HTTP_BODY_S:g} s") from None
    try:
        return msgspec.json.decode(body or b"{}", type=shape)
    except msgspec.ValidationError as problem:
        raise Refused(400, "invalid", str(problem)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "malformed", "body: expected JSON") from None


def too_many_requests(path: str, retry_after_s: int) -> Response:
    """The refusal of a peer that asks too often."""
    code = 429 if path.startswith("/matchmake/") else "rate_limited"
    message = "too many requests from this address; try again in a moment"
    return _failure(429, code, message, {"Retry-After": str(retry_after_s)})


async def _not_found(request: Request, problem: Exception) -> Response:
    return _failure(404, "not_found", f"there is nothing at {request.url.path}")


async def _not_allowed(request: Request, problem: Exception) -> Response:
    # The page, which takes GET alone, stands behind every path; what has no other route is not there.
    if not any(route.matches(request.scope)[0] is not Match.NONE for route in request.app.routes[:-1]):
        return await _not_found(request, problem)
    return _failure(405, "method_not_allowed", f"{request.method} is not for {request.url.path}")
