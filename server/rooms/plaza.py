"""
A plaza: a wide field without walls, on which a thousand players walk.

A client gets the players in the chunks around its own, and nothing of the others.
"""

from collections.abc import Mapping
from typing import Any, Final

from contracts.intents import Chat, Move
from server.core import permissions
from server.core.interest import Interest
from server.core.state import Map, State
from server.core.step import Step
from server.rooms.base import Room, handles

#: Tiles along each side.
SIZE: Final = 256


class Walker(State):
    name: str
    x: int
    y: int
    connected: bool = True


class Field(State):
    width: int = SIZE
    height: int = SIZE
    players: Map[Walker]


class Plaza(Room):
    name = "plaza"
    max_clients = 1_000
    state: Field
    interest = Interest("players", chunk=16, reach=1)

    def on_join(self, step: Step, options: Mapping[str, Any]) -> None:
        x, y = step.random.randrange(SIZE), step.random.randrange(SIZE)
        self.state.players[step.session_id] = Walker(name=step.player.name, x=x, y=y)

    def on_drop(self, step: Step) -> None:
        self.state.players[step.session_id].connected = False

    def on_reconnect(self, step: Step) -> None:
        self.state.players[step.session_id].connected = True

    def on_leave(self, step: Step) -> None:
        del self.state.players[step.session_id]

    @handles(Move)
    def move(self, step: Step, intent: Move) -> None:
        """A step over the edge ends on it."""
        own = self.state.players[step.session_id]
        own.x = min(max(own.x + intent.dx, 0), SIZE - 1)
        own.y = min(max(own.y + intent.dy, 0), SIZE - 1)

    @handles(Chat, permissions.CHAT)
    def chat(self, step: Step, intent: Chat) -> None:
        step.chat(intent.text)
