"""The verbs of `holdfast`, each with its own `--help`."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from server.cli import bots, chaos, config, doctor, log, migrate, rooms, serve, state, token, types
from server.cli.endings import endings


class Verbs(TyperGroup):
    """All verbs end alike."""

    def invoke(self, ctx: Any) -> Any:
        with endings():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Verbs,
    help="An authoritative game-room server: every action is durable before anyone sees it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.add_typer(migrate.verbs, name="migrate")
app.command()(log.log)
app.command()(state.state)
app.command()(rooms.rooms)
app.command()(token.token)
app.command()(types.types)
app.add_typer(config.verbs, name="config")
app.command()(doctor.doctor)
app.add_typer(chaos.verbs, name="chaos")
app.command()(bots.bots)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        print(f"holdfast {version('holdfast')}")
        raise typer.Exit


@app.callback()
def _options(
    shows_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """What stands before the verb."""


def main() -> None:
    """The installed command."""
    sys.exit(app())
