"""
Any history of a room with an area of interest: clients that walk, leap, vanish, come back, stop reading, and things
that are put, replaced, moved and taken, any number of times within one tick.

All that `test_room_histories` holds the server to; but the state that a client has after each frame is the journal's
fold restricted to the client's area there, as said here by itself.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.message import Tree
from server.core.state import plain
from tests.core.meadow import CHUNK, DEEDS, WAYS, Meadow
from tests.core.parts import REFUSED
from tests.core.test_room_histories import STEPS, WHO, Client, History, Steps, go_through, lists_of, rebuilt

DOES = st.one_of(st.sampled_from(sorted(WAYS)), st.integers(len(DEEDS), 2 * len(DEEDS) - 1), st.just(REFUSED))


class Walks(History):
    rules = Meadow

    def seen_by(self, client: Client) -> Tree:
        return within(self.states[client.room_seq], client.session_id)

    def arrive(self, resumes: bool) -> None:
        """Join, all the way to the snapshot."""
        self.join(resumes)
        self.commit()
        self.join_bytes()

    def turn(self, asks: list[tuple[int, int | str]], share: float) -> None:
        """What one tick shows of many things."""
        self.ask(asks)
        self.commit(share)
        self.tick()

    def rebuild_beside(self) -> None:
        """What becomes of sessions is `test_room_histories`' affair; and here rooms are set back."""
        found = rebuilt(self.bench, None, self.bench.journal)
        assert plain(self.bench.room.rules.state) == plain(found.rules.state)

    def rejected(self, client: Client, body: dict[str, Any]) -> None:
        if body["code"] == "not_durable":
            self.settle(client, body["seq"], ("rejected", "not_durable"))
        else:
            super().rejected(client, body)

    def set_back(self) -> None:
        """What is not durable never will be, and the room goes on as its journal has it."""
        durable_seq = self.bench.room.output.durable_seq
        self.snapshots = [snapshot for snapshot in self.snapshots if snapshot.room_seq <= durable_seq]
        self.listen()
        self.bench.stand_still()
        del self.states[durable_seq + 1 :]
        self.bench.recalls.clear()
        for client in self.clients.values():
            # Anyone may be sent a snapshot now.
            client.was_slow = True
            client.awaits_resume = client.awaits_resume or client.is_to_resume
            client.asked_at = {seq: min(at, durable_seq) for seq, at in client.asked_at.items()}
        self.bench.go_on()
        self.listen()
        for tape in [tape for tape in self.open if tape.closed is not None]:
            self.lose(tape)
        self.clients = {
            name: client
            for name, client in self.clients.items()
            if client.token is not None or self.bench.room.seats.get(name) is not None
        }


def within(state: Tree, session_id: str) -> Tree:
    """The state without what is located more than a chunk away from where the session is, or all that if it is not."""
    own = state["walkers"].get(session_id)

    def is_near(entry: dict[str, Any]) -> bool:
        return own is not None and all(abs(entry[axis] // CHUNK - own[axis] // CHUNK) <= 1 for axis in ("posX", "posY"))

    near = {name: {key: each for key, each in state[name].items() if is_near(each)} for name in ("walkers", "stones")}
    return {**state, **near}


ASKS = st.lists(st.tuples(WHO, DOES), min_size=1, max_size=8)
#: Mostly walks; of all the rest what has to do with the state that clients have.
OTHERS = ("join", "join_bytes", "commit", "tick", "wait", "lose_a_socket", "dial", "resume", "fill_a_gap", "leave")
SLOW = ("answer_recalls", "choke", "drain", "come_back", "take_snapshot", "crash", "rebuild_beside")
WALKS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    **{f"turn {n}": st.tuples(ASKS, st.sampled_from([0.5, 1.0, 1.0])) for n in range(12)},
    **{name: STEPS[name] for name in OTHERS + SLOW},
    "ask": st.tuples(ASKS),
    "arrive": st.tuples(st.booleans()),
    "set_back": st.tuples(),
}


@settings(max_examples=300, deadline=None)
@given(lists_of(WALKS))
def test_whatever_happens_each_client_has_the_fold_restricted_to_its_area(steps: Steps) -> None:
    go_through(Walks(), [(name.partition(" ")[0], how) for name, how in steps])
