"""`holdfast chaos` as a command: what it prints, how it ends, and that nothing of it is left."""

import psutil

from server.tools.chaos.scenarios import SCENARIOS
from tests.cli.command import holdfast, interrupt, start


async def test_the_list_is_of_every_scenario() -> None:
    listed = await holdfast("chaos", "list", "--json")
    assert [*SCENARIOS] == [row["name"] for row in listed.rows]


async def test_a_name_that_is_no_scenario_is_refused() -> None:
    ended = await holdfast("chaos", "run", "f99")
    assert (2, "") == (ended.code, ended.out)
    assert "no scenario is called 'f99'" in ended.err


async def test_a_scenario_that_passes_is_one_line_of_json() -> None:
    ended = await holdfast("chaos", "run", "f31-foreign-origins", "--seed", 5, "--json")
    assert ("f31-foreign-origins", 5, "pass") == tuple(ended.json[key] for key in ("scenario", "seed", "result"))


async def test_ctrl_c_leaves_nothing_behind() -> None:
    process = await start("chaos", "run", "f05-link-stalled")
    assert process.stderr is not None
    while b"event.degraded" not in (line := await process.stderr.readline()):
        assert line, "it ended before it was interrupted"
    running = psutil.Process(process.pid).children(recursive=True)
    assert {"postgres", "valkey-server"} < {child.name() for child in running}
    assert 130 == (await interrupt(process)).code
    assert [] == [child for child in running if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
