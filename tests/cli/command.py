"""The command `holdfast` as tests run it: a process of its own, without settings from outside."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
_CODE = "from server.cli import main; main()"


class Ended(NamedTuple):
    """How a verb ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its one line of JSON. Nothing else may stand on stdout."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        """Its lines of JSON."""
        assert self.code == 0, self.err
        return [json.loads(line) for line in self.out.splitlines()]


async def start(*args: object, **settings: object) -> Process:
    """A verb on its way; `settings` are variables without their prefix, in lower case."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CODE, *map(str, args), stdout=PIPE, stderr=PIPE, env=_environment(settings)
    )


async def holdfast(*args: object, **settings: object) -> Ended:
    process = await start(*args, **settings)
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def interrupt(process: Process) -> Ended:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def shell(script: str, *args: object, **settings: object) -> Ended:
    """A shell's line, in which `"$@"` is the verb."""
    command = ["sh", "-c", script, "sh", sys.executable, "-c", _CODE, *map(str, args)]
    ended = subprocess.run(command, capture_output=True, env=_environment(settings), check=False)
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def _environment(settings: dict[str, object]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    given = {f"HOLDFAST_{name.upper()}": str(value) for name, value in settings.items()}
    return {**inherited, **given, "PYTHONPATH": str(ROOT)}
