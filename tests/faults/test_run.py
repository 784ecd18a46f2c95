"""A scenario's outcome: what passes, fails and is skipped, and what is said of it."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.databases import Databases, databases_in
from server.tools.chaos.history import Acked
from server.tools.chaos.run import Outcome, chosen, run_one
from server.tools.chaos.scenarios import SCENARIOS
from server.tools.chaos.stage import Broken, Skipped, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground() -> AsyncIterator[Databases]:
    with tempfile.TemporaryDirectory(prefix="holdfast-chaos-", ignore_cleanup_errors=True) as folder:
        async with databases_in(Path(folder), is_durable=False) as databases:
            yield databases


async def lies(stage: Stage) -> None:
    """A client claims to have had an ack that no server gave."""
    node = await stage.serve()
    player = await stage.join(node)
    seq = player.ask("intent.add", amount=1)
    await player.outcome(seq)
    stage.history.add(Acked(room=player.room_id, session=player.session_id, seq=seq, room_seq=99, status="applied"))


async def breaks(stage: Stage) -> None:
    raise Broken("it took too long")


async def gives_up(stage: Stage) -> None:
    raise Skipped("no moon tonight")


async def stumbles(stage: Stage) -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def outcome_of(run: object, ground: Databases, histories: Path | None = None) -> Outcome:
    return await run_one(Scenario("made-up", run), ground, 7, 1.0, print, histories)  # type: ignore[arg-type]


async def test_what_contradicts_the_journal_fails_with_its_history_kept(ground: Databases, tmp_path: Path) -> None:
    outcome = await outcome_of(lies, ground, tmp_path)
    assert ("made-up", 7, "fail") == (outcome.scenario, outcome.seed, outcome.result)
    assert "has two outcomes" in outcome.why
    kept = Path(outcome.history)
    assert {"history.jsonl", "node.0.log.1"} == {path.name for path in kept.iterdir()}
    history = [json.loads(line) for line in (kept / "history.jsonl").read_text().splitlines()]
    assert [99] == [record["roomSeq"] for record in history if record["record"] == "ok"][1:]


@pytest.mark.parametrize(
    ("run", "result", "why"),
    [
        (breaks, "fail", "it took too long"),
        (gives_up, "skipped", "no moon tonight"),
        (stumbles, "fail", "the harness itself failed"),
    ],
)
async def test_a_run_that_ends_early_says_why(run: object, result: str, why: str, ground: Databases) -> None:
    outcome = await outcome_of(run, ground)
    assert (result, True) == (outcome.result, outcome.why.startswith(why))


async def test_scenarios_are_chosen_by_name_by_part_of_it_and_by_speed() -> None:
    assert ["f03-reply-lost"] == [each.name for each in chosen("f03-reply-lost", 1)]
    assert {"f19-frozen-past-its-lease"} < {each.name for each in chosen("f19", 1)}
    assert [each for each in SCENARIOS.values() if each.is_fast] == chosen("fast", 1)
    assert [*SCENARIOS.values()] == chosen("all", 1)
    assert (["soak"], []) == ([each.name for each in chosen("soak", 1)], chosen("f99", 1))
