"""`holdfast log`: a room's journal."""

from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.endings import note, run
from server.cli.options import AsJson, DatabaseUrl, DataDir, read_settings
from server.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.text import Text

    from server.core.journal import Entry
    from server.settings import Settings


def log(
    room: Annotated[str, typer.Argument(help="the room's id")],
    first: Annotated[int, typer.Option("--from", min=1, help="the first roomSeq")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, help="the last roomSeq")] = None,
    follows: Annotated[
        bool, typer.Option("--follow", "-f", help="go on with new rows as they become durable, until Ctrl-C")
    ] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print a room's journal: every action with its cause and its effect; one JSON object a line with --json."""
    settings = read_settings(data_dir, database_url)
    try:
        run(_log(settings, room, first - 1, last, follows=follows, as_json=as_json))
    except KeyboardInterrupt:
        if not follows:
            raise
        raise typer.Exit(ExitCode.OK) from None


async def _log(
    settings: "Settings", room_id: str, after: int, last: int | None, *, follows: bool, as_json: bool
) -> None:
    from server.storage.stores import stores_of
    from server.tools.databases import find_running, open_to_read
    from server.tools.journal_reader import find_room, follow, read_pages

    _print = _print_json if as_json else _print_lines
    async with open_to_read(settings, note) as (database, _):
        stores = stores_of(database)
        await find_room(stores, room_id)
        async for page in read_pages(stores.journal, room_id, after, last):
            _print(page)
            after = page[-1].room_seq
    if follows:
        if find_running(settings) is None:
            note("no server runs there now; waiting for one")
        async for page in follow(lambda: find_running(settings), room_id, after, last):
            _print(page)


def _print_json(page: "list[Entry]") -> None:
    from server.cli.printing import print_json
    from server.tools.journal_reader import log_row

    print_json(*map(log_row, page))


def _print_lines(page: "list[Entry]") -> None:
    from server.cli.printing import print_lines

    print_lines(map(_line, page))


def _line(entry: "Entry") -> "Text":
    """One row, in columns that need not know the other rows."""
    from rich.text import Text

    from server.cli.printing import moment, shown

    intent, patch, events = (shown((part or b"").decode()) for part in (entry.intent, entry.patch, entry.events))
    return Text.assemble(
        (f"{entry.room_seq:>7}", "bold"),
        (f"  {entry.epoch:>2}  {moment(entry.at)}  ", "dim"),
        (f"{entry.kind:<17}", "cyan"),
        f"  {entry.session_id or '-':<12}  {entry.seq or '-':>6}  ",
        intent,
        (f"  -> {patch}" if patch else "", "green"),
        (f"  !! {events}" if events else "", "yellow"),
    )
