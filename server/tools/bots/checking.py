"""
Checking: at the end, when all is answered and shown, whether the bots' states are the server's.

Bots that were led to one state by the same frames share it, so one look at the server's serves all of them: nearly
always one for each room. And in that state must be what each bot's acked intents have done.
"""

import asyncio
import time
from collections.abc import Sequence

from server.tools.bots.bot import Bot
from server.tools.bots.dialect import Busy, Dialect, Refused
from server.tools.bots.room import Stand
from server.tools.bots.tally import Tally

#: Looks under way.
LOOKS_AT_ONCE = 16
#: At one state, each through another of its bots.
LOOKS_MAX = 5
#: For what is on its way.
ARRIVES_S = 2.0
_AGAIN_S = 0.02


async def check(bots: Sequence[Bot], dialect: Dialect, tally: Tally) -> None:
    """Count what is lost and who has diverged. The bots must be at rest."""
    by_stand: dict[Stand, list[Bot]] = {}
    for bot in bots:
        if bot.is_live:
            by_stand.setdefault(bot.stand, []).append(bot)
        else:
            tally.wrong(f"{bot}: not connected at the end, so not checked ({bot.ended or 'it was on its way back'})")
    looks = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def check_one(group: list[Bot]) -> None:
        async with looks:
            await _compare(group, dialect, tally)
        _find_lost(group, dialect, tally)

    await asyncio.gather(*map(check_one, by_stand.values()))


async def _compare(group: list[Bot], dialect: Dialect, tally: Tally) -> None:
    why = "its room did not come to rest"
    for attempt in range(LOOKS_MAX):
        try:
            async with dialect.fresh(group[attempt % len(group)]) as fresh:
                unequal = await _unequal(group, fresh)
        except (OSError, Busy, Refused) as problem:
            why = f"the server gave no state to compare with: {problem or type(problem).__name__}"
            continue
        # Who stands elsewhere has missed something, or is ahead of an old look.
        if all(bot.stand.room_seq == fresh.room_seq for bot in unequal):
            for bot in unequal:
                tally.diverged += 1
                tally.wrong(f"{bot}: at roomSeq {fresh.room_seq} its state is not the server's")
            return
    tally.wrong(f"{group[0]} and {len(group) - 1} who stand there: not compared, for {why}")


async def _unequal(group: Sequence[Bot], fresh: Stand) -> list[Bot]:
    """Those whose state does not become this one."""
    deadline = time.perf_counter() + ARRIVES_S
    compared: dict[Stand, bool] = {}
    while True:
        for stand in {bot.stand for bot in group} - compared.keys():
            compared[stand] = stand.room_seq == fresh.room_seq and stand.state == fresh.state
        unequal = [bot for bot in group if not compared[bot.stand]]
        if not unequal or time.perf_counter() > deadline:
            return unequal
        await asyncio.sleep(_AGAIN_S)


def _find_lost(group: Sequence[Bot], dialect: Dialect, tally: Tally) -> None:
    state = dialect.plain(group[0].stand.state)
    for bot in group:
        missing = bot.course.missing(state, bot.session_id)
        if missing:
            tally.lost += missing
            tally.wrong(f"{bot}: the state at the end is {missing} off what its acked intents come to")
        if 0 <= bot.stand.room_seq < bot.room.acked_to:
            tally.lost += 1
            tally.wrong(f"{bot}: stands at {bot.stand.room_seq}, though roomSeq {bot.room.acked_to} was acked")
