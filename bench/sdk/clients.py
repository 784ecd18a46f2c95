"""The SDK clients in their Node.js process: starts it, and takes what it says."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from server.tools.bots.result import Machine, Plan, Result

ROOT = Path(__file__).parents[2]
#: One line of what it says.
_LINE_BYTES_MAX = 16 * 1024 * 1024
_LAST_WORDS_CHARS = 2_000


class ClientsFailed(Exception):
    """They came to no result; the text is the end of what Node.js said."""


class Acked(NamedTuple):
    """What a client was told: its intent is durable there."""

    room_id: str
    room_seq: int
    session_id: str
    seq: int


class Found(NamedTuple):
    result: Result
    #: Of the whole run, the warm-up included.
    acks: list[Acked]


async def play(
    plan: Plan,
    machine: Machine,
    server: dict[str, Any] | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> Found:
    """One run. Raises ClientsFailed."""
    process = await asyncio.create_subprocess_exec(
        str(ROOT / "scripts" / "with-node"),
        "node",
        str(Path(__file__).with_name("main.mjs")),
        msgspec.json.encode(plan).decode(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES_MAX,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    last_words = asyncio.create_task(process.stderr.read())
    acks: list[Acked] = []
    result: Result | None = None
    try:
        async for line in process.stdout:
            said = msgspec.json.decode(line)
            if "phase" in said:
                on_phase(said["phase"])
            acks += (Acked(*ack) for ack in said.get("acks", ()))
            if "result" in said:
                about = {"machine": msgspec.to_builtins(machine), "server": server, "assertions": []}
                result = msgspec.convert({**said["result"], **about}, Result)
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        words = (await last_words).decode(errors="replace")
    if result is None:
        raise ClientsFailed(f"the SDK clients came to no result:\n{words[-_LAST_WORDS_CHARS:]}")
    return Found(result, acks)
