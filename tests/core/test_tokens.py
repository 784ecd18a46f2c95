"""
Tokens: whoever has the newest one that the server gave and the client read comes back; nobody else does.
"""

import gc

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.limits import TOKENS_MAX
from server.core.tokens import Dial, Tokens


def setup_module() -> None:
    """CPython 3.11 may fail to parse source (`SystemError`) while finalizers run, and Hypothesis parses this."""
    gc.collect()


def test_a_first_connection_is_awaited_before_its_token_counts() -> None:
    tokens = Tokens.issued(b"a")
    assert Dial.BUSY is tokens.dial(b"a", b"b")
    tokens.confirm()
    assert Dial.ACCEPTED is tokens.dial(b"a", b"b")


def test_a_used_token_dies_with_the_join_byte() -> None:
    tokens = Tokens(b"a")
    assert Dial.ACCEPTED is tokens.dial(b"a", b"b")
    tokens.confirm()
    assert (b"b",) == tokens.counting
    assert Dial.UNKNOWN is tokens.dial(b"a", b"c")


def test_without_the_join_byte_both_count_until_one_is_used() -> None:
    for used in (b"a", b"b"):
        tokens = Tokens(b"a")
        tokens.dial(b"a", b"b")
        tokens.lapse()
        assert (b"a", b"b") == tokens.counting
        assert Dial.ACCEPTED is tokens.dial(used, b"c")
        assert (used, b"c") == tokens.counting
        tokens.confirm()
        assert (b"c",) == tokens.counting


def test_while_one_connection_is_awaited_others_are_told_to_try_again() -> None:
    tokens = Tokens(b"a")
    tokens.dial(b"a", b"b")
    assert [Dial.BUSY] * 99 == [tokens.dial(b"a", bytes([n])) for n in range(99)]
    assert Dial.BUSY is tokens.dial(b"b", b"c")
    assert Dial.UNKNOWN is tokens.dial(b"x", b"c")
    assert (b"a", b"b") == tokens.counting


def test_a_lapse_with_nobody_awaited_changes_nothing() -> None:
    tokens = Tokens(b"a")
    tokens.lapse()
    assert (b"a",) == tokens.counting
    assert not tokens.is_offered


class Rotation(RuleBasedStateMachine):
    """
    One client with the token it last read, a wire that loses JOIN_ROOM, join bytes and closes, and a thief who
    keeps every token ever read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given = 0
        self.tokens = Tokens.issued(self._new())
        self.has = b"0"
        self.read = [b"0"]
        self.used: set[bytes] = set()
        self.came_with: bytes | None = None
        self.offered: bytes | None = b"0"

    def _new(self) -> bytes:
        token, self.given = str(self.given).encode(), self.given + 1
        return token

    @precondition(lambda self: self.offered is None)
    @rule()
    def dial(self) -> None:
        given = self._new()
        assert Dial.ACCEPTED is self.tokens.dial(self.has, given), "locked out"
        self.came_with, self.offered = self.has, given

    @precondition(lambda self: self.offered is not None)
    @rule(is_byte_lost=st.booleans())
    def read_join_room(self, is_byte_lost: bool) -> None:
        assert self.offered is not None
        self.has = self.offered
        self.read.append(self.has)
        if is_byte_lost:
            self.tokens.lapse()
        else:
            self.tokens.confirm()
            self.used |= {self.came_with} if self.came_with is not None else set()
        self.came_with = self.offered = None

    @precondition(lambda self: self.offered not in (None, b"0"))
    @rule()
    def lose_join_room(self) -> None:
        self.tokens.lapse()
        self.came_with = self.offered = None

    @precondition(lambda self: self.offered is not None)
    @rule()
    def dial_again_too_early(self) -> None:
        assert Dial.BUSY is self.tokens.dial(self.has, b"early")

    @rule()
    def recover(self) -> None:
        """From the journal's two hashes; whoever was awaited is gone."""
        self.tokens = Tokens(*self.tokens.counting)
        self.came_with = self.offered = None

    @invariant()
    def what_was_used_never_counts(self) -> None:
        assert not self.used.intersection(self.tokens.counting)

    @invariant()
    def at_most_two_count_and_the_clients_is_one(self) -> None:
        assert 1 <= len(self.tokens.counting) <= TOKENS_MAX
        assert self.has in self.tokens.counting


TestRotation = Rotation.TestCase
TestRotation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
