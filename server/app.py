"""
App: one node from its settings to its end, in order.

    databases -> schema -> node -> sockets open -> ready ... signal -> drain -> sockets closed -> databases stopped

A second signal ends the drain. A node that another has fenced, or whose task has crashed, ends at once, without a
drain: what is true is in PostgreSQL, and whoever has the rooms next finds it.
"""

import asyncio
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from random import SystemRandom

import structlog

from contracts import PROTOCOL_VERSION, limits
from contracts.codes import CloseCode
from contracts.events import Degraded
from contracts.http import VersionAnswer
from contracts.version import schema_hash
from server.composition import Hooks, compose_edge, compose_node, metrics_of, stand_on
from server.core.colyseus.frames import room_data
from server.core.colyseus.pack import pack
from server.core.faults import Fault, Fenced
from server.core.identifiers import new_id
from server.databases import open_databases
from server.exit_codes import ExitCode
from server.games import known_games
from server.ops import health
from server.ops.dependencies import Dependency
from server.ops.loop_lag import watch_loop_lag
from server.ops.prober import Prober
from server.place import Place, address_of, listen, standing_of
from server.presence import Store
from server.runtime.garbage import set_start_aside
from server.runtime.tasks import Tasks
from server.settings import Settings
from server.storage.database import Database

_log = structlog.get_logger(service="app")


class App:
    """One node, from its settings to its end."""

    def __init__(
        self,
        settings: Settings,
        announce: Callable[[str], None],
        say: Callable[[str], None],
        place: Place | None = None,
    ) -> None:
        """
        `announce` gets the one line that says where the server is, once ready; `say` what takes time before. `place`:
        a supervisor has made this node one of its workers.
        """
        self._settings = settings
        self._place = place
        self._announce_ready = announce
        self._say = say
        self._exit_code = ExitCode.OK
        self._tasks = Tasks(self._on_crash)
        self._random = SystemRandom()
        self._is_doomed = False
        self._draining: asyncio.Task[None] | None = None

    async def run(self) -> ExitCode:
        """
        Serve until a signal.

        Raises EmbeddedFailed, SchemaRefused, a Fault, BadSetting (a file of keys) or CannotListen when it cannot begin.
        """
        _raise_open_files()
        async with AsyncExitStack() as ends:
            databases = await open_databases(self._settings, ends, self._say)
            # Before the databases stop: their watch would start them again. The other tasks are stopped below.
            ends.push_async_callback(self._tasks.stop)
            if databases.embedded is not None:
                self._tasks.start(databases.embedded.watch(), "embedded databases")
            listener = ends.enter_context(self._listener())
            home = self._place.home if self._place is not None else databases.home or standing_of(listener)
            database = await ends.enter_async_context(Database(databases.database_url, new_id(self._random)))
            store = Store(databases.redis_url)
            ends.push_async_callback(store.aclose)
            ends.push_async_callback(self._tasks.stop)
            self._address = address_of(listener)
            await self._compose(database, store)
            self._follow_signals()
            await self._node.start(home, self._address)
            await self._serve(listener)
        return self._exit_code

    def _listener(self) -> socket.socket:
        if self._place is not None:
            return socket.socket(fileno=self._place.listener)
        return listen(self._settings.host, self._settings.port)

    # -- composition ----------------------------------------------------------------------------------------------

    async def _compose(self, database: Database, store: Store) -> None:
        """Everything, each part given what it stands on."""
        games = known_games()
        shown = VersionAnswer(
            name="holdfast",
            version=version("holdfast"),
            protocol_version=PROTOCOL_VERSION,
            schema_hash=schema_hash(),
        )
        self._metrics = metrics_of(games, shown)
        self._watch_stores(database, store)
        hooks = Hooks(
            on_fenced=self._on_fenced,
            on_postgres_fault=self._postgres_failed,
            on_redis_fault=self._redis_failed,
            on_commit=self._committed,
            on_ready=self._is_ready,
            drain=self._drain,
            readiness=self._readiness,
            troubles=self._troubles,
        )
        stand = stand_on(self._settings, games, database, store, self._metrics, self._tasks, self._random)
        self._node = compose_node(stand, self._address, hooks)
        self._server, self._desk = await compose_edge(stand, self._node, shown, hooks)

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
        if self._place is not None:
            loop.add_reader(sys.stdin, self._on_orphaned)

    def _on_signal(self) -> None:
        if not self._server.should_exit:
            _log.info("stopping")
            self._server.stop()
        elif self._draining is not None:
            _log.warning("a second signal ends the drain")
            self._draining.cancel()

    def _on_orphaned(self) -> None:
        """The supervisor is dead. So is its claim to the data folder: whoever starts there next needs the port."""
        asyncio.get_running_loop().remove_reader(sys.stdin)
        self._server.stop_listening()
        self._end("the supervisor is gone", None)

    # -- what happens to it ---------------------------------------------------------------------------------------

    def _on_fenced(self, fault: Fenced) -> None:
        """Another node has our rooms, or may: nothing of ours will be written again."""
        self._metrics.fenced.inc()
        self._end("this node was fenced; its rooms are elsewhere", fault)

    def _on_crash(self, task: str, error: BaseException) -> None:
        self._end(f"the task {task!r} crashed", error)

    def _end(self, why: str, error: BaseException | None) -> None:
        if not self._is_doomed:
            _log.critical(why, error=repr(error) if error else None)
            self._is_doomed = True
            self._exit_code = ExitCode.RESTART
            self._server.stop()

    def _committed(self, actions: int, seconds: float) -> None:
        self._metrics.commit_actions.observe(actions)
        self._metrics.commit_seconds.observe(seconds)
        self._prober.succeeded("postgres", seconds)

    def _postgres_failed(self, fault: Fault) -> None:
        self._prober.failed("postgres", fault.reason)

    def _redis_failed(self, fault: Fault) -> None:
        self._prober.failed("redis", fault.reason)

    def _announce(self, change: Degraded) -> None:
        _log.warning("dependency", dependency=change.dependency, status=change.status, reason=change.reason)
        self._metrics.dependency_up.labels(change.dependency).set(change.status != "unavailable")
        self._node.announce(room_data(Degraded.TYPE, pack(change)))
        if (change.dependency, change.status) == ("redis", "recovered"):
            self._node.publisher.refresh_soon()

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


def _raise_open_files() -> None:
    """Each connection is an open file; the soft limit is often 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
