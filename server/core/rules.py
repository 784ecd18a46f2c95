"""Rules: what the core asks of a game. `rooms.base.Room` is what game developers derive from."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from server.core.forms import Forms
from server.core.handler import Handler
from server.core.interest import Interest
from server.core.reject import Reject
from server.core.state import State
from server.core.step import Step


class Rules(Protocol):
    """
    One room's game. Every method is one synchronous step: it changes `state`, or returns a Reject
    and has changed nothing. A step that raises ends the room as a bug; it is rebuilt from its journal.
    """

    name: ClassVar[str]
    #: Seats of one room.
    max_clients: ClassVar[int]
    takes_characters: ClassVar[bool]
    #: What clients get of the state by where they are in it; None is all of it.
    interest: ClassVar[Interest | None]
    handlers: ClassVar[Mapping[str, Handler]]
    forms: ClassVar[Forms]
    state: State

    def on_create(self, step: Step, options: Mapping[str, Any]) -> None: ...
    def on_join(self, step: Step, options: Mapping[str, Any]) -> Reject | None: ...
    def on_drop(self, step: Step) -> None: ...
    def on_reconnect(self, step: Step) -> None: ...
    def on_leave(self, step: Step) -> None: ...
