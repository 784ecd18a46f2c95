"""
Actions: how a step of a room's rules becomes an action.

    act --the rules agree---> roomSeq, journal entry, place in the history
     |----they refuse-------> their reject; nothing has changed
     `----the step raises---> `bug`: memory may be half changed, so this room ends and is rebuilt

What the step leaves behind is encoded before anything of it counts: a state or an event that cannot
be written is the step's bug, not the writer's.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from contracts.codes import RejectCode
from server.core.handler import Handler
from server.core.history import Change, Emitted
from server.core.journal import CharacterMove, Entry
from server.core.membership import Membership
from server.core.output import Output
from server.core.reject import Reject
from server.core.rules import Rules
from server.core.state import has_changes, take_patch
from server.core.step import Step

if TYPE_CHECKING:
    from random import Random

_json: Final = msgspec.json.Encoder().encode
_NO_EVENTS: Final[tuple[Emitted, ...]] = ()


class Actions:
    def __init__(self, room_id: str, epoch: int, rules: Rules, output: Output) -> None:
        #: To be journaled, in this order.
        self.entries: list[Entry] = []
        #: What a step raised; nothing can be done in this room after it.
        self.bug: Exception | None = None
        self.epoch = epoch
        self._room_id = room_id
        self._rules = rules
        self._output = output

    def step(
        self,
        now_ms: int,
        random: "Random",
        member: Membership | None = None,
        character: dict[str, Any] | None = None,
    ) -> Step:
        """The room's next step, of a session or (None) of its own."""
        room_seq = self._output.applied_seq + 1
        if member is None:
            return Step(room_seq, now_ms, random)
        return Step(room_seq, now_ms, random, member.session_id, member.player, character)

    def act(
        self,
        kind: str,
        step: Step,
        rule: Callable[[Step], Reject | None],
        cause: bytes,
        tokens: bytes | None = None,
        character: Literal["take", "give_back"] | None = None,
    ) -> Reject | None:
        """Make `rule`'s step the room's next action; or why not: the rule's reject, or `internal` and a `bug`."""
        assert self.bug is None, "memory is not what the journal says"
        try:
            return self._done(rule(step), kind, step, cause, None, tokens, character)
        except Exception as error:
            return self._failed(error)

    def answer(self, handler: Handler, step: Step, intent: object, seq: int) -> Reject | None:
        """Likewise, of an intent's step."""
        assert self.bug is None, "memory is not what the journal says"
        cause = _json(intent)
        try:
            return self._done(handler.apply(self._rules, step, intent), handler.kind, step, cause, seq, None, None)
        except Exception as error:
            return self._failed(error)

    def _done(
        self,
        refused: Reject | None,
        kind: str,
        step: Step,
        cause: bytes,
        seq: int | None,
        tokens: bytes | None,
        character: Literal["take", "give_back"] | None,
    ) -> Reject | None:
        """What the rules said of the step; it is the next action if they agree."""
        if refused is not None:
            assert not has_changes(self._rules.state), "a step that rejects changes nothing"
            return refused
        patch = take_patch(self._rules.state)
        events, emitted = None, _NO_EVENTS
        if step.events:
            events, emitted = _json(step.events), tuple([event.emitted() for event in step.events])
        entry = Entry(
            self._room_id,
            step.room_seq,
            self.epoch,
            kind,
            step.now_ms,
            step.session_id or None,
            step.player.player_id or None,
            seq,
            cause,
            None if patch is None else _json(patch),
            events,
            tokens,
            None if character is None else _move(character, step),
        )
        self._output.apply(Change(step.room_seq, self.epoch, patch, emitted, entry.size_bytes, entry.patch))
        self.entries.append(entry)
        return None

    def _failed(self, error: Exception) -> Reject:
        self.bug = error
        return Reject(RejectCode.INTERNAL, "the room failed at this step")


def _move(kind: Literal["take", "give_back"], step: Step) -> CharacterMove:
    if kind == "take" or step.character is None:
        return CharacterMove(kind, step.player.player_id)
    return CharacterMove(kind, step.player.player_id, _json(step.character))
