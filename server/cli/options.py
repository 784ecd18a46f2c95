"""Options that verbs share, and the settings they make."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from server.settings import Settings

DataDir = Annotated[str | None, typer.Option(help="folder of the embedded databases, of a running or a stopped server")]
DatabaseUrl = Annotated[str | None, typer.Option(help="PostgreSQL of your own, instead of the data folder's")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs")]


def read_settings(data_dir: str | None, database_url: str | None) -> "Settings":
    """The settings of a verb that reads; it needs no Redis. Raises BadSetting."""
    from server.settings import load

    return load(os.environ, {"data_dir": data_dir, "database_url": database_url})
