"""
Any history of a room: players who join, play, drop, return, stop reading and leave at random, commits and reads of the
journal that lag or fail, a node that dies.

Each client here believes only what it was sent, like the one in `web-client-types/`, and holds the server to it:

- nothing it hears is of an action that is not yet durable;
- each delta begins where it stands, and leads it to the state that the journal has at that roomSeq;
- it hears every event since its join, in order, each before the delta that covers it;
- a number has one outcome, and an ack is an entry of the journal;
- the token it read last brings it back for as long as its session lives.

And whatever happened, the room rebuilt from its journal is the room.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import msgspec
from hypothesis import given, note, settings
from hypothesis import strategies as st

from contracts.message import Tree
from server.core.journal import Entry
from server.core.link import Stage
from server.core.recovery import Recovery, RoomSnapshot, snapshot_of
from server.core.room import Room
from server.core.seats import Seat
from server.core.sequence import Applied, Look
from server.core.state import apply_in_place, has_changes, plain
from server.core.tokens import Dial
from server.rooms.base import Room as Game
from tests.core.parts import REFUSED, Bench, Tape, Yard, token

NAMES = ("ada", "bob", "cyd", "dee")
#: A journal is folded so many entries at a time.
PAGE_ROWS = 3
#: Rejects that wait for no commit.
AT_ONCE = {"gap", "rate_limited", "terminating"}


class Client:
    """One session as its client knows it."""

    def __init__(self, session_id: str, tape: Tape, resumes: bool) -> None:
        self.session_id = session_id
        self.tape = tape
        self.resumes = resumes
        self.token: bytes | None = None
        self.came_with: list[bytes] = []
        #: Tokens that a join byte has used up, in the life of this node.
        self.used: list[bytes] = []
        self.state: Tree | None = None
        self.room_seq = 0
        self.epoch = 0
        #: Every event accepted, by (roomSeq, n); those of roomSeqs after `complete_after` are all there.
        self.events: list[tuple[int, int]] = []
        self.complete_after = 0
        #: By number: what was asked, where memory stood when this connection first did, and the outcome.
        self.sent: dict[int, dict[str, Any]] = {}
        self.asked_at: dict[int, int] = {}
        self.outcomes: dict[int, tuple[str, object]] = {}
        #: Whether a `session.resume` is unanswered, or what the server does without one.
        self.awaits_resume = False
        #: Whether it has yet to say where it stands.
        self.is_to_resume = False
        #: Whether it is entitled to all events, not only to those after the snapshot it gets next.
        self.is_caught_up = True
        #: Whether it has been slow, so that it may be sent a snapshot at any time.
        self.was_slow = False
        #: Of its connection: whether JOIN_ROOM, and then the handshake, has come.
        self.is_confirmed = False
        self.is_greeted = False

    def connect(self, tape: Tape) -> None:
        self.tape = tape
        self.asked_at.clear()
        self.is_confirmed = self.is_greeted = False

    @property
    def answered_seq(self) -> int:
        return max(self.outcomes, default=0)


class History:
    rules: type[Game] = Yard

    def __init__(self) -> None:
        self.bench = Bench(self.rules(), total=3, history_entries_max=8)
        self.clients: dict[str, Client] = {}
        self.states: list[Tree] = [{}]
        self.snapshots: list[RoomSnapshot] = []
        self.sessions = 0
        self.dials = 0
        #: Sockets that a test has not ended yet.
        self.open: list[Tape] = []
        self.listen()
        for resumes in (True, False):
            self.join(resumes)
            self.commit()
            self.join_bytes()

    # -- what happens -------------------------------------------------------------------------------------------

    def join(self, resumes: bool) -> None:
        if self.bench.room.seats.is_full:
            return
        self.sessions += 1
        name = f"{NAMES[self.sessions % len(NAMES)]}{self.sessions}"
        client = Client(name, self.bench.arrive(name, resumes=resumes), resumes)
        client.complete_after = self.bench.room.room_seq - 1
        self.clients[name] = client
        self.open.append(client.tape)
        self.listen()

    def join_bytes(self) -> None:
        for client in self.clients.values():
            if client.is_confirmed and not client.is_greeted:
                self.bench.answer(client.tape)
        self.listen()

    def ask(self, asks: list[tuple[int, int | str]]) -> None:
        for who, what in asks:
            if client := self.one_of(who, lambda client: client.is_greeted):
                seq = max(client.sent, default=0) + 1
                client.sent[seq] = {"text": what} if isinstance(what, str) else {"amount": what}
                self.transmit(client, seq)

    def ask_again(self, who: int, which: int) -> None:
        if client := self.one_of(who, lambda client: client.is_greeted and client.sent):
            for seq in sorted(client.sent):
                if seq not in client.outcomes or seq > max(client.sent) - which:
                    self.transmit(client, seq)

    def ask_ahead(self, who: int) -> None:
        if client := self.one_of(who, lambda client: client.is_greeted):
            self.bench.add(client.tape, max(client.sent, default=0) + 3)
            self.listen()

    def ask_a_lot(self, who: int) -> None:
        """More than the rate allows."""
        self.ask([(who, 1)] * 45)

    def one_of(self, who: int, able: Callable[[Client], object]) -> Client | None:
        clients = [client for client in self.clients.values() if able(client)]
        return clients[who % len(clients)] if clients else None

    def transmit(self, client: Client, seq: int) -> None:
        body = client.sent[seq]
        client.asked_at.setdefault(seq, self.bench.room.room_seq)
        self.bench.ask(client.tape, "intent.chat" if "text" in body else "intent.add", {"seq": seq, **body})
        self.listen()

    def commit(self, share: float = 1.0) -> None:
        output = self.bench.room.output
        behind = output.applied_seq - output.durable_seq
        self.bench.commit(output.durable_seq + round(behind * share))
        self.listen()

    def tick(self) -> None:
        self.bench.tick()
        self.listen()

    def wait(self, passed_ms: int) -> None:
        self.bench.now_ms += passed_ms
        for client in self.clients.values():
            link = client.tape
            if link.resume_by_ms is not None and link.resume_by_ms <= self.bench.now_ms:
                client.awaits_resume, client.is_to_resume = True, False
        self.bench.sweep()
        self.listen()

    def lose_a_socket(self, which: int) -> None:
        if self.open:
            self.lose(self.open[which % len(self.open)])

    def lose(self, tape: Tape) -> None:
        self.open.remove(tape)
        self.bench.drop(tape)
        tape.closed = tape.closed or 1006
        for client in self.clients.values():
            if client.tape is tape:
                client.is_greeted = client.is_confirmed = False
        self.listen()

    def dial(self, who: int) -> None:
        if not self.able_to_dial:
            return
        client = self.able_to_dial[who % len(self.able_to_dial)]
        self.dials += 1
        dialled = self.bench.dial(client.session_id, client.token or b"", token(f"{client.session_id} {self.dials}"))
        if isinstance(dialled, Tape):
            client.connect(dialled)
            self.open.append(dialled)
        elif dialled is Dial.UNKNOWN:
            assert self.bench.room.seats.get(client.session_id) is None, "locked out"
        self.listen()

    @property
    def able_to_dial(self) -> list[Client]:
        return [client for client in self.clients.values() if client.token is not None]

    def dial_with_a_used_token(self, who: int) -> None:
        if client := self.one_of(who, lambda client: client.used):
            seat = self.bench.room.seats.get(client.session_id)
            offered = seat is not None and seat.tokens.is_offered
            assert offered or Dial.UNKNOWN is self.bench.dial(client.session_id, client.used[-1], token("thief"))

    def resume(self, says_epoch: bool) -> None:
        for client in list(self.clients.values()):
            if client.is_to_resume and not client.awaits_resume:
                self.say_resume(client, client.epoch if says_epoch else None)

    def say_resume(self, client: Client, epoch: int | None) -> None:
        client.awaits_resume = True
        client.is_to_resume = False
        self.bench.resume(client.tape, client.room_seq, epoch, client.answered_seq)
        self.listen()

    def fill_a_gap(self, who: int) -> None:
        """Asked for while live, where nothing is missing but what the server has not sent yet."""
        stages = (Stage.LIVE, Stage.LAGGING)
        if client := self.one_of(who, lambda client: client.tape.stage in stages and not client.awaits_resume):
            self.say_resume(client, client.epoch)

    def resume_again(self, who: int) -> None:
        """Before the first is answered."""
        if client := self.one_of(who, lambda client: client.tape in self.open and client.awaits_resume):
            self.say_resume(client, client.epoch)

    def answer_recalls(self, is_had: bool) -> None:
        for question in list(self.bench.recalls):
            self.bench.recalls.remove(question)
            if is_had:
                self.bench.recall(question)
            else:
                self.bench.room.recalled(question, None, self.bench.now_ms)
                self.bench.settle()
        self.listen()

    def choke(self, who: int) -> None:
        if client := self.one_of(who, lambda client: client.tape in self.open):
            client.was_slow = True
            self.bench.choke(client.tape)
            self.listen()

    def drain(self, who: int) -> None:
        if client := self.one_of(who, lambda client: client.tape.drain_by_ms is not None):
            self.bench.drain(client.tape)
            self.listen()

    def come_back(self, who: int, misses: int, share: float) -> None:
        """The whole way of a return, with something to miss."""
        client = self.one_of(who, lambda client: client.tape in self.open)
        if client is None:
            return
        self.lose(client.tape)
        self.play(who + 1, misses)
        self.dial(self.able_to_dial.index(client) if client.token is not None else 0)
        self.commit()
        self.join_bytes()
        self.play(who, misses)
        if client.is_to_resume:
            self.say_resume(client, client.epoch)
        self.commit(share)

    def play(self, who: int, actions: int) -> None:
        for action in range(actions):
            self.ask([(who + action, 2), (who, "line")])
        self.commit()
        self.tick()

    def leave(self, who: int) -> None:
        if len(seats := list(self.bench.room.seats)) > 1:
            self.bench.leave(seats[who % len(seats)].session_id)
            self.listen()

    def take_snapshot(self) -> None:
        self.snapshots.append(snapshot_of(self.bench.room, self.bench.now_ms))
        del self.snapshots[:-3]

    def crash(self, which: int, lost_ms: int) -> None:
        """Every socket ends, what was not durable never was, and another node takes over."""
        durable_seq = self.bench.room.output.durable_seq
        self.bench.now_ms += lost_ms
        written = [None, *(snapshot for snapshot in self.snapshots if snapshot.room_seq <= durable_seq)]
        snapshot = written[which % len(written)]
        self.snapshots = [] if snapshot is None else [snapshot]
        self.bench = self.bench.take_over(snapshot)
        del self.states[durable_seq + 1 :]
        for client in self.clients.values():
            client.tape.closed, client.tape.stage = client.tape.closed or 1006, Stage.CLOSED
            client.is_confirmed = client.is_greeted = False
            client.used.clear()
        self.open.clear()
        self.bench.recalls.clear()
        self.bench.room.drop_unconnected(self.bench.now_ms, self.bench.random)
        self.bench.settle()
        self.clients = {
            name: client for name, client in self.clients.items() if self.bench.room.seats.get(name) or client.token
        }
        self.listen()

    # -- what every client holds the server to ------------------------------------------------------------------

    def listen(self) -> None:
        journal, room = self.bench.journal, self.bench.room
        for entry in journal[len(self.states) - 1 :]:
            state = deepcopy(self.states[-1])
            if entry.patch is not None:
                apply_in_place(state, msgspec.json.decode(entry.patch))
            self.states.append(state)
        for question in self.bench.look_ups:
            found = [e.room_seq for e in journal if (e.session_id, e.seq) == (question.session_id, question.seq)]
            durable = [room_seq for room_seq in found if room_seq <= room.output.durable_seq]
            assert found == durable, "looked up too early"
            room.looked_up(question.link, question.seq, durable[0] if durable else None, question.request_id)
        if self.bench.look_ups:
            self.bench.look_ups.clear()
            self.bench.settle()
        for client in self.clients.values():
            for kind, body in client.tape.take():
                note(f"{client.session_id} <- {kind} {body}")
                self.heard(client, kind, body)

    def heard(self, client: Client, kind: str, body: Any) -> None:
        durable_seq = self.bench.room.output.durable_seq
        if kind == "JOIN_ROOM":
            client.came_with = [] if client.token is None else [client.token]
            client.token = body
            client.is_confirmed = True
            return
        assert client.is_confirmed or kind == "event.session", "JOIN_ROOM comes first"
        assert body.get("roomSeq", 0) <= durable_seq, "durable before visible"
        match kind, body.get("kind"):
            case "event.ack", "handshake":
                self.greeted(client, body)
            case "event.ack", "resume":
                assert client.awaits_resume
                client.awaits_resume = False
                client.is_caught_up = body["recovered"]
            case "event.state_delta", "snapshot":
                client.state, client.room_seq, client.epoch = body["state"], body["roomSeq"], body["epoch"]
                assert self.seen_by(client) == client.state
                if not client.is_caught_up or client.was_slow:
                    client.complete_after = client.room_seq
                # Who takes long to send its join byte is told what memory still has.
                began = min(client.room_seq, self.bench.room.output.history.base_seq)
                client.complete_after = max(client.complete_after, began)
            case "event.state_delta", "delta":
                self.advanced(client, body)
            case "event.ack", "intent":
                self.acked(client, body)
            case "event.reject", _:
                self.rejected(client, body)
            case (("event.chat" | "yard.hello"), _):
                if (body["roomSeq"], body["n"]) > max(client.events, default=(0, 0)):
                    client.events.append((body["roomSeq"], body["n"]))

    def greeted(self, client: Client, body: dict[str, Any]) -> None:
        client.is_greeted = True
        client.awaits_resume = False
        is_return = bool(client.came_with)
        client.is_to_resume = is_return and client.resumes
        client.is_caught_up = not is_return
        client.used += client.came_with
        forgotten = [outcome for seq, outcome in client.outcomes.items() if seq > body["lastSeq"]]
        assert not [outcome for outcome in forgotten if outcome[0] == "applied"], "acked, and not there"
        if not client.resumes:
            for kept in (client.outcomes, client.sent):
                for seq in [seq for seq in kept if seq > body["lastSeq"]]:
                    del kept[seq]

    def advanced(self, client: Client, body: dict[str, Any]) -> None:
        assert client.state is not None
        assert client.room_seq == body["baseSeq"], "a delta begins where the client stands"
        for patch in body["patches"]:
            apply_in_place(client.state, patch)
        client.room_seq, client.epoch = body["roomSeq"], body["epoch"]
        assert self.seen_by(client) == client.state
        assert self.bench.journal[client.room_seq - 1].epoch == client.epoch
        told = [at for at in client.events if client.complete_after < at[0] <= client.room_seq]
        assert self.events_for(client) == told, "an event goes before the delta that covers it"

    def seen_by(self, client: Client) -> Tree:
        """The state that a client is to have where it stands."""
        return self.states[client.room_seq]

    def events_for(self, client: Client) -> list[tuple[int, int]]:
        return [
            (entry.room_seq, n)
            for entry in self.bench.journal[client.complete_after : client.room_seq]
            for n, event in enumerate(msgspec.json.decode(entry.events or b"[]"))
            if event["to"] is None or client.session_id in event["to"]
        ]

    def acked(self, client: Client, body: dict[str, Any]) -> None:
        entry = self.bench.journal[body["roomSeq"] - 1]
        assert (client.session_id, body["seq"]) == (entry.session_id, entry.seq)
        self.settle(client, body["seq"], ("applied", body["roomSeq"]))

    def rejected(self, client: Client, body: dict[str, Any]) -> None:
        seq, code = body["seq"], body["code"]
        if code in AT_ONCE:
            if code == "rate_limited":
                self.settle(client, seq, ("rejected", code))
            return
        assert client.asked_at[seq] <= self.bench.room.output.durable_seq, "a reject rests on the state"
        self.settle(client, seq, ("rejected", code))

    def settle(self, client: Client, seq: int, outcome: tuple[str, object]) -> None:
        known = client.outcomes.setdefault(seq, outcome)
        assert known == outcome or "not_durable" in (known[1], outcome[1]), "one outcome"
        assert known[0] == outcome[0], "one outcome"

    # -- what always holds --------------------------------------------------------------------------------------

    def check_journal(self) -> None:
        bench = self.bench
        assert list(range(1, bench.room.room_seq + 1)) == [entry.room_seq for entry in bench.journal]
        numbers = [(entry.session_id, entry.seq) for entry in bench.journal if entry.seq is not None]
        assert len(numbers) == len(set(numbers)), "each number has at most one effect"
        assert self.states[-1] == plain(bench.room.rules.state)
        assert not bench.room.is_broken

    def rebuild_beside(self) -> None:
        """From nothing and from any snapshot, the journal leads to the room as it is."""
        for snapshot in (None, *self.snapshots):
            after = snapshot.room_seq if snapshot is not None else 0
            assert_equal_rooms(self.bench.room, rebuilt(self.bench, snapshot, self.bench.journal[after:]))
        snapshot = snapshot_of(self.bench.room, 0)
        assert snapshot == snapshot_of(rebuilt(self.bench, snapshot, []), 0)


def rebuilt(bench: Bench, snapshot: RoomSnapshot | None, entries: list[Entry]) -> Room:
    recovery = Recovery("r1", 99, type(bench.room.rules)(), bench.limits, snapshot, bench.now_ms)
    for start in range(0, len(entries), PAGE_ROWS):
        recovery.fold(entries[start : start + PAGE_ROWS])
    return recovery.room()


def assert_equal_rooms(live: Room, found: Room) -> None:
    assert plain(live.rules.state) == plain(found.rules.state)
    assert not has_changes(found.rules.state)
    assert live.room_seq == found.room_seq == found.output.durable_seq
    assert live.output.history.epoch_at(live.room_seq) == found.output.history.epoch_at(live.room_seq)
    assert {seat.session_id for seat in live.seats} == {seat.session_id for seat in found.seats}
    for seat in live.seats:
        again = found.seats.get(seat.session_id)
        assert again is not None
        assert_equal_seats(seat, again)


def assert_equal_seats(live: Seat, found: Seat) -> None:
    assert (live.member, live.joined_seq) == (found.member, found.joined_seq)
    assert live.held_until_ms == found.held_until_ms
    # A join byte is no entry: until the next drop, the token that it used up counts again after a crash.
    assert set(live.tokens.counting) <= set(found.tokens.counting)
    assert live.link is not None or live.tokens.counting == found.tokens.counting
    # Rejects are in snapshots only.
    assert found.sequence.last <= live.sequence.last
    for seq in range(1, live.sequence.last + 1):
        outcome = live.sequence.look(seq)
        looked = found.sequence.look(seq)
        if isinstance(outcome, Applied):
            assert looked in (outcome, Look.FORGOTTEN)
        elif not isinstance(outcome, Look) and not isinstance(looked, Look):
            assert not isinstance(looked, Applied)
            assert outcome.code == looked.code


Steps = list[tuple[str, tuple[Any, ...]]]
WHO = st.integers(0, 11)
WHAT = st.sampled_from([1, 2, 3, REFUSED, 0, "line"])
#: What may happen, by the name of its method, and how.
STEPS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "join": st.tuples(st.booleans()),
    "join_bytes": st.tuples(),
    "ask": st.tuples(st.lists(st.tuples(WHO, WHAT), min_size=1, max_size=5)),
    "ask_again": st.tuples(WHO, st.integers(1, 5)),
    "ask_ahead": st.tuples(WHO),
    "ask_a_lot": st.tuples(WHO),
    "commit": st.tuples(st.sampled_from([0.3, 0.7, 1.0, 1.0])),
    "tick": st.tuples(),
    "wait": st.tuples(st.sampled_from([10, 300, 2_500, 61_000])),
    "lose_a_socket": st.tuples(WHO),
    "dial": st.tuples(WHO),
    "dial_with_a_used_token": st.tuples(WHO),
    "resume": st.tuples(st.booleans()),
    "fill_a_gap": st.tuples(WHO),
    "resume_again": st.tuples(WHO),
    "answer_recalls": st.tuples(st.sampled_from([True, True, False])),
    "choke": st.tuples(WHO),
    "drain": st.tuples(WHO),
    "come_back": st.tuples(WHO, st.integers(0, 3), st.sampled_from([0.5, 1.0])),
    "play": st.tuples(WHO, st.integers(1, 4)),
    "leave": st.tuples(WHO),
    "take_snapshot": st.tuples(),
    "crash": st.tuples(WHO, st.sampled_from([0, 1_000, 70_000])),
    "rebuild_beside": st.tuples(),
}


def lists_of(steps: dict[str, st.SearchStrategy[tuple[Any, ...]]]) -> st.SearchStrategy[Steps]:
    return st.lists(st.one_of([st.tuples(st.just(name), how) for name, how in steps.items()]), min_size=20, max_size=80)


@settings(max_examples=250, deadline=None)
@given(lists_of(STEPS))
def test_whatever_happens_clients_and_journal_agree(steps: Steps) -> None:
    go_through(History(), steps)


def go_through(history: History, steps: Steps) -> None:
    for name, how in steps:
        getattr(history, name)(*how)
        history.check_journal()
    history.commit()
    history.rebuild_beside()
