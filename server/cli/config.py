"""`holdfast config`: the settings, as documented, as in force, and whether they are right."""

import os

import typer

from server.cli.endings import note
from server.cli.options import AsJson
from server.exit_codes import ExitCode

verbs = typer.Typer(help="What can be set, what is set, and whether that is right.", no_args_is_help=True)


@verbs.command()
def doc(as_json: AsJson = False) -> None:
    """Show every setting: its variable, default, values, meaning and an example."""
    import msgspec

    from server.cli.printing import print_json, print_table
    from server.settings import describe

    settings = describe()
    if as_json:
        print_json([msgspec.structs.asdict(setting) for setting in settings])
        return
    columns = ("variable", "default", "values", "unit", "meaning", "example")
    print_table(columns, ((s.variable, s.default, s.kind, s.unit, s.meaning, s.example) for s in settings))


@verbs.command()
def env(as_json: AsJson = False) -> None:
    """Show every setting's value in force and where it comes from, secrets masked."""
    from server.cli.printing import print_json, print_table
    from server.settings import effective, load

    values = effective(load(os.environ), os.environ)
    if as_json:
        print_json([{"variable": v.variable, "value": v.value, "source": v.source} for v in values])
    else:
        print_table(("variable", "value", "source"), ((v.variable, v.value, v.source) for v in values))


@verbs.command()
def check(as_json: AsJson = False) -> None:
    """Check the settings as `serve` would; says everything wrong at once."""
    from server.cli.printing import print_json
    from server.settings import BadSetting, load

    try:
        load(os.environ, is_to_serve=True)
    except BadSetting as bad:
        if not as_json:
            raise
        print_json({"problems": [{"variable": p.variable, "problem": p.problem} for p in bad.problems]})
        raise typer.Exit(ExitCode.SETTINGS) from None
    if as_json:
        print_json({"problems": []})
    else:
        note("the settings are right")
