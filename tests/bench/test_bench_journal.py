"""Whether what was acked was committed, asked of PostgreSQL itself."""

import asyncpg

from bench.journal import find_missing
from server.embedded import Urls
from server.tools.bots.result import Ack

TABLE = "CREATE TABLE actions (room_id text, room_seq bigint, session_id text, seq bigint)"
COMMITTED = [("room", 1, "ada", None), ("room", 2, "ada", 1), ("room", 3, "bob", 1), ("room", 4, "ada", 2)]


async def test_an_ack_that_is_not_in_the_journal_is_found(databases: Urls) -> None:
    connection = await asyncpg.connect(databases.database_url)
    await connection.execute(TABLE)
    await connection.executemany("INSERT INTO actions VALUES ($1, $2, $3, $4)", COMMITTED)
    await connection.close()
    there = [Ack("room", 2, "ada", 1), Ack("room", 3, "bob", 1), Ack("room", 4, "ada", 2)]
    wrong = [
        Ack("room", 5, "ada", 3),  # never committed
        Ack("room", 3, "ada", 2),  # committed elsewhere
        Ack("room", 1, "ada", 1),  # a join's place
        Ack("other", 2, "ada", 1),  # another room
    ]
    assert wrong == await find_missing(databases.database_url, [*there, *wrong])
