"""What the clients were told against what PostgreSQL holds: each ack is a row, and each row is an ack."""

from collections.abc import Collection, Iterator

import asyncpg
import msgspec

from bench.sdk.clients import Acked, Found
from server.tools.bots.result import PROBLEMS_MAX, Result

_OF_SESSIONS = (
    "SELECT room_id, room_seq, session_id, seq FROM actions WHERE seq IS NOT NULL AND room_id = ANY($1::text[])"
)


async def rows(database_url: str, room_ids: Collection[str]) -> set[Acked]:
    """Every intent in the journals of these rooms."""
    connection = await asyncpg.connect(database_url)
    try:
        return {Acked(*row) for row in await connection.fetch(_OF_SESSIONS, list(room_ids))}
    finally:
        await connection.close()


def compared(found: Found, durable: set[Acked]) -> Result:
    """The result, in which an ack without its row is lost, and a row without its ack is a problem."""
    result, acked = found.result, set(found.acks)
    missing, untold = acked - durable, durable - acked
    problems = [*result.problems, *_problems(missing, untold if result.unanswered == 0 else set())]
    return msgspec.structs.replace(
        result,
        lost=result.lost + len(missing),
        problems=problems[:PROBLEMS_MAX],
        problem_count=result.problem_count + len(problems) - len(result.problems),
    )


def _problems(missing: set[Acked], untold: set[Acked]) -> Iterator[str]:
    if missing:
        yield f"{len(missing)} acks are not in PostgreSQL at their roomSeq, such as {min(missing)}"
    if untold:
        yield f"{len(untold)} actions are in PostgreSQL and nobody was acked for them, such as {min(untold)}"
