"""Handler: how a room answers one type of intent. Apart from `rules`, which is not compiled."""

from collections.abc import Callable
from typing import Any, Final

from contracts.message import Intent
from server.core.reject import Reject
from server.core.step import Step

Answer = Callable[[Any, Step, Any], Reject | None]


class Handler:
    __slots__ = ("apply", "intent", "kind", "permission")

    def __init__(self, intent: type[Intent], permission: str, apply: Answer) -> None:
        self.intent: Final = intent
        #: Of its entries.
        self.kind: Final = intent.TYPE
        self.permission: Final = permission
        #: Of the rules, which are its first argument.
        self.apply: Final = apply
