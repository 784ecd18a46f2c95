"""
`holdfast serve` for tests: the real command in a process of its own, on a free port.

    server    one for a pytest process, with the default settings; on databases of the shared pair
    serve     starts others for one test: with settings, a data folder, or databases of the test's choice

A server without a data folder gets a fresh PostgreSQL database and one of Valkey's sixteen numbered ones, emptied. None
outlives its test. Every server knows the games of `tests/games.py`, by an entry point as any package would give it.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import redis.asyncio

from server.embedded import Embedded, Urls
from server.embedded.folder import read_urls
from server.embedded.pair import homes_in
from server.storage import migrations
from tests.canaries import KNOWN, database_logs
from tests.databases import fresh_database

ROOT = Path(__file__).parents[1]
READY_S = 60.0
END_S = 10.0
_READY = "Holdfast is ready: "
#: Another protocol version, as a later release would have it.
_LATER = "import contracts; contracts.PROTOCOL_VERSION = 'later'; from server.cli import main; main()"
_NOW = "from server.cli import main; main()"
_ENTRY_POINTS = """[holdfast.rooms]
duet = tests.games:Duet
fragile = tests.games:Fragile
loud = tests.games:Loud
nowhere = tests.games:Nowhere
"""


class Server:
    """One run of `holdfast serve`."""

    def __init__(self, folder: Path, flags: list[str], settings: Mapping[str, object], code: str = _NOW) -> None:
        self.flags = flags
        self.settings = settings
        self.log = folder / "log"
        self._said = folder / "said"
        with self._said.open("wb") as said, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, "serve", *flags],
                cwd=folder,
                stdout=said,
                stderr=log,
                env=_environment(folder, settings),
            )
        self.url = ""
        KNOWN.know(settings.get("jwt_secret"))
        KNOWN.know_password_of(*(flag for flag in flags if "://" in flag))

    async def ready(self) -> None:
        """Wait until it says where it listens."""
        async with asyncio.timeout(READY_S):
            while _READY not in (said := self._said.read_text()):
                assert self.process.poll() is None, self.log.read_text()[-4000:]
                await asyncio.sleep(0.01)
        self.url = said.partition(_READY)[2].split()[0]
        if (data_dir := self._data_dir) is not None and (urls := read_urls(data_dir)) is not None:
            KNOWN.know_password_of(urls.database_url, urls.redis_url)

    @property
    def _data_dir(self) -> Path | None:
        return Path(self.flags[self.flags.index("--data-dir") + 1]) if "--data-dir" in self.flags else None

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def redis_url(self) -> str:
        """Of a server with databases of the shared pair."""
        return self.flags[self.flags.index("--redis-url") + 1]

    @property
    def database_url(self) -> str:
        return self.flags[self.flags.index("--database-url") + 1]

    @property
    def children(self) -> dict[str, psutil.Process]:
        """Its embedded databases, by the name of their program."""
        return {child.name(): child for child in psutil.Process(self.process.pid).children()}

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, within_s: float = END_S) -> int:
        """Its exit status, once it has ended by itself."""
        async with asyncio.timeout(within_s):
            while (status := self.process.poll()) is None:
                await asyncio.sleep(0.01)
        return status

    async def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """SIGKILL. Its embedded databases run on, as they would."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def metric(self, name: str, **labels: str) -> float:
        """A metric's value now; 0 for one that has never been counted."""
        async with httpx.AsyncClient() as http:
            page = (await http.get(f"{self.url}/metrics")).text
        inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
        series = f"{name}{{{inner}}} " if labels else f"{name} "
        return next((float(line.removeprefix(series)) for line in page.splitlines() if line.startswith(series)), 0.0)

    def end(self) -> None:
        """Whatever it is doing."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def leaks(self) -> list[str]:
        """The lines of its logs, and of its own databases', that show a secret."""
        databases = [] if self._data_dir is None else database_logs(self._data_dir)
        return KNOWN.found_in_files([self.log, self._said, *databases])


class Servers:
    """Starts servers; whoever made it calls `end`."""

    def __init__(self, embedded: Embedded) -> None:
        self._embedded = embedded
        self._ends = AsyncExitStack()
        self._servers: list[Server] = []

    async def __call__(
        self,
        *,
        data_dir: Path | None = None,
        urls: Urls | None = None,
        port: int = 0,
        later: bool = False,
        **settings: object,
    ) -> Server:
        """A server that is ready. Without `data_dir` or `urls` it has empty databases of the shared pair.

        `settings` are variables without their prefix, in lower case. `later`: it speaks another protocol version."""
        if data_dir is not None:
            flags = ["--data-dir", str(data_dir)]
            self._ends.push_async_callback(homes_in(data_dir).end, 1.0)
        else:
            urls = urls or await self.databases()
            flags = ["--database-url", urls.database_url, "--redis-url", urls.redis_url]
        return await self._start([*flags, "--port", str(port)], settings, _LATER if later else _NOW)

    async def again(self, server: Server, *, later: bool = False, **settings: object) -> Server:
        """The same once more, on its port, when it has ended."""
        flags = [*server.flags[:-1], str(server.port)]
        return await self._start(flags, {**server.settings, **settings}, _LATER if later else _NOW)

    async def databases(self) -> Urls:
        """An empty PostgreSQL database with the tables, and an empty numbered database of Valkey."""
        database_url = await self._ends.enter_async_context(fresh_database(self._embedded))
        await migrations.up(database_url)
        return Urls(database_url, await self._ends.enter_async_context(_numbered_redis(self._embedded)))

    async def _start(self, flags: list[str], settings: Mapping[str, object], code: str) -> Server:
        folder = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-serve-")))
        server = Server(folder, flags, settings, code)
        self._servers.append(server)
        await server.ready()
        return server

    async def end(self) -> None:
        leaks: list[str] = []
        while self._servers:
            server = self._servers.pop()
            await asyncio.to_thread(server.end)
            leaks += server.leaks()
        await self._ends.aclose()
        assert [] == leaks


@asynccontextmanager
async def _numbered_redis(embedded: Embedded) -> AsyncIterator[str]:
    """The URL of a database of Valkey that nobody else has; a mark in it says that it is taken."""
    for number in range(1, 16):
        url = embedded.redis_url.removesuffix("/0") + f"/{number}"
        async with redis.asyncio.Redis.from_url(url) as client:
            if await client.set("taken by a test", 1, nx=True):
                yield url
                await client.flushdb()
                return
    raise AssertionError("more servers at once than Valkey has databases")


@pytest.fixture
async def serve(embedded: Embedded) -> AsyncIterator[Servers]:
    servers = Servers(embedded)
    yield servers
    await servers.end()


@pytest.fixture(scope="session")
def server(embedded: Embedded) -> Iterator[Server]:
    """With the default settings; tests keep to rooms of their own."""
    with serving(embedded) as server:
        yield server


@contextmanager
def serving(embedded: Embedded, **settings: object) -> Iterator[Server]:
    """A server for more than one test, and so for more than one event loop."""
    servers = Servers(embedded)
    # One loop for both: the end of a loop ends what its generators hold, the database among it.
    with asyncio.Runner() as runner:
        yield runner.run(servers(**settings))
        runner.run(servers.end())


def _environment(folder: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """Ours without settings, with these; and the entry points of the tests' games as if they were installed."""
    distribution = folder / "games-1.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: games\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(_ENTRY_POINTS)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    given = {f"HOLDFAST_{name.upper()}": str(value) for name, value in settings.items()}
    return {**inherited, **given, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
