"""The smallest room: players add to one total, and all see who added last."""

from contracts.intents import Add
from server.core.state import Map, State, Volatile
from server.core.step import Step
from server.rooms.base import Room, handles


class Tally(State):
    total: int = 0
    added: Map[int]
    last: Volatile[str] = ""


class Counter(Room):
    name = "counter"
    state: Tally

    @handles(Add)
    def add(self, step: Step, intent: Add) -> None:
        name = step.player.name
        self.state.total += intent.amount
        self.state.added[name] = self.state.added.get(name, 0) + intent.amount
        self.state.last = name
