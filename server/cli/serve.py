"""`holdfast serve`: runs one node until a signal."""

import os
import sys
from typing import Annotated

import typer
import uvloop

from server.app import App, ExitCode
from server.core.faults import Fault
from server.embedded import EmbeddedFailed
from server.ops.logs import configure_logs
from server.settings import BadSetting, load
from server.storage.migrations import SchemaRefused


def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on; 0 picks a free one")] = None,
    data_dir: Annotated[str | None, typer.Option(help="folder of the embedded databases")] = None,
    database_url: Annotated[str | None, typer.Option(help="PostgreSQL of your own; needs --redis-url too")] = None,
    redis_url: Annotated[str | None, typer.Option(help="Redis or Valkey of your own; needs --database-url too")] = None,
) -> None:
    """Run the server. Without URLs it starts embedded databases, whose data is in the data folder."""
    overrides = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "database_url": database_url,
        "redis_url": redis_url,
    }
    try:
        settings = load(os.environ, overrides)
    except BadSetting as problem:
        _fail(str(problem), ExitCode.SETTINGS)
    configure_logs(settings.log_format, settings.log_level, sys.stderr)
    app = App(settings, lambda line: print(line, flush=True))
    try:
        raise typer.Exit(uvloop.run(app.run()))
    except SchemaRefused as problem:
        _fail(str(problem), ExitCode.SCHEMA)
    except (EmbeddedFailed, Fault) as problem:
        _fail(str(problem), ExitCode.DATABASES)
    except OSError as problem:
        _fail(str(problem), ExitCode.ADDRESS)


def _fail(problem: str, code: ExitCode) -> None:
    print(f"holdfast: {problem}", file=sys.stderr)
    raise typer.Exit(code)
