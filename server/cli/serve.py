"""`holdfast serve`: runs one node until a signal."""

import os
import sys
from typing import Annotated

import typer

from server.cli.endings import note, run
from server.cli.options import DataDir
from server.exit_codes import ExitCode


def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on; 0 picks a free one")] = None,
    data_dir: DataDir = None,
    database_url: Annotated[str | None, typer.Option(help="PostgreSQL of your own; needs --redis-url too")] = None,
    redis_url: Annotated[str | None, typer.Option(help="Redis or Valkey of your own; needs --database-url too")] = None,
) -> None:
    """Run the server. Without URLs it starts embedded databases, whose data is in the data folder."""
    import uvloop

    from server.app import App, CannotListen
    from server.ops.logs import configure_logs
    from server.settings import load

    flags = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "database_url": database_url,
        "redis_url": redis_url,
    }
    settings = load(os.environ, flags, is_to_serve=True)
    configure_logs(settings.log_format, settings.log_level, sys.stderr)
    app = App(settings, lambda line: print(line, flush=True), note)
    try:
        code = run(app.run(), uvloop.new_event_loop)
    except CannotListen as problem:
        note(f"holdfast: {problem}")
        code = ExitCode.ADDRESS
    raise typer.Exit(code)
