"""The parts of a room under any sequence of calls, each beside the plainest model of itself: a list, a dict."""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from server.core.gate import Gate
from server.core.history import Change, Emitted, History
from server.core.membership import Membership, Player
from server.core.rate import Bucket
from server.core.seats import Seat, Seats
from server.core.sequence import IntentSequence
from server.core.tokens import Dial, Tokens
from tests.core.parts import Tape

SETTINGS = settings(max_examples=60, stateful_step_count=40, deadline=None)


class AnyGate(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.gate: Gate[int] = Gate()
        self.held: list[tuple[int, int]] = []
        self.room_seq = 0
        self.effects = 0

    @rule(rise=st.integers(0, 3))
    def hold(self, rise: int) -> None:
        self.room_seq += rise
        self.effects += 1
        self.gate.hold(self.room_seq, self.effects)
        self.held.append((self.room_seq, self.effects))

    @rule(durable=st.integers(0, 60))
    def open(self, durable: int) -> None:
        released = [each for each in self.held if each[0] <= durable]
        assert released == self.gate.open(durable)
        self.held = self.held[len(released) :]

    @rule(back=st.integers(0, 6))
    def cut(self, back: int) -> None:
        self.room_seq = max(0, self.room_seq - back)
        gone = [effect for room_seq, effect in self.held if room_seq > self.room_seq]
        assert gone == self.gate.cut(self.room_seq)
        self.held = [each for each in self.held if each[0] <= self.room_seq]

    @invariant()
    def holds_what_is_held(self) -> None:
        assert ([effect for _, effect in self.held], len(self.held)) == (list(self.gate), len(self.gate))


class AnyHistory(RuleBasedStateMachine):
    ENTRIES_MAX, BYTES_MAX = 8, 100

    def __init__(self) -> None:
        super().__init__()
        self.history = History(3, 1, self.ENTRIES_MAX, self.BYTES_MAX)
        self.epoch = 1
        #: By roomSeq, from the base on; only the epoch of the base counts.
        self.changes = [Change(3, 1, None, (), 0)]

    @rule(size_bytes=st.integers(1, 40), has_patch=st.booleans())
    def append(self, size_bytes: int, has_patch: bool) -> None:
        room_seq = self.changes[-1].room_seq + 1
        patch = {"n": room_seq} if has_patch else None
        packed = None if patch is None else msgspec.json.encode(patch)
        change = Change(room_seq, self.epoch, patch, (Emitted(b"%d" % room_seq),), size_bytes, packed)
        self.history.append(change)
        self.changes.append(change)

    @rule()
    def claim(self) -> None:
        self.epoch += 1

    @rule(back=st.integers(0, 4))
    def trim(self, back: int) -> None:
        keep_after = self.changes[-1].room_seq - back
        self.history.trim(keep_after)
        while self.is_too_long and self.changes[0].room_seq < keep_after:
            del self.changes[0]

    @rule(back=st.integers(0, 4))
    def cut(self, back: int) -> None:
        room_seq = max(self.changes[0].room_seq, self.changes[-1].room_seq - back)
        self.history.cut(room_seq)
        self.changes = [change for change in self.changes if change.room_seq <= room_seq]

    @rule(after=st.integers(0, 12), epoch=st.none() | st.integers(1, 4))
    def resume(self, after: int, epoch: int | None) -> None:
        room_seq = self.changes[0].room_seq + after - 1
        found = [change for change in self.changes if change.room_seq == room_seq]
        assert self.history.reaches(room_seq, epoch) is (bool(found) and epoch in (None, found[0].epoch))
        if found:
            missed = [change for change in self.changes if change.room_seq > room_seq]
            assert missed == list(self.history.between(room_seq, self.changes[-1].room_seq))
            patches = [msgspec.json.decode(change.packed) for change in missed if change.packed is not None]
            assert patches[-1:] == self.history.patches(room_seq, self.changes[-1].room_seq)

    @property
    def is_too_long(self) -> bool:
        kept = self.changes[1:]
        return len(kept) > self.ENTRIES_MAX or sum(change.size_bytes for change in kept) > self.BYTES_MAX

    @invariant()
    def goes_from_its_base_to_its_end(self) -> None:
        first, last = self.changes[0], self.changes[-1]
        assert (first.room_seq, last.room_seq) == (self.history.base_seq, self.history.last_seq)
        assert [change.epoch for change in self.changes] == [
            self.history.epoch_at(room_seq) for room_seq in range(first.room_seq, last.room_seq + 1)
        ]


class AnySeats(RuleBasedStateMachine):
    """Sessions that come, drop and return with whichever token they read last; JOIN_ROOM and join byte may be lost."""

    SEATS_MAX = 3
    WHO = st.integers(0, 9)

    def __init__(self) -> None:
        super().__init__()
        self.seats = Seats(self.SEATS_MAX)
        #: By session: the token that its client read last.
        self.tokens: dict[str, bytes] = {}
        self.count = 0

    def one(self, who: int) -> Seat:
        seat = self.seats.get(list(self.tokens)[who % len(self.tokens)])
        assert seat is not None
        return seat

    @precondition(lambda self: not self.seats.is_full)
    @rule()
    def join(self) -> None:
        self.count += 1
        session_id, first = f"s{self.count}", b"token %d" % self.count
        member = Membership(session_id, Player(f"p{self.count % 2}", "", "player"))
        seat = Seat(member, 1, Tokens.issued(first), IntentSequence(4), Bucket(1, 1, 0))
        self.seats.claim(seat)
        seat.connect(Tape(), 1, 0)
        self.tokens[session_id] = first

    @precondition(lambda self: self.tokens)
    @rule(who=WHO, is_read=st.booleans())
    def dial(self, who: int, is_read: bool) -> None:
        seat = self.one(who)
        self.count += 1
        given = b"token %d" % self.count
        was_offered = seat.tokens.is_offered
        outcome = seat.tokens.dial(self.tokens[seat.session_id], given)
        assert outcome is (Dial.BUSY if was_offered else Dial.ACCEPTED), "locked out"
        if outcome is Dial.ACCEPTED:
            seat.connect(Tape(), 1, 0)
            if is_read:
                self.tokens[seat.session_id] = given
                return
            seat.disconnect(9)

    @precondition(lambda self: self.tokens)
    @rule(who=WHO)
    def join_byte(self, who: int) -> None:
        if self.one(who).link is not None:
            self.one(who).tokens.confirm()

    @precondition(lambda self: self.tokens)
    @rule(who=WHO)
    def drop(self, who: int) -> None:
        self.one(who).disconnect(9)

    @precondition(lambda self: self.tokens)
    @rule(who=WHO)
    def leave(self, who: int) -> None:
        seat = self.one(who)
        self.seats.free(seat)
        del self.tokens[seat.session_id]

    @invariant()
    def seats_are_those_of_the_sessions(self) -> None:
        assert list(self.tokens) == [seat.session_id for seat in self.seats]
        assert (len(self.tokens), len(self.tokens) == self.SEATS_MAX) == (len(self.seats), self.seats.is_full)
        assert len(self.tokens) == sum(len(self.seats.of_player(player_id)) for player_id in ("p0", "p1"))

    @invariant()
    def who_has_no_connection_is_held(self) -> None:
        assert all((seat.link is None) is (seat.held_until_ms is not None) for seat in self.seats)

    @invariant()
    def what_was_read_last_counts(self) -> None:
        for seat in self.seats:
            assert self.tokens[seat.session_id] in seat.tokens.counting


TestAnyGate, TestAnyHistory, TestAnySeats = AnyGate.TestCase, AnyHistory.TestCase, AnySeats.TestCase
TestAnyGate.settings = TestAnyHistory.settings = TestAnySeats.settings = SETTINGS
