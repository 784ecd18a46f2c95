"""`holdfast chaos`: faults on purpose, and whether the promises held."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.endings import note, run
from server.cli.options import AsJson
from server.exit_codes import ExitCode

if TYPE_CHECKING:
    from server.tools.chaos.catalogue import Scenario
    from server.tools.chaos.run import Outcome

verbs = typer.Typer(
    help="Hurt a server of its own on purpose, and check that nothing acked was lost.", no_args_is_help=True
)


@verbs.command("list")
def show(as_json: AsJson = False) -> None:
    """Every scenario, and what it does."""
    from server.cli.printing import print_json, print_table
    from server.tools.chaos.scenarios import SCENARIOS

    scenarios = SCENARIOS.values()
    if as_json:
        print_json(*({"name": each.name, "isFast": each.is_fast, "about": each.about} for each in scenarios))
        return
    print_table(("scenario", "fast", "what is done, and what must hold"), map(_row, scenarios))


@verbs.command("run")
def play(
    scenario: Annotated[str, typer.Argument(help="its name, a part of several names, `fast`, `all` or `soak`")],
    seed: Annotated[int, typer.Option(help="decides all that is left to chance")] = 1,
    slack: Annotated[
        float, typer.Option(min=1, help="times in which something must happen are multiplied by it")
    ] = 2.0,
    minutes: Annotated[float, typer.Option(min=0.1, help="how long the soak goes on")] = 5.0,
    histories: Annotated[Path | None, typer.Option(help="folder for the histories and logs of what failed")] = None,
    as_json: AsJson = False,
) -> None:
    """Run scenarios one after the other on databases and servers of its own; exit status 1 if one fails."""
    from server.ops.logs import configure_logs
    from server.tools.chaos.run import allow_many_files, chosen

    allow_many_files()
    scenarios = chosen(scenario, minutes)
    if not scenarios:
        note(f"holdfast: no scenario is called {scenario!r}; see: holdfast chaos list")
        raise typer.Exit(ExitCode.USAGE)
    configure_logs("console", "error", sys.stderr)
    if slack != 1:
        note(f"on a busy machine all takes longer: bounds are multiplied by {slack:g} (--slack)")
    if not run(_play(scenarios, seed, slack, histories, as_json=as_json)):
        raise typer.Exit(ExitCode.PROBLEM)


async def _play(scenarios: "list[Scenario]", seed: int, slack: float, histories: Path | None, *, as_json: bool) -> bool:
    """Whether none failed."""
    import tempfile

    from server.cli.printing import print_json
    from server.tools.chaos.databases import databases_in
    from server.tools.chaos.run import run_one

    counts = {"pass": 0, "fail": 0, "skipped": 0}
    with tempfile.TemporaryDirectory(prefix="holdfast-chaos-", ignore_cleanup_errors=True) as folder:
        async with databases_in(Path(folder)) as databases:
            for scenario in scenarios:
                note(f"· {scenario.name}: {scenario.about}")
                outcome = await run_one(scenario, databases, seed, slack, lambda words: note(f"  {words}"), histories)
                counts[outcome.result] += 1
                print_json(outcome) if as_json else print(_told(outcome), flush=True)
    note(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skipped']} skipped")
    return not counts["fail"]


def _told(outcome: "Outcome") -> str:
    head = f"{outcome.result:<8}{outcome.scenario}  {outcome.seconds:.1f} s"
    if outcome.result == "pass":
        return head
    if outcome.result == "skipped":
        return f"{head}  {outcome.why}"
    where = f"\n  history and logs: {outcome.history}" if outcome.history else ""
    why = "\n".join(f"  {line}" for line in outcome.why.splitlines())
    again = f"\n  again: holdfast chaos run {outcome.scenario} --seed {outcome.seed}"
    return f"{head}  seed {outcome.seed}\n{why}{where}{again}"


def _row(scenario: "Scenario") -> tuple[str, str, str]:
    return scenario.name, "yes" if scenario.is_fast else "", scenario.about
