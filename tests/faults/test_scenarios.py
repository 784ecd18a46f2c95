"""The fast scenarios of `holdfast chaos`, each as its own test. `make chaos` runs the others too."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.tools.chaos.databases import Databases, databases_in
from server.tools.chaos.run import run_one
from server.tools.chaos.scenarios import SCENARIOS

SEED = 1
#: Other tests run beside this one.
SLACK = 4.0
FAST = [name for name, scenario in SCENARIOS.items() if scenario.is_fast]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground() -> AsyncIterator[Databases]:
    """Databases that may be killed."""
    with tempfile.TemporaryDirectory(prefix="holdfast-chaos-", ignore_cleanup_errors=True) as folder:
        async with databases_in(Path(folder), is_durable=False) as databases:
            yield databases


@pytest.mark.parametrize("name", FAST)
@pytest.mark.asyncio(loop_scope="module")
async def test_the_promises_hold(name: str, ground: Databases) -> None:
    outcome = await run_one(SCENARIOS[name], ground, SEED, SLACK, print)
    assert outcome.result != "fail", outcome.why
