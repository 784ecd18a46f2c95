"""The smallest room: players add to one total, and all see how much each of them added, and who did last."""

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
        self.state.total += intent.amount
        self.state.added[step.session_id] = self.state.added.get(step.session_id, 0) + intent.amount
        self.state.last = step.player.name

    def on_leave(self, step: Step) -> None:
        self.state.added.pop(step.session_id, None)
