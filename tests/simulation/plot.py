"""The simulated rooms' game: a yard whose refusals prove themselves."""

from contracts.intents import Add
from server.core.reject import Reject, illegal
from server.core.step import Step
from server.rooms.base import handles
from tests.core.parts import REFUSED, CharacterYard


class Plot(CharacterYard):
    name = "plot"

    @handles(Add)
    def add(self, step: Step, intent: Add) -> Reject | None:
        if intent.amount == REFUSED:
            return illegal(f"at {step.room_seq - 1} the total is {self.state.total}")
        return super().add(step, intent)
