"""`holdfast doctor`: everything a bug report needs, in one paste."""

import os

import typer

from server.cli.endings import note, run
from server.cli.options import AsJson, DatabaseUrl, DataDir
from server.exit_codes import ExitCode


def doctor(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Examine versions, settings, databases and the machine, secrets masked; the exit code tells if all is well."""
    from server.cli.printing import print_json, print_table
    from server.tools.doctor import examine

    flags = {"data_dir": data_dir, "database_url": database_url}
    findings = run(examine(os.environ, flags, note))
    problems = [finding for finding in findings if finding.problem]
    if as_json:
        print_json({"isHealthy": not problems, "findings": findings})
    else:
        print_table(("about", "what", "found", "problem"), ((f.about, f.what, f.found, f.problem) for f in findings))
        note(f"{len(problems)} problems")
    if problems:
        raise typer.Exit(ExitCode.PROBLEM)
