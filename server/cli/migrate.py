"""`holdfast migrate`: the steps of the tables, taken when an operator says so."""

from typing import TYPE_CHECKING

import typer

from server.cli.endings import note, run
from server.cli.options import AsJson, DatabaseUrl, DataDir, read_settings

if TYPE_CHECKING:
    from server.settings import Settings
    from server.storage.migrations import Applied, Migration, Status

verbs = typer.Typer(help="Bring PostgreSQL's tables to this version, or see where they stand.", no_args_is_help=True)


@verbs.command()
def up(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Take the steps that are left. `serve` does so itself on embedded databases, and on others never."""
    from server.cli.printing import print_json

    taken = run(_up(read_settings(data_dir, database_url)))
    if as_json:
        print_json({"taken": [_named(step) for step in taken]})
        return
    for step in taken:
        print(f"{step.version:04}_{step.name}")
    note(f"{len(taken)} taken; the tables are as this version needs them")


@verbs.command()
def status(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Show which steps the database has behind it, and which are left. Changes nothing."""
    from server.cli.printing import moment, print_json, print_table

    found = run(_status(read_settings(data_dir, database_url)))
    if as_json:
        print_json(
            {
                "applied": [_named(step) | {"appliedAt": step.applied_at} for step in found.applied],
                "pending": [_named(step) for step in found.pending],
                "tooNew": [_named(step) for step in found.breaking],
            }
        )
        return
    too_new = {step.version for step in found.breaking}
    rows: list[tuple[object, ...]] = [
        (f"{step.version:04}", step.name, "too new" if step.version in too_new else "applied", moment(step.applied_at))
        for step in found.applied
    ]
    rows += [(f"{step.version:04}", step.name, "pending", None) for step in found.pending]
    print_table(("step", "name", "status", "applied at (UTC)"), rows)


def _named(step: "Migration | Applied") -> dict[str, object]:
    return {"version": step.version, "name": step.name, "isBreaking": step.is_breaking}


async def _up(settings: "Settings") -> "list[Migration]":
    from server.storage import migrations
    from server.tools.databases import reach

    async with reach(settings, note, makes_data=True) as urls:
        return await migrations.up(urls.database_url)


async def _status(settings: "Settings") -> "Status":
    from server.storage import migrations
    from server.tools.databases import reach

    async with reach(settings, note) as urls:
        return await migrations.status(urls.database_url)
