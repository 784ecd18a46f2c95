"""
Generator: `holdfast bots` as a process of its own, so that the load never shares a process with what it measures.
"""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import msgspec

from bench.places import Cores, at
from bench.subjects import HOLDFAST, ROOT
from server.tools.bots.result import Result, Target

#: What a run may take beyond its warm-up and measured time: joins, and the last answers.
SLACK_S = 90.0
STOP_S = 5.0
_LAST_WORDS_CHARS = 2_000


class Load(msgspec.Struct, frozen=True):
    """What the bots do to a server."""

    clients: int
    rooms: int
    #: Intents a second of each.
    rate_hz: float
    #: Measured time.
    seconds: float
    warmup_s: float
    room: str = "game"

    def __str__(self) -> str:
        rooms = "1 room" if self.rooms == 1 else f"{self.rooms:,} rooms"
        return f"{self.clients:,} clients in {rooms} at {self.rate_hz:g}/s"

    @property
    def takes_s(self) -> float:
        """About how long, with joins and the last answers."""
        return self.seconds + self.warmup_s + 3 + self.clients / 400


class GeneratorFailed(Exception):
    """The bots came to no result; the text is the end of what they said."""


def play(url: str, target: Target, load: Load, cores: Cores, acks: Path | None = None) -> Result:
    """One run of the bots from these cores; every ack that they got goes to the file `acks`. Raises GeneratorFailed."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-bots-") as folder:
        found, log = Path(folder) / "result.json", Path(folder) / "log"
        flags: dict[str, object] = {
            "--url": url,
            "--target": target,
            "--room": load.room,
            "--rooms": load.rooms,
            "--clients": load.clients,
            "--rate": load.rate_hz,
            "--duration": load.seconds,
            "--warmup": load.warmup_s,
            "--model": "open",
            "--json": found,
        }
        if acks is not None:
            flags["--acks"] = acks
        argv = [*HOLDFAST, "bots", *(str(word) for flag in flags.items() for word in flag)]
        with at(cores), log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            process.wait(load.warmup_s + load.seconds + SLACK_S)
        except subprocess.TimeoutExpired:
            raise GeneratorFailed(f"the bots did not come to an end:\n{_last_words(log)}") from None
        finally:
            _end(process)
        if not found.exists():
            raise GeneratorFailed(f"the bots came to no result:\n{_last_words(log)}")
        return msgspec.json.decode(found.read_bytes(), type=Result)


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-_LAST_WORDS_CHARS:]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
