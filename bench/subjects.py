"""
Subjects: the servers that are compared, ours and its peers, each started and read in the same way.

A subject is what is needed to start it; a `Running` one is its processes, its URL, and a database of its own. It
lives in a process group of its own, so that a Ctrl-C reaches the comparison alone, which then ends everything in
order.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bench.databases import Databases
from bench.places import Cores, at
from bench.usage import Tree
from server.embedded import Urls
from server.storage import migrations
from server.tools.bots.result import Target

READY_S = 60.0
STOP_S = 10.0
_LAST_WORDS_CHARS = 2_000

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"
#: The command `holdfast`, of these sources.
HOLDFAST = (sys.executable, "-c", "from server.cli import main; main()")

#: Extra settings, each with the name it has for ours: without prefix, in lower case.
Settings = Mapping[str, object]


class Subject(msgspec.Struct, frozen=True):
    """One server, or one way of keeping what a server is told."""

    name: str
    #: For people.
    title: str
    #: Which dialect of the bots it understands.
    target: Target
    argv: tuple[str, ...]
    #: The environment by its databases, a port (0 is any) and extra settings.
    environment: Callable[[Urls, int, Settings], dict[str, str]]
    #: What stands before its URL on the line with which it says that it is ready.
    ready: str
    #: Whether what it acked outlives it.
    is_durable: bool
    #: A file that is there where it is installed, and how to install it.
    installed: Path | None = None


class NotInstalled(Exception):
    """A peer's packages are missing; the text says how to get them."""


class DidNotStart(Exception):
    """A server did not come up, or ended; the text has the end of its log."""


def _of_holdfast(urls: Urls, port: int, settings: Settings) -> dict[str, str]:
    given = {"database_url": urls.database_url, "redis_url": urls.redis_url, "port": port, **settings}
    return {
        **_inherited(),
        "PYTHONPATH": str(ROOT),
        **{f"HOLDFAST_{name.upper()}": str(value) for name, value in given.items()},
    }


def _of_peer(variant: str, urls: Urls, port: int, settings: Settings) -> dict[str, str]:
    given = {name.upper(): str(value) for name, value in settings.items()}
    database = {} if variant == "memory" else {"DATABASE_URL": urls.database_url}
    return {**_inherited(), "NODE_ENV": "production", "PORT": str(port), "VARIANT": variant, **database, **given}


@cache
def _node() -> str:
    """Node.js, the machine's or the package's. Looked for once, and not at each start: that would count as starting."""
    looks = [str(ROOT / "scripts" / "with-node"), "sh", "-c", "command -v node"]
    asked = {**os.environ, "NODE_MIN": "22"}  # as Colyseus does
    said = subprocess.run(looks, env=asked, capture_output=True, check=False, text=True)
    if said.returncode != 0:
        raise NotInstalled(f"Colyseus needs Node.js 22, and there is none: {said.stderr.strip()}. Run: make peers")
    return said.stdout.strip()


def _inherited() -> dict[str, str]:
    """No setting of whoever started the comparison changes a server."""
    strange = ("HOLDFAST_", "PORT", "VARIANT", "DATABASE_URL", "INTENT_RATE", "NODE_", "PYTHON")
    return {name: value for name, value in {**os.environ}.items() if not name.startswith(strange)}


def _colyseus(variant: str, kept: str) -> Subject:
    return Subject(
        name=f"colyseus-{variant}",
        title=f"Colyseus, {kept}",
        target="colyseus",
        argv=("node", str(PEERS / "colyseus" / "server.mjs")),
        environment=partial(_of_peer, variant),
        ready="ready: ",
        is_durable=variant != "memory",
        installed=PEERS / "colyseus" / "node_modules" / "@colyseus" / "core",
    )


def _socketio(variant: str, kept: str) -> Subject:
    return Subject(
        name=f"socketio-{variant}",
        title=f"python-socketio, {kept}",
        target="socketio",
        argv=(str(PEERS / "socketio" / ".venv" / "bin" / "python"), str(PEERS / "socketio" / "server.py")),
        environment=partial(_of_peer, variant),
        ready="ready: ",
        is_durable=variant != "memory",
        installed=PEERS / "socketio" / ".venv" / "bin" / "python",
    )


OURS = Subject(
    name="holdfast",
    title="Holdfast",
    target="holdfast",
    argv=(*HOLDFAST, "serve"),
    environment=_of_holdfast,
    ready="Holdfast is ready: ",
    is_durable=True,
)
SUBJECTS = {
    subject.name: subject
    for subject in (
        OURS,
        _colyseus("memory", "nothing kept"),
        _colyseus("insert", "one INSERT per action"),
        _colyseus("batched", "batched INSERT"),
        _socketio("memory", "nothing kept"),
        _socketio("batched", "batched INSERT"),
    )
}


def require(subjects: Sequence[Subject]) -> None:
    """Raises NotInstalled, naming all that are not."""
    missing = [each for each in subjects if each.installed is not None and not each.installed.exists()]
    if missing:
        titles = "; ".join(each.title for each in missing)
        raise NotInstalled(f"not installed: {titles}. Run `make peers`, or leave them out: --peers none")
    if any(each.argv[0] == "node" for each in subjects):
        _node()


class Running(AbstractContextManager["Running"]):
    """A subject from `with` to its end, on these cores, with an empty database.

    Raises DidNotStart with the end of its log."""

    def __init__(self, subject: Subject, databases: Databases, cores: Cores, **settings: object) -> None:
        """`settings` count for it in the way that each takes them."""
        self.subject = subject
        self.url = ""
        self._databases = databases
        self._cores = cores
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        subject = self.subject
        self._folder = tempfile.TemporaryDirectory(prefix="holdfast-bench-", ignore_cleanup_errors=True)
        self.urls = self._databases.fresh()
        try:
            program, *arguments = subject.argv
            self._argv = [_node() if program == "node" else program, *arguments]
            if subject is OURS:
                asyncio.run(migrations.up(self.urls.database_url))
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(signal.SIGTERM)
        self._databases.drop(self.urls)
        self._folder.cleanup()

    def start(self) -> float:
        """Start it, on the port it had if it ran before; seconds until it said that it is ready."""
        begun = time.perf_counter()
        environment = self.subject.environment(self.urls, self._port, self._settings)
        with at(self._cores), self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._argv,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while (url := self._said()) is None:
            if self._process.poll() is not None or time.perf_counter() - begun > READY_S:
                raise DidNotStart(f"{self.subject.title} did not start:\n{self.last_words}")
            time.sleep(0.005)
        self.url, self._port = url, int(url.rpartition(":")[2])
        return time.perf_counter() - begun

    def kill(self) -> None:
        """SIGKILL: it can write nothing more."""
        self._end(signal.SIGKILL)

    @property
    def processes(self) -> Tree:
        return Tree([self._running.pid])

    @property
    def database_processes(self) -> Tree:
        """Of PostgreSQL, whose every process works for this subject alone."""
        return Tree(self._databases.postgres_pids)

    @property
    def cache_processes(self) -> Tree:
        return Tree(self._databases.valkey_pids)

    @property
    def folder(self) -> Path:
        """For what is of this run alone; gone with it."""
        return Path(self._folder.name)

    @property
    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-_LAST_WORDS_CHARS:]

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _said(self) -> str | None:
        for line in self._log.read_text(errors="replace").splitlines():
            if line.startswith(self.subject.ready):
                return line.removeprefix(self.subject.ready).split()[0]
        return None

    def _end(self, how: signal.Signals) -> None:
        """Gone with all its group when this returns."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
