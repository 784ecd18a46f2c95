"""
Joining: how the bots get in, and back in.

The rooms are made first, each by the bot that is its first, so their number is exact. The others join them by id, in
turns, a bounded number at once. Whoever is told to wait waits, and asks again. A bot whose connection is lost dials
again as the SDK does: after 0.2, 0.4, 0.8 ... 5 seconds, fifteen times in all.
"""

import asyncio
from collections.abc import Sequence
from random import Random

from server.runtime.tasks import Tasks
from server.tools.bots.bot import Bot
from server.tools.bots.courses import COURSES
from server.tools.bots.dialect import Busy, Dialect, Refused
from server.tools.bots.line import Closed, Line, dial
from server.tools.bots.result import Plan
from server.tools.bots.room import Room
from server.tools.bots.tally import Tally
from server.tools.wire import REDIALLED

#: Joins under way.
JOINS_AT_ONCE = 32
#: Of one join; between two it waits as long as the server says, or this, doubling.
TRIES_MAX = 8
TRY_AGAIN_S = 0.2
#: Of one bot whose connection was lost.
DIALS_MAX = 15
DIAL_AGAIN_S = 0.1, 5.0


class Joiner:
    def __init__(self, plan: Plan, dialect: Dialect, tally: Tally, tasks: Tasks, is_over: asyncio.Event) -> None:
        self.rooms: list[Room] = []
        #: In an order that has nothing to do with their rooms, but, once all are in, always the same.
        self.bots: list[Bot] = []
        self._plan = plan
        self._dialect = dialect
        self._tally = tally
        self._tasks = tasks
        self._random = Random(plan.seed)
        self._is_over = is_over
        self._lines: dict[Bot, Line] = {}
        self._coming_back: set[Bot] = set()
        self._dials = asyncio.Semaphore(JOINS_AT_ONCE)

    async def join_all(self) -> None:
        """As many rooms and bots as planned, or fewer once the run is over. Raises Refused for one that is kept out."""
        plan = self._plan
        founders = await self._join_each([None] * plan.rooms)
        self.rooms = [bot.room for bot in founders]
        if self._is_over.is_set():
            return
        others = [self.rooms[number % plan.rooms] for number in range(plan.rooms, plan.clients)]
        self.bots[:] = founders + await self._join_each(others)
        self._random.shuffle(self.bots)

    async def leave_all(self) -> None:
        """All at once; those that the server does not close are cut."""
        for bot in self.bots:
            bot.leave()
        await asyncio.gather(*(line.ended() for line in self._lines.values()))

    async def _join_each(self, rooms: Sequence[Room | None]) -> list[Bot]:
        """One bot into each, in this order; None is a new room."""
        waiting = iter(list(enumerate(rooms)))
        joined: dict[int, Bot] = {}

        async def join_some() -> None:
            for place, room in waiting:
                if self._is_over.is_set():
                    return
                joined[place] = await self._join(room)
                self.bots.append(joined[place])

        await asyncio.gather(*(join_some() for _ in range(min(JOINS_AT_ONCE, len(rooms)))))
        return [joined[place] for place in sorted(joined)]

    async def _join(self, room: Room | None) -> Bot:
        for attempt in range(TRIES_MAX):
            try:
                return await self._join_once(room)
            except (OSError, Busy) as problem:
                if attempt == TRIES_MAX - 1:
                    raise Refused(f"a bot did not get in by {TRIES_MAX} tries, the last: {problem}") from problem
                self._tally.errors["joins that had to wait"] += 1
                pause_s = problem.after_s if isinstance(problem, Busy) else TRY_AGAIN_S * 2**attempt
                await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.5))
        raise AssertionError("the last attempt ends or raises")

    async def _join_once(self, room: Room | None) -> Bot:
        plan = self._plan
        seat = await self._dialect.seat(plan.room, None if room is None else room.room_id)
        room = room or Room(seat.room_id, self._tally)
        course = COURSES[plan.room](Random(self._random.getrandbits(64)))
        period_s = 1 / plan.rate_hz if plan.model == "closed" and plan.rate_hz else None
        bot = Bot(room, seat, self._dialect, course, self._tally, period_s)
        self._lines[bot] = await dial(bot, self._dialect, self._tally)
        room.bots.append(bot)
        bot.on_drop = self._dropped
        return bot

    # -- coming back --------------------------------------------------------------------------------------------------

    def _dropped(self, bot: Bot) -> None:
        # Lost again before its dialler knew that it was live: that one goes on dialling.
        if bot not in self._coming_back:
            self._coming_back.add(bot)
            self._tasks.start(self._come_back(bot), f"dial again: {bot}")

    async def _come_back(self, bot: Bot) -> None:
        try:
            await self._dial_again(bot)
        finally:
            self._coming_back.discard(bot)

    async def _dial_again(self, bot: Bot) -> None:
        shortest_s, longest_s = DIAL_AGAIN_S
        for attempt in range(1, DIALS_MAX + 1):
            await asyncio.sleep(min(longest_s, shortest_s * 2**attempt) * self._random.uniform(0.75, 1.25))
            if bot.is_leaving or bot.ended is not None:
                return
            try:
                async with self._dials:
                    self._lines[bot] = await dial(bot, self._dialect, self._tally)
                return
            except Closed as closed:
                if closed.code not in REDIALLED and bot.ended is None:
                    self._tally.errors[f"closed {closed.code} instead of let in again"] += 1
                    bot.end(str(closed))
                    return
            except (OSError, Busy, Refused):
                continue
        self._tally.errors["never let in again"] += 1
        bot.end(f"was not let in again by {DIALS_MAX} dials")
