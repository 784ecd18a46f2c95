"""
Run: scenarios one after the other, each on a stage of its own, and what came of them.
"""

import resource
import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Literal

import asyncpg
import msgspec
import redis.exceptions

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.databases import Databases
from server.tools.chaos.node import NodeFailed
from server.tools.chaos.scenarios import SCENARIOS
from server.tools.chaos.scenarios.compound import SOAK, soak
from server.tools.chaos.stage import Broken, Skipped, Stage, set_stage

#: Violations that are told; the smallest says most.
VIOLATIONS_MAX = 3


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """What came of a scenario; `why` is empty if it passed."""

    scenario: str
    seed: int
    result: Literal["pass", "fail", "skipped"]
    seconds: float
    why: str = ""
    #: The folder with its history and its nodes' logs, if it failed.
    history: str = ""


def allow_many_files() -> None:
    """As many as this process may have: thousands of players are as many sockets, here and in the nodes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def chosen(name: str, minutes: float) -> list[Scenario]:
    """All, the fast ones, the one of this name, or those whose names contain it; or the soak of so many minutes, which
    is no part of all."""
    if name == SOAK:
        return [soak(minutes)]
    if name in SCENARIOS:
        return [SCENARIOS[name]]
    return [
        scenario
        for scenario in SCENARIOS.values()
        if name == "all" or (name == "fast" and scenario.is_fast) or name in scenario.name
    ]


async def run_one(
    scenario: Scenario,
    databases: Databases,
    seed: int,
    slack: float,
    say: Callable[[str], None],
    histories: Path | None = None,
) -> Outcome:
    """`say` gets a few words now and then; a failure's history and logs go to a folder in `histories`."""
    began = time.monotonic()

    def outcome(result: Literal["pass", "fail", "skipped"], why: str = "", history: str = "") -> Outcome:
        return Outcome(scenario.name, seed, result, round(time.monotonic() - began, 1), why, history)

    lacks = scenario.missing()
    if lacks is not None:
        return outcome("skipped", f"this machine lacks {lacks.value}")
    broken: list[str] = []
    history = ""
    try:
        async with set_stage(databases, Random(f"{scenario.name} {seed}"), slack, say) as stage:
            broken += await _what_broke(scenario, stage)
            if broken and histories is not None:
                history = _kept(stage, histories / f"{scenario.name}.{seed}")
    except Skipped as why:
        return outcome("skipped", str(why))
    except Exception:
        broken.append(f"the stage itself failed:\n{traceback.format_exc()}")
    return outcome("fail" if broken else "pass", "\n".join(broken), history)


async def _what_broke(scenario: Scenario, stage: Stage) -> list[str]:
    """Runs it and judges it; nothing if all held. Raises Skipped."""
    broken: list[str] = []
    try:
        await scenario.run(stage)
    except Skipped:
        raise
    except (Broken, NodeFailed) as problem:
        broken += [str(problem), *stage.stragglers()]
    except (OSError, asyncpg.PostgresError, redis.exceptions.RedisError) as problem:
        broken.append(f"it could not go on: {problem!r}")
    except Exception:
        broken.append(f"the harness itself failed:\n{traceback.format_exc()}")
    broken += stage.unexpected_ends()
    broken += stage.blindness()
    # Also of a run that broke off: what is lost is worse than what is late.
    await stage.postgres.heal()
    violations = await stage.verdict()
    broken += map(str, violations[:VIOLATIONS_MAX])
    if len(violations) > VIOLATIONS_MAX:
        broken.append(f"and {len(violations) - VIOLATIONS_MAX} more")
    return broken


def _kept(stage: Stage, folder: Path) -> str:
    """What there is to look at, in a folder of its own: the history, and the nodes' logs."""
    folder.mkdir(parents=True, exist_ok=True)
    stage.history.write(folder / "history.jsonl")
    for node in stage.nodes:
        for log in node.folder.glob("log.*"):
            shutil.copy(log, folder / f"{node.folder.name}.{log.name}")
    return str(folder)
