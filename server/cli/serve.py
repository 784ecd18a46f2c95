"""
`holdfast serve`: runs one node until a signal, or several under a supervisor.

With `--place`, which only a supervisor gives, the node is one of its workers.
"""

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
    workers: Annotated[int | None, typer.Option(help="nodes to run; the second listens on port + 1, and so on")] = None,
    data_dir: DataDir = None,
    database_url: Annotated[str | None, typer.Option(help="PostgreSQL of your own; needs --redis-url too")] = None,
    redis_url: Annotated[str | None, typer.Option(help="Redis or Valkey of your own; needs --database-url too")] = None,
    place: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the server. Without URLs it starts embedded databases, whose data is in the data folder."""
    import msgspec
    import uvloop
    from structlog.contextvars import bind_contextvars

    from server.app import App
    from server.ops.logs import configure_logs
    from server.place import CannotListen, Place
    from server.settings import load
    from server.supervisor import Supervisor, command_of_workers

    flags = {
        "host": host,
        "port": port,
        "workers": workers,
        "data_dir": data_dir,
        "database_url": database_url,
        "redis_url": redis_url,
    }
    settings = load(os.environ, flags, is_to_serve=True)
    configure_logs(settings.log_format, settings.log_level, sys.stderr)
    served: App | Supervisor
    if place is not None:
        its_place = msgspec.json.decode(place, type=Place)
        bind_contextvars(worker=its_place.worker)
        served = App(settings, announce, note, its_place)
    elif settings.workers > 1:
        served = Supervisor(settings, command_of_workers(), os.environ, announce, note)
    else:
        served = App(settings, announce, note)
    try:
        code = run(served.run(), uvloop.new_event_loop)
    except CannotListen as problem:
        note(f"holdfast: {problem}")
        code = ExitCode.ADDRESS
    raise typer.Exit(code)


def announce(line: str) -> None:
    print(line, flush=True)
