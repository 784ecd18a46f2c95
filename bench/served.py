"""
The server under test: `holdfast serve`, a process of its own with embedded databases in a temporary folder.

Everything is as in production: full durability (fsync), the default settings, logs written.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from server.embedded import Urls, read_running

READY_S = 60.0
STOP_S = 10.0
_READY = "Holdfast is ready: "


class Used(msgspec.Struct, frozen=True):
    """CPU seconds, user and system together, that each has used since it started."""

    server: float
    postgres: float
    valkey: float

    def since(self, before: "Used") -> "Used":
        return Used(self.server - before.server, self.postgres - before.postgres, self.valkey - before.valkey)


class Served(AbstractContextManager["Served"]):
    """Runs from `with` to its end. Raises RuntimeError, with the end of the log, if it does not come up."""

    def __init__(self, transport: str) -> None:
        self._transport = transport
        self._folder = tempfile.TemporaryDirectory(prefix="holdfast-bench-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "server.log"
        self._data_dir = Path(self._folder.name) / "data"

    def __enter__(self) -> Self:
        command = [str(Path(sys.executable).with_name("holdfast")), "serve", "--port", "0"]
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                [*command, "--data-dir", str(self._data_dir)],
                env={**os.environ, "HOLDFAST_TRANSPORT": self._transport},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_S
        while (url := self._ready()) is None:
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError(f"the server did not come up:\n{self.last_words}")
            time.sleep(0.05)
        self.url = url
        self._process = psutil.Process(self._server.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self.last_words = self._log.read_text()[-2000:]
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Of the server's own process; its databases are its children."""
        return self._server.pid

    @property
    def databases(self) -> Urls:
        urls = read_running(self._data_dir)
        assert urls is not None, "they end after the server"
        return urls

    def used(self) -> Used:
        """The databases' are all of their processes, those that have ended included."""
        server = self._process.cpu_times()
        by_name = {"postgres": 0.0, "valkey": 0.0}
        for child in self._process.children(recursive=True):
            times = child.cpu_times()
            name = "postgres" if child.name().startswith("postgres") else "valkey"
            by_name[name] += times.user + times.system + times.children_user + times.children_system
        return Used(server.user + server.system, **by_name)

    def _ready(self) -> str | None:
        for line in self._log.read_text().splitlines():
            if line.startswith(_READY):
                return line.removeprefix(_READY)
        return None
