"""`holdfast rooms`: what runs where."""

from typing import TYPE_CHECKING

from contracts import limits
from server.cli.endings import note, run
from server.cli.options import AsJson, DatabaseUrl, DataDir, read_settings

if TYPE_CHECKING:
    from server.settings import Settings
    from server.tools.room_listing import ListedRoom

_COLUMNS = ("room", "name", "status", "node", "epoch", "clients", "of", "locked", "private", "used (UTC)")


def rooms(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """List the rooms that have not ended, those used last first, and the node that has each."""
    from server.cli.printing import moment, print_json, print_table

    listed = run(_list(read_settings(data_dir, database_url)))
    if as_json:
        print_json(listed)
    else:
        print_table(
            _COLUMNS,
            (
                (
                    room.room_id,
                    room.name,
                    room.status,
                    room.node_id,
                    room.epoch,
                    room.clients,
                    room.max_clients or None,
                    room.locked,
                    room.private,
                    moment(room.updated_at),
                )
                for room in listed
            ),
        )
    if len(listed) == limits.LISTING_ROOMS_MAX:
        note(f"there may be more: these are the {limits.LISTING_ROOMS_MAX} used last")


async def _list(settings: "Settings") -> "list[ListedRoom]":
    from server.storage.stores import stores_of
    from server.tools.databases import open_to_read
    from server.tools.room_listing import list_rooms

    async with open_to_read(settings, note) as (database, urls):
        return await list_rooms(stores_of(database), urls.redis_url)
