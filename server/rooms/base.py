"""
What a game developer derives from: a room's rules over its declared state.

    class Tally(State):
        total: int = 0

    class Counter(Room):
        name = "counter"
        state: Tally

        @handles(Add)
        def add(self, step: Step, intent: Add) -> None:
            self.state.total += intent.amount

Every method is one synchronous step. It changes `self.state`, or returns a Reject and has
changed nothing. Clock and chance are `step.now_ms` and `step.random`. Whatever it does is in
PostgreSQL before anyone sees it, and none of it is ever run again: recovery replays patches.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, get_type_hints

from contracts import limits
from contracts.message import Intent
from server.core import permissions
from server.core.forms import Forms
from server.core.handler import Handler
from server.core.interest import Interest
from server.core.reject import Reject
from server.core.state import State, StateError
from server.core.step import Step

Asked = TypeVar("Asked", bound=Intent)
Of = TypeVar("Of", bound="Room")
Answer = Callable[[Of, Step, Asked], Reject | None]


def handles(intent: type[Asked], permission: str = permissions.ACT) -> Callable[[Answer[Of, Asked]], Answer[Of, Asked]]:
    """Marks the method that answers `intent`, asked only of players whose role has `permission`."""

    def mark(method: Answer[Of, Asked]) -> Answer[Of, Asked]:
        method.handler = Handler(intent, permission, method)  # type: ignore[attr-defined]
        return method

    return mark


class Room:
    """The rules of one room. A subclass sets `name`, annotates `state`, and marks its handlers with `handles`."""

    name: ClassVar[str] = ""
    #: Seats of one room.
    max_clients: ClassVar[int] = limits.ROOM_CLIENTS_MAX
    #: Whether players bring their character and take it away again.
    takes_characters: ClassVar[bool] = False
    #: Options by which `join` and `joinOrCreate` tell rooms of this name apart.
    filter_by: ClassVar[tuple[str, ...]] = ()
    #: Clients get the chunks of the state around them, and not all of it.
    interest: ClassVar[Interest | None] = None
    handlers: ClassVar[Mapping[str, Handler]] = {}
    forms: ClassVar[Forms] = Forms(())
    state: State

    def __init_subclass__(cls) -> None:
        own = [value.handler for value in vars(cls).values() if hasattr(value, "handler")]
        cls.handlers = {**cls.handlers, **{handler.kind: handler for handler in own}}
        assert all(cls.handlers), f"{cls.__name__}: an intent needs a TYPE"
        cls.forms = Forms(handler.intent for handler in cls.handlers.values())
        if cls.interest is not None:
            try:
                cls.interest.chart(get_type_hints(cls)["state"])
            except StateError as refused:
                raise StateError(f"{cls.__name__}.interest: {refused}") from None

    def __init__(self) -> None:
        self.state = get_type_hints(type(self))["state"]()

    def on_create(self, step: Step, options: Mapping[str, Any]) -> None:
        """The room begins; `options` are those of the join that created it."""

    def on_join(self, step: Step, options: Mapping[str, Any]) -> Reject | None:
        """A session takes its seat. `step.character` is the player's, if the room takes characters."""

    def on_drop(self, step: Step) -> None:
        """A session's connection was lost; its seat is held."""

    def on_reconnect(self, step: Step) -> None:
        """A session has a connection again."""

    def on_leave(self, step: Step) -> None:
        """A session ends. A room that takes characters sets `step.character` to what goes back to rest."""
