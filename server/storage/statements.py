"""
Statements: the SQL of this package, one file each under `sql/`, read once.

    node AS (SELECT ... FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE)

Every statement that writes for a node begins like this, does its work `FROM node`, and answers with at least one row
unless the node is fenced. The share lock makes a fence wait for the statement, or the statement for the fence; it then
finds no row and writes nothing. So a taker that has fenced a node knows that nothing of that node's can land any more.
Each is one statement and its own transaction: no transaction stays open across a turn of the event loop.
"""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType


def load_statements() -> Mapping[str, str]:
    """The text of each statement by its file's name without `.sql`."""
    texts = (file for file in files(__package__).joinpath("sql").iterdir() if file.name.endswith(".sql"))
    return MappingProxyType({file.name.removesuffix(".sql"): file.read_text() for file in texts})
