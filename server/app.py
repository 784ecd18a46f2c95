"""
App: the composition root. Builds a node from its settings, runs it, and ends it in order.

    databases -> schema -> node -> sockets open -> ready ... signal -> drain -> sockets closed -> databases stopped

A second signal ends the drain. A write in doubt ends everything at once, without a drain: what
is true is in PostgreSQL, and the next start finds it.
"""

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from random import SystemRandom

import structlog
import uvicorn
from jwt import PyJWKSet

from contracts import PROTOCOL_VERSION, limits
from contracts.codes import CloseCode
from contracts.events import Degraded
from contracts.http import VersionAnswer
from contracts.version import schema_hash
from server.core.colyseus.frames import room_data
from server.core.colyseus.pack import pack
from server.core.faults import Fault, Fenced
from server.core.identifiers import new_id
from server.core.room import RoomLimits
from server.edge.arrivals import Arrivals
from server.edge.auth import Authority, load_jwks
from server.edge.desk import Desk
from server.edge.doorway import Doorway
from server.edge.gatehouse import Gatehouse
from server.edge.http import Routes
from server.edge.logout import Logout
from server.edge.matchmaking import Matchmaker
from server.edge.origins import Origins
from server.edge.peers import PeerRate
from server.edge.server import BoundedHttp, Server
from server.edge.transport import uvicorn_protocol
from server.embedded import Embedded, start_embedded
from server.exit_codes import ExitCode
from server.games import known_games
from server.ops import health
from server.ops.dependencies import Dependency
from server.ops.loop_lag import watch_loop_lag
from server.ops.metrics import Metrics
from server.ops.prober import Prober
from server.presence import Directory, Reservations, Revocations, Sessions, Store
from server.rooms.base import Room
from server.runtime.clock import unix_ms
from server.runtime.committer import Committer
from server.runtime.garbage import set_start_aside
from server.runtime.node import Node, Terms
from server.runtime.publisher import Publisher
from server.runtime.runner import Pace
from server.runtime.tasks import Tasks
from server.settings import PREFIX, BadSetting, Problem, Settings
from server.storage import migrations
from server.storage.database import Database
from server.storage.secrets import jwt_secret
from server.storage.stores import Stores, stores_of

_log = structlog.get_logger(service="app")

PAGE = Path(__file__).parent / "web" / "dist"
#: Close codes that metrics tell apart beside ours.
_STANDARD_CODES = (1000, 1001, 1002, 1005, 1006, 1007, 1009, 1011)


class CannotListen(OSError):
    """The address is taken or not ours to have; the text names it."""


class App:
    """One node, from its settings to its end."""

    def __init__(self, settings: Settings, announce: Callable[[str], None], say: Callable[[str], None]) -> None:
        """`announce` gets the one line that says where the server is, once ready; `say` what takes time before."""
        self._settings = settings
        self._announce_ready = announce
        self._say = say
        self._exit_code = ExitCode.OK
        self._tasks = Tasks(self._on_crash)
        self._random = SystemRandom()
        self._is_doomed = False
        self._draining: asyncio.Task[None] | None = None
        self._embedded: Embedded | None = None

    async def run(self) -> ExitCode:
        """
        Serve until a signal.

        Raises EmbeddedFailed, SchemaRefused, a Fault, BadSetting (a file of keys) or CannotListen when it cannot begin.
        """
        _raise_open_files()
        async with AsyncExitStack() as ends:
            database_url, redis_url, home = await self._databases(ends)
            listener = ends.enter_context(_listen(self._settings.host, self._settings.port))
            database = await ends.enter_async_context(Database(database_url, new_id(self._random)))
            store = Store(redis_url)
            ends.push_async_callback(store.aclose)
            ends.push_async_callback(self._tasks.stop)
            self._address = _address(listener)
            await self._compose(database, store)
            self._follow_signals()
            await self._node.start(home, self._address)
            await self._serve(listener)
        return self._exit_code

    async def _databases(self, ends: AsyncExitStack) -> tuple[str, str, str | None]:
        """URLs of PostgreSQL and Redis, and the data folder's id when they are embedded."""
        settings = self._settings
        if settings.database_url and settings.redis_url:
            await migrations.check(settings.database_url)
            return settings.database_url, settings.redis_url, None
        self._embedded = embedded = await start_embedded(Path(settings.data_dir), self._say)
        ends.push_async_callback(embedded.stop, limits.STOP_DATABASES_S)
        await migrations.up(embedded.database_url)
        return embedded.database_url, embedded.redis_url, embedded.folder.home_id

    # -- composition ----------------------------------------------------------------------------------------------

    async def _compose(self, database: Database, store: Store) -> None:
        """Everything, each part given what it stands on."""
        games = known_games()
        stores = stores_of(database)
        directory = Directory(store, list(games), lease_s=self._settings.lease_s)
        sessions = Sessions(store, hold_s=self._settings.hold_s)
        self._version = VersionAnswer(
            name="holdfast",
            version=version("holdfast"),
            protocol_version=PROTOCOL_VERSION,
            schema_hash=schema_hash(),
        )
        self._metrics = _metrics_of(games, self._version)
        self._watch_stores(database, store)
        self._node = self._compose_node(database.node_id, games, stores, directory, sessions)
        authority = await self._authority(database)
        self._server = self._compose_edge(store, stores, directory, sessions, authority)

    def _compose_node(
        self,
        node_id: str,
        games: Mapping[str, type[Room]],
        stores: Stores,
        directory: Directory,
        sessions: Sessions,
    ) -> Node:
        settings = self._settings
        publisher = Publisher(
            directory,
            sessions,
            node_id,
            self._address,
            settings.public_address or None,
            settings.hold_s,
            unix_ms,
            self._redis_failed,
        )
        committer = Committer(
            lambda entries: stores.journal.flush(node_id, entries),
            settings.durability_budget_s,
            self._on_doubt,
            self._committed,
        )
        return Node(
            node_id,
            games,
            stores,
            publisher,
            committer,
            self._tasks,
            self._metrics,
            _terms(settings),
            unix_ms,
            self._random,
            self._on_doubt,
        )

    def _compose_edge(
        self, store: Store, stores: Stores, directory: Directory, sessions: Sessions, authority: Authority
    ) -> Server:
        settings, node, metrics, random = self._settings, self._node, self._metrics, self._random
        reservations = Reservations(store)
        gatehouse = Gatehouse(authority, Revocations(store), settings.guests, settings.access_token_s, random)
        logout = Logout(node, sessions, gatehouse, unix_ms, random)
        arrivals = Arrivals(node, reservations, stores.characters, metrics, unix_ms, random)
        origins = Origins(settings.allowed_origins)
        self._desk = Desk(
            origins,
            self._rate_of("connections", settings.connect_rate, settings.connect_burst),
            metrics,
            self._tasks,
            unix_ms,
            settings.connections_max,
            arrivals.seat,
            logout.of_player,
            self._troubles,
        )
        matchmaker = Matchmaker(
            node,
            stores.rooms,
            reservations,
            settings.seat_reservation_s,
            settings.public_address or None,
            random,
        )
        routes = Routes(
            node,
            stores,
            directory,
            matchmaker,
            gatehouse,
            logout.end_sessions,
            health.liveness,
            self._readiness,
            metrics.render,
            self._version,
            PAGE,
        )
        config = uvicorn.Config(
            Doorway(routes.application(), origins, self._rate_of("requests", settings.http_rate, settings.http_burst)),
            http=BoundedHttp,
            ws=uvicorn_protocol(settings.transport, self._desk.accept),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        return Server(config, self._is_ready, self._drain)

    def _rate_of(self, name: str, rate_per_s: float, burst: int) -> PeerRate:
        return PeerRate(name, rate_per_s, burst, unix_ms, limits_loopback=self._settings.limit_loopback)

    async def _authority(self, database: Database) -> Authority:
        settings = self._settings
        if settings.jwt_jwks_file:
            return Authority(b"", settings.jwt_audience, settings.jwt_issuer, _keys_of(settings.jwt_jwks_file))
        secret = settings.jwt_secret.encode() or await jwt_secret(database)
        return Authority(secret, settings.jwt_audience, settings.jwt_issuer)

    def _watch_stores(self, database: Database, store: Store) -> None:
        offset_s = time.time() - time.monotonic()
        self._postgres = Dependency("postgres", offset_s)
        self._redis = Dependency("redis", offset_s)
        self._prober = Prober(
            {self._postgres: database.probe, self._redis: store.probe}, self._announce, self._tasks.start
        )
        for dependency in (self._postgres, self._redis):
            self._metrics.dependency_up.labels(dependency.name).set(1)

    # -- life -----------------------------------------------------------------------------------------------------

    async def _serve(self, listener: socket.socket) -> None:
        self._prober.start()
        self._tasks.start(watch_loop_lag(self._metrics.loop_lag_seconds.observe), "loop lag")
        self._tasks.start(self._desk.watch(), "connections")
        if self._embedded is not None:
            self._tasks.start(self._embedded.watch(), "embedded databases")
        await self._server.serve([listener])

    def _is_ready(self) -> None:
        """The sockets are open."""
        set_start_aside()
        _log.info("ready", address=self._address, node=self._node.node_id, transport=self._settings.transport)
        self._announce_ready(f"Holdfast is ready: http://{self._address}")

    async def _drain(self) -> None:
        """Called by the server when it is to stop, while its connections still work."""
        self._desk.is_closed = True
        if not self._is_doomed:
            self._draining = self._tasks.start(self._node.drain(CloseCode.MAY_RECONNECT, "drain"), "drain")
            done, _ = await asyncio.wait([self._draining], timeout=limits.DRAIN_S)
            if not done:
                _log.error("the drain took too long; what is left will be taken over")
        self._node.close_all(CloseCode.MAY_RECONNECT, "drain")
        await self._desk.gone(limits.CLOSE_ALL_S)

    def _follow_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if not self._server.should_exit:
            _log.info("stopping")
            self._server.stop()
        elif self._draining is not None:
            _log.warning("a second signal ends the drain")
            self._draining.cancel()

    # -- what happens to it ---------------------------------------------------------------------------------------

    def _on_doubt(self, fault: Fault) -> None:
        """A write of ours is in doubt: nothing more is shown, and the restart finds what is true."""
        if isinstance(fault, Fenced):
            self._metrics.fenced.inc()
        self._end("a write is in doubt; the restart finds what is true", fault)

    def _on_crash(self, task: str, error: BaseException) -> None:
        self._end(f"the task {task!r} crashed", error)

    def _end(self, why: str, error: BaseException) -> None:
        if not self._is_doomed:
            _log.critical(why, error=repr(error))
            self._is_doomed = True
            self._exit_code = ExitCode.DOUBT
            self._server.stop()

    def _committed(self, actions: int, seconds: float) -> None:
        self._metrics.commit_actions.observe(actions)
        self._metrics.commit_seconds.observe(seconds)
        self._prober.succeeded("postgres", seconds)

    def _redis_failed(self, fault: Fault) -> None:
        self._prober.failed("redis", fault.reason)

    def _announce(self, change: Degraded) -> None:
        _log.warning("dependency", dependency=change.dependency, status=change.status, reason=change.reason)
        self._metrics.dependency_up.labels(change.dependency).set(change.status != "unavailable")
        self._node.announce(room_data(Degraded.TYPE, pack(change)))

    def _troubles(self) -> list[bytes]:
        """What those who arrive now have not heard."""
        found = (dependency.trouble for dependency in (self._postgres, self._redis))
        return [room_data(Degraded.TYPE, pack(trouble)) for trouble in found if trouble is not None]

    def _readiness(self) -> tuple[int, dict[str, object]]:
        facts = health.Facts(
            is_schema_known=True,
            is_lease_held=self._node.is_lease_held,
            is_draining=self._node.is_draining or self._is_doomed,
        )
        return health.readiness(self._postgres, self._redis, facts)


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
        lease_s=settings.lease_s,
        lease_renew_s=settings.lease_renew_s,
        pending_actions_max=settings.pending_actions_max,
        rooms_max=settings.rooms_max,
    )


def _metrics_of(games: Mapping[str, type[Room]], shown: VersionAnswer) -> Metrics:
    intent_types = {name for game in games.values() for name in game.handlers}
    codes = [*CloseCode, *_STANDARD_CODES]
    return Metrics(intent_types, codes, shown.version, shown.protocol_version, shown.schema_hash)


def _keys_of(path: str) -> PyJWKSet:
    try:
        return load_jwks(path)
    except (OSError, ValueError) as error:
        problem = Problem(f"{PREFIX}JWT_JWKS_FILE", f"{path!r} is no JWKS: {error}", '{"keys": [...]}')
        raise BadSetting([problem]) from error


def _listen(host: str, port: int) -> socket.socket:
    """The listening socket. Raises CannotListen."""
    try:
        return socket.create_server((host, port), backlog=2048, reuse_port=False)
    except OSError as error:
        # Python's text repeats the address; but a host that is not found has no number of the system's.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise CannotListen(f"cannot listen on {host}:{port}: {why}") from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _raise_open_files() -> None:
    """Each connection is an open file; the soft limit is often 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
