"""Games for tests of the server: one for two, one that nobody opens, one whose steps may raise, and a loud one."""

from collections.abc import Mapping
from typing import Any

from contracts.intents import Add
from server.core.state import State
from server.core.step import Step
from server.rooms.base import Room, handles


class Sum(State):
    total: int = 0


class Duet(Room):
    name = "duet"
    max_clients = 2
    state: Sum

    @handles(Add)
    def add(self, step: Step, intent: Add) -> None:
        self.state.total += intent.amount


class Nowhere(Duet):
    """No test may make one."""

    name = "nowhere"


class Fragile(Room):
    """Raises when 13 is added, when created with `broken`, and at a join with `clumsy`."""

    name = "fragile"
    state: Sum

    def on_create(self, step: Step, options: Mapping[str, Any]) -> None:
        if options.get("broken"):
            raise RuntimeError("made to fail at its creation")

    def on_join(self, step: Step, options: Mapping[str, Any]) -> None:
        if options.get("clumsy"):
            raise RuntimeError("made to fail at a join")

    @handles(Add)
    def add(self, step: Step, intent: Add) -> None:
        self.state.total += intent.amount
        step.chat(f"now {self.state.total}")
        if intent.amount == 13:
            raise RuntimeError("made to fail at 13")


class Loud(Room):
    """Answers each addition with a line of as many KiB to everyone."""

    name = "loud"
    state: Sum

    @handles(Add)
    def add(self, step: Step, intent: Add) -> None:
        self.state.total += intent.amount
        step.chat("!" * 1024 * intent.amount)
