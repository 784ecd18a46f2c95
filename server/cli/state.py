"""`holdfast state`: a room's state at any roomSeq, from its journal alone."""

from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.endings import note, run
from server.cli.options import AsJson, DatabaseUrl, DataDir, read_settings

if TYPE_CHECKING:
    from server.settings import Settings
    from server.tools.journal_reader import RebuiltState


def state(
    room: Annotated[str, typer.Argument(help="the room's id")],
    at: Annotated[int | None, typer.Option(min=0, help="the roomSeq; the last one if not given")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild a room's state from its snapshots and patches, as clients saw it at a roomSeq; no game code runs."""
    from server.cli.printing import print_json, print_tree

    rebuilt = run(_rebuild(read_settings(data_dir, database_url), room, at))
    if as_json:
        print_json(rebuilt)
    else:
        print_tree(f"{rebuilt.room_id} at {rebuilt.room_seq}, epoch {rebuilt.epoch}", rebuilt.state)


async def _rebuild(settings: "Settings", room_id: str, at: int | None) -> "RebuiltState":
    from server.storage.stores import stores_of
    from server.tools.databases import open_to_read
    from server.tools.journal_reader import rebuild

    async with open_to_read(settings, note) as (database, _):
        return await rebuild(stores_of(database), room_id, at)
