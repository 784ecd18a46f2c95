"""
Node: one `holdfast serve` in a process of its own, as an operator would run it.

Besides the shipped rooms it knows those of `server.tools.chaos.rooms`, by an entry point as any package would give it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

import server
from server.tools import http
from server.tools.chaos.waiting import poll

READY_S = 60.0
_READY = "Holdfast is ready: "
_SOURCES = str(Path(server.__file__).parents[1])
_NOW = "from server.cli import main; main()"
#: Another protocol version, as a later release has it.
_LATER = f"import contracts; contracts.PROTOCOL_VERSION = 'later'; {_NOW}"
_METADATA = "Metadata-Version: 2.1\nName: chaos-rooms\nVersion: 1\n"
_ENTRY_POINTS = "[holdfast.rooms]\nstumbling = server.tools.chaos.rooms:Stumbling\n"
_LAST_WORDS_LINES, _LAST_WORDS_CHARS = 6, 600


class NodeFailed(Exception):
    """It did not start, or did not end; the text has the end of its log."""


class Node:
    """Where it listens, and what can be done to it. It is started by `start`, once or again."""

    def __init__(self, folder: Path, flags: Sequence[str], settings: Mapping[str, object]) -> None:
        """`settings` are variables without their prefix, in lower case."""
        self.folder = folder
        self.url = ""
        self.settings = dict(settings)
        self.is_frozen = False
        #: Its end is no surprise.
        self.is_told_to_end = False
        self._flags = list(flags)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    async def start(self, *, is_later: bool = False) -> None:
        """Start it, after its first time on the same port, and wait until it is ready. Raises NodeFailed."""
        self._starts += 1
        self.is_told_to_end = False
        said, log = self.folder / f"said.{self._starts}", self._log
        with said.open("wb") as out, log.open("wb") as err:
            self._process = subprocess.Popen(  # noqa: ASYNC220 -- it takes a millisecond, and nobody else waits
                [sys.executable, "-c", _LATER if is_later else _NOW, "serve", *self._flags, "--port", str(self._port)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self._environment(),
                start_new_session=True,
            )

        async def is_ready_or_gone() -> bool:
            return _READY in said.read_text() or not self.runs

        await poll(is_ready_or_gone, READY_S)
        if not self.runs:
            raise NodeFailed(f"a node did not start:\n{self.last_words}")
        self.url = said.read_text().partition(_READY)[2].split()[0]
        self._port = int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LAST_WORDS_LINES:]
        return "\n".join(line[:_LAST_WORDS_CHARS] for line in lines)

    @property
    def memory_bytes(self) -> int:
        return int(psutil.Process(self.pid).memory_info().rss)

    def freeze(self) -> None:
        """When it is thawed it may find itself fenced, and end."""
        self.is_told_to_end = True
        self._signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        if self.is_frozen:
            self._signal(signal.SIGCONT)
            self.is_frozen = False

    def kill(self) -> None:
        """SIGKILL. Embedded databases of its own run on, as they would."""
        self.is_told_to_end = True
        self._signal(signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self.is_told_to_end = True
        self._signal(signal.SIGTERM)

    async def start_anyhow(self, within_s: float) -> None:
        """If it has ended, start it until it stays, as a service manager does: it may want its databases first."""
        deadline = time.monotonic() + within_s
        while not self.runs:
            try:
                await self.start()
            except NodeFailed:
                if time.monotonic() > deadline:
                    raise

    async def ended(self, within_s: float) -> int:
        """Its exit status. Raises NodeFailed if it does not end in time."""
        assert self._process is not None

        async def is_gone() -> bool:
            return not self.runs

        try:
            await poll(is_gone, within_s)
        except TimeoutError:
            raise NodeFailed(f"a node did not end within {within_s:g} s:\n{self.last_words}") from None
        return int(self._process.returncode)

    async def metric(self, name: str, **labels: str) -> float:
        """A metric's value; 0 for one that was never counted."""
        page = (await http.get(f"{self.url}/metrics")).content.decode()
        inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
        series = f"{name}{{{inner}}} " if labels else f"{name} "
        return next((float(line.removeprefix(series)) for line in page.splitlines() if line.startswith(series)), 0.0)

    def end(self) -> None:
        """Gone when this returns, whatever it was doing."""
        if self.runs:
            self.thaw()
            self.kill()
        if self._process is not None:
            self._process.wait()

    @property
    def _log(self) -> Path:
        return self.folder / f"log.{self._starts}"

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _environment(self) -> dict[str, str]:
        distribution = self.folder / "chaos_rooms-1.dist-info"
        distribution.mkdir(exist_ok=True)
        (distribution / "METADATA").write_text(_METADATA)
        (distribution / "entry_points.txt").write_text(_ENTRY_POINTS)
        return environment(self.settings, str(self.folder))


def environment(settings: Mapping[str, object], *import_from: str) -> dict[str, str]:
    """Of a command of ours: without our own settings, with these; it imports what we do, and from there."""
    inherited = {name: value for name, value in {**os.environ}.items() if not name.startswith("HOLDFAST_")}
    given = {f"HOLDFAST_{name.upper()}": str(value) for name, value in settings.items()}
    return {**inherited, **given, "PYTHONPATH": os.pathsep.join((*import_from, _SOURCES))}
