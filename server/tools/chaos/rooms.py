"""Rooms that misbehave when asked to, for scenarios about bugs in a game."""

import time

from contracts.intents import Add
from server.core.step import Step
from server.rooms.base import handles
from server.rooms.counter import Counter

#: An addition of this much blocks the event loop, and one of that much raises.
BLOCKS, RAISES = 99, 98
BLOCKED_S = 5.0


class Stumbling(Counter):
    name = "stumbling"

    @handles(Add)
    def add(self, step: Step, intent: Add) -> None:
        self.state.total += intent.amount
        if intent.amount == BLOCKS:
            time.sleep(BLOCKED_S)
        if intent.amount == RAISES:
            raise RuntimeError("made to fail")
