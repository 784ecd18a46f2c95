"""
Supervisor: `serve --workers N`, several nodes on one machine.

    databases -> schema -> sockets -> workers started -> all ready
        a worker ends   another is started in its place, at once at first, later after a pause
        a signal        the workers drain -> databases stopped        a second one ends the drains

Each worker is a process of its own, the same command with a `Place`: it is a whole node, answers everything and knows
nothing of the others but what any node knows. The supervisor serves nobody and holds no room; it owns what outlives a
worker:

- the listening sockets, worker k's on port + k. They stay open while a worker is restarted, so that clients who dial
  meanwhile wait a moment instead of being refused;
- the workers' homes. A worker that starts in its predecessor's home fences it and takes its rooms over at once, without
  waiting for a lease to end, because the supervisor knows that it is dead;
- the databases' URLs, which reach a worker by its environment and never by its command line;
- a pipe that nobody writes to. Every worker has its other end as stdin: when the supervisor dies, however it dies, the
  pipe ends, and the workers end with it.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from random import SystemRandom

import msgspec
import structlog

from contracts import limits
from server.core.identifiers import new_id
from server.databases import Databases, open_databases
from server.exit_codes import ExitCode
from server.place import Place, address_of, is_wildcard, listen, next_ports, standing_of
from server.runtime.tasks import Tasks
from server.settings import Settings, environment_of
from server.storage.database import Database
from server.storage.nodes import Nodes

_log = structlog.get_logger(service="supervisor")

#: A worker that lived for so long is restarted at once when it ends.
STEADY_S = 10.0
#: Before the next start of one that keeps ending: doubled each time.
PAUSE_S_MIN = 0.25
PAUSE_S_MAX = 5.0


class Worker:
    """One place, and the process that is in it now."""

    def __init__(self, place: Place, listener: socket.socket) -> None:
        self.place = place
        self.listener = listener
        self.address = address_of(listener)
        self.process: Process | None = None
        self.is_ready = False

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """N workers, from their settings to their end."""

    def __init__(
        self,
        settings: Settings,
        command: Sequence[str],
        environ: Mapping[str, str],
        announce: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        """`command` and `environ` start a worker, given its place and its settings beside; the others as the App's."""
        self._settings = settings
        self._command = command
        self._environ = environ
        self._announce = announce
        self._say = say
        self._random = SystemRandom()
        self._tasks = Tasks(lambda task, error: self._fail(ExitCode.RESTART))
        self._exit_code = ExitCode.OK
        self._workers: list[Worker] = []
        self._is_announced = False

    async def run(self) -> ExitCode:
        """Serve until a signal. Raises as the App's does when it cannot begin."""
        self._stopping = asyncio.Event()
        async with AsyncExitStack() as ends:
            databases = await open_databases(self._settings, ends, self._say)
            ends.push_async_callback(self._tasks.stop)
            if databases.embedded is not None:
                self._tasks.start(databases.embedded.watch(), "embedded databases")
            home = await self._home(databases)
            self._lifeline, kept = os.pipe()
            for end in (self._lifeline, kept):
                ends.callback(os.close, end)
            for number in range(self._settings.workers):
                port = self._settings.port and self._settings.port + number
                listener = ends.enter_context(listen(self._settings.host, port))
                its_home = f"{home}/{number}" if home else standing_of(listener) or new_id(self._random)
                self._workers.append(Worker(Place(number, its_home, listener.fileno()), listener))
            for number_of_signal in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number_of_signal, self._stop)
            await asyncio.wait([self._keeping(worker, databases) for worker in self._workers])
        return self._exit_code

    async def _home(self, databases: Databases) -> str | None:
        """What the workers' homes begin with; who was in the data folder before, whose lock we hold, is dead. None
        without a data folder."""
        if databases.home is None:
            return None
        async with Database(databases.database_url, new_id(self._random)) as database:
            fenced = await Nodes(database).fence_home(databases.home)
        if fenced:
            _log.info("took over from nodes that did not end cleanly", nodes=fenced)
        return databases.home

    # -- workers --------------------------------------------------------------------------------------------------

    def _keeping(self, worker: Worker, databases: Databases) -> asyncio.Task[None]:
        settings = {
            "database_url": databases.database_url,
            "redis_url": databases.redis_url,
            "workers": 1,
            "public_address": self._public_address(worker),
        }
        environ = environment_of(self._environ, settings)
        return self._tasks.start(self._keep(worker, environ), f"worker {worker.place.worker}")

    async def _keep(self, worker: Worker, environ: Mapping[str, str]) -> None:
        """A process in the worker's place, until the stop."""
        pause_s = 0.0
        while True:
            began = time.monotonic()
            code = await self._run(worker, environ)
            if self._stopping.is_set():
                return
            if not worker.is_ready:
                self._fail(code)
                return
            _log.error("a worker ended; another takes its place", worker=worker.place.worker, code=code)
            if time.monotonic() - began >= STEADY_S:
                pause_s = 0.0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
                return
            pause_s = min(max(2 * pause_s, PAUSE_S_MIN), PAUSE_S_MAX)

    async def _run(self, worker: Worker, environ: Mapping[str, str]) -> int:
        """One life of the worker; its exit status."""
        # In a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone.
        process = worker.process = await asyncio.create_subprocess_exec(
            *self._command,
            "--place",
            msgspec.json.encode(worker.place).decode(),
            stdin=self._lifeline,
            stdout=PIPE,
            env=environ,
            pass_fds=[worker.place.listener],
            start_new_session=True,
        )
        if self._stopping.is_set():
            worker.signal(signal.SIGTERM)
        assert process.stdout is not None
        # It says one line, once it is ready.
        if await process.stdout.readline():
            worker.is_ready = True
            self._announce_once()
        return await process.wait()

    def _announce_once(self) -> None:
        if not self._is_announced and all(worker.is_ready for worker in self._workers):
            self._is_announced = True
            first, *others = (f"http://{worker.address}" for worker in self._workers)
            self._announce(f"Holdfast is ready: {first} (more workers: {', '.join(others)})")

    def _public_address(self, worker: Worker) -> str:
        """Where clients dial this worker; empty: where they asked, and any node relays them."""
        if self._settings.public_address:
            return next_ports(self._settings.public_address, worker.place.worker)
        return "" if is_wildcard(self._settings.host) else worker.address

    # -- the end --------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """A signal: workers take the first as the order to drain, and the second as the end of that."""
        if not self._stopping.is_set():
            _log.info("stopping")
            self._stopping.set()
            asyncio.get_running_loop().call_later(limits.STOP_WORKERS_S, self._kill)
        for worker in self._workers:
            # From now on who dials is refused as soon as the worker is gone.
            worker.listener.close()
            worker.signal(signal.SIGTERM)

    def _kill(self) -> None:
        for worker in self._workers:
            worker.signal(signal.SIGKILL)

    def _fail(self, code: int) -> None:
        """The start has failed, for a reason that the worker has told on stderr."""
        self._exit_code = ExitCode(code) if code in set(ExitCode) else ExitCode.RESTART
        if not self._stopping.is_set():
            self._stop()


def command_of_workers() -> list[str]:
    """This very process' command, up to the verb's arguments."""
    ours = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    return [sys.executable, *ours, "serve"]
