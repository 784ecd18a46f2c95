"""The tables of one database, each by its own object."""

import msgspec

from server.storage.characters import Characters
from server.storage.database import Database
from server.storage.journal import Journal
from server.storage.nodes import Nodes
from server.storage.rooms import Rooms
from server.storage.snapshots import Snapshots


class Stores(msgspec.Struct, frozen=True):
    journal: Journal
    snapshots: Snapshots
    rooms: Rooms
    nodes: Nodes
    characters: Characters


def stores_of(database: Database) -> Stores:
    nodes = Nodes(database)
    return Stores(
        journal=Journal(database),
        snapshots=Snapshots(database),
        rooms=Rooms(database, nodes),
        nodes=nodes,
        characters=Characters(database),
    )
