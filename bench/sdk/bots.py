"""The first witness: `holdfast bots` with the same plan, in a process of its own."""

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from server.tools.bots.result import Plan, Result
from server.tools.chaos.node import environment

_LAST_WORDS_CHARS = 2_000
_COMMAND = "from server.cli import main; main()"


class BotsFailed(Exception):
    """They came to no result; the text is the end of what they said."""


async def play(plan: Plan) -> Result:
    """One run. Raises BotsFailed."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bots-") as folder:
        answer = Path(folder) / "result.json"
        flags = {
            "--url": plan.url,
            "--target": plan.target,
            "--room": plan.room,
            "--rooms": plan.rooms,
            "--clients": plan.clients,
            "--rate": plan.rate_hz,
            "--duration": plan.duration_s,
            "--warmup": plan.warmup_s,
            "--model": plan.model,
            "--seed": plan.seed,
            "--json": answer,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _COMMAND, "bots", *(str(word) for flag in flags.items() for word in flag)),
            env=environment({}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            words, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not answer.exists():
            raise BotsFailed(f"the bots came to no result:\n{words.decode(errors='replace')[-_LAST_WORDS_CHARS:]}")
        return msgspec.json.decode(answer.read_bytes(), type=Result)
