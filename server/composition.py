"""
Composition: a node and its edge put together, each part given what it stands on.

Which part knows which is decided here and nowhere else; what happens to the whole is the app's (`server/app.py`).
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import SystemRandom

import msgspec
import uvicorn
from jwt import PyJWKSet

from contracts.codes import CloseCode
from contracts.http import VersionAnswer
from server.core.faults import Fault, Fenced
from server.core.identifiers import new_id
from server.core.room import RoomLimits
from server.edge.arrivals import Arrivals
from server.edge.auth import Authority, load_jwks
from server.edge.desk import Desk
from server.edge.doorway import Doorway
from server.edge.evictions import Evictions
from server.edge.gatehouse import Gatehouse
from server.edge.http import Health, Routes
from server.edge.logout import Logout
from server.edge.matchmaking import Matchmaker
from server.edge.origins import Origins
from server.edge.peers import PeerRate
from server.edge.relay import RelayMark
from server.edge.server import BoundedHttp, Server
from server.edge.transport import uvicorn_protocol
from server.ops import health
from server.ops.metrics import Metrics
from server.presence import Bus, Directory, Reservations, Revocations, Sessions, Store
from server.rooms.base import Room
from server.runtime.clock import unix_ms
from server.runtime.identity import Identity
from server.runtime.node import Node
from server.runtime.publisher import Publisher
from server.runtime.runner import Pace
from server.runtime.tasks import Tasks
from server.runtime.terms import Reports, Terms
from server.settings import PREFIX, BadSetting, Problem, Settings
from server.storage.database import Database
from server.storage.secrets import jwt_secret, relay_secret
from server.storage.stores import Stores, stores_of

PAGE = Path(__file__).parent / "web" / "dist"
#: Close codes that metrics tell apart beside ours.
_STANDARD_CODES = (1000, 1001, 1002, 1005, 1006, 1007, 1009, 1011)


class Hooks(msgspec.Struct, frozen=True):
    """What the parts tell the app."""

    #: Another node has this one's rooms, or may.
    on_fenced: Callable[[Fenced], None]
    #: A flush failed.
    on_postgres_fault: Callable[[Fault], None]
    #: A call to Redis failed.
    on_redis_fault: Callable[[Fault], None]
    #: A flush of so many actions took so many seconds.
    on_commit: Callable[[int, float], None]
    #: The sockets are open.
    on_ready: Callable[[], None]
    #: Awaited before the sockets close.
    drain: Callable[[], Awaitable[None]]
    readiness: Health
    #: What those who arrive now are to hear of the dependencies.
    troubles: Callable[[], list[bytes]]


class Stand(msgspec.Struct, frozen=True):
    """What every part may stand on."""

    settings: Settings
    games: Mapping[str, type[Room]]
    database: Database
    store: Store
    stores: Stores
    directory: Directory
    sessions: Sessions
    metrics: Metrics
    tasks: Tasks
    random: SystemRandom


def stand_on(
    settings: Settings,
    games: Mapping[str, type[Room]],
    database: Database,
    store: Store,
    metrics: Metrics,
    tasks: Tasks,
    random: SystemRandom,
) -> Stand:
    return Stand(
        settings,
        games,
        database,
        store,
        stores_of(database),
        Directory(store, list(games), lease_s=settings.lease_s),
        Sessions(store, hold_s=settings.hold_s),
        metrics,
        tasks,
        random,
    )


def compose_node(stand: Stand, address: str, hooks: Hooks) -> Node:
    """The node that others reach at `address`; it does nothing before its `start`."""
    settings, stores, random = stand.settings, stand.stores, stand.random
    identity = Identity(
        stand.database.node_id,
        stores.nodes,
        stand.database.rename,
        lambda: new_id(random),
        settings.lease_s,
        settings.lease_renew_s,
    )
    publisher = Publisher(
        stand.directory,
        stand.sessions,
        identity,
        address,
        settings.public_address or None,
        settings.hold_s,
        settings.lease_renew_s,
        unix_ms,
        hooks.on_redis_fault,
    )
    return Node(
        identity,
        stand.games,
        stores,
        publisher,
        stand.tasks,
        stand.metrics,
        _terms(settings),
        unix_ms,
        random,
        Reports(hooks.on_fenced, hooks.on_commit, hooks.on_postgres_fault),
    )


async def compose_edge(stand: Stand, node: Node, version: VersionAnswer, hooks: Hooks) -> tuple[Server, Desk]:
    """The node's way to the world. Raises BadSetting (a file of keys) or a Fault (its secret)."""
    settings, stores, metrics, random = stand.settings, stand.stores, stand.metrics, stand.random
    authority = await _authority(settings, stand.database)
    reservations = Reservations(stand.store)
    gatehouse = Gatehouse(authority, Revocations(stand.store), settings.guests, settings.access_token_s, random)
    bus = Bus(stand.store, random)
    evictions = Evictions(node, bus, stores.characters, stand.tasks, unix_ms, random)
    stand.tasks.start(bus.listen(lambda: node.node_id, evictions.heard), "bus")
    logout = Logout(node, stand.sessions, evictions, gatehouse)
    arrivals = Arrivals(node, reservations, stores.characters, evictions, metrics, unix_ms, random)
    origins = Origins(settings.allowed_origins)
    relay_mark = RelayMark(await relay_secret(stand.database))
    desk = Desk(
        node,
        origins,
        _rate_of(settings, "connections", settings.connect_rate, settings.connect_burst),
        relay_mark,
        metrics,
        stand.tasks,
        unix_ms,
        settings.connections_max,
        arrivals.seat,
        logout.of_player,
        hooks.troubles,
    )
    matchmaker = Matchmaker(
        node,
        stores.rooms,
        stand.directory,
        stand.sessions,
        reservations,
        settings.seat_reservation_s,
        settings.public_address or None,
        random,
    )
    routes = Routes(
        node,
        stores,
        stand.directory,
        matchmaker,
        gatehouse,
        logout.end_sessions,
        health.liveness,
        hooks.readiness,
        metrics.render,
        version,
        PAGE,
    )
    config = uvicorn.Config(
        Doorway(
            routes.application(),
            origins,
            _rate_of(settings, "requests", settings.http_rate, settings.http_burst),
        ),
        http=BoundedHttp,
        ws=uvicorn_protocol(settings.transport, desk.accept),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    return Server(config, hooks.on_ready, hooks.drain), desk


def metrics_of(games: Mapping[str, type[Room]], shown: VersionAnswer) -> Metrics:
    intent_types = {name for game in games.values() for name in game.handlers}
    codes = [*CloseCode, *_STANDARD_CODES]
    return Metrics(intent_types, codes, shown.version, shown.protocol_version, shown.schema_hash)


def _rate_of(settings: Settings, name: str, rate_per_s: float, burst: int) -> PeerRate:
    return PeerRate(name, rate_per_s, burst, unix_ms, limits_loopback=settings.limit_loopback)


async def _authority(settings: Settings, database: Database) -> Authority:
    if settings.jwt_jwks_file:
        return Authority(b"", settings.jwt_audience, settings.jwt_issuer, _keys_of(settings.jwt_jwks_file))
    secret = settings.jwt_secret.encode() or await jwt_secret(database)
    return Authority(secret, settings.jwt_audience, settings.jwt_issuer)


def _terms(settings: Settings) -> Terms:
    return Terms(
        room=RoomLimits(
            intent_rate=settings.intent_rate,
            intent_burst=settings.intent_burst_max,
            hold_ms=int(settings.hold_s * 1000),
            idle_ms=int(settings.idle_s * 1000),
        ),
        pace=Pace(
            patch_rate_s=settings.patch_rate_ms / 1000,
            freshness_s=settings.freshness_ms / 1000,
            snapshot_every=settings.snapshot_every,
        ),
        durability_budget_s=settings.durability_budget_s,
        pending_actions_max=settings.pending_actions_max,
        rooms_max=settings.rooms_max,
        sessions_max=settings.sessions_max,
    )


def _keys_of(path: str) -> PyJWKSet:
    try:
        return load_jwks(path)
    except (OSError, ValueError) as error:
        problem = Problem(f"{PREFIX}JWT_JWKS_FILE", f"{path!r} is no JWKS: {error}", '{"keys": [...]}')
        raise BadSetting([problem]) from error
