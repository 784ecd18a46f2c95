"""The verbs of `holdfast`, each with its own `--help`."""

import sys

import typer

from server.cli import serve

app = typer.Typer(
    help="An authoritative game-room server: every action is durable before anyone sees it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(serve.serve)


@app.callback()
def _verbs() -> None:
    """Keeps `serve` a verb while it is alone."""


def main() -> None:
    """The installed command."""
    sys.exit(app())
