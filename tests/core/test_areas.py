"""Facts about areas of interest: who is sent what, and how often it is encoded."""

import sys
from types import FrameType
from typing import Any

import pytest

from contracts.message import Tree
from server import is_compiled
from server.core.colyseus.pack import pack
from server.core.effects import Send
from server.core.interest import Interest
from server.core.state import Grid, Map, State, StateError, Volatile, plain
from server.rooms.base import Room
from tests.core.meadow import CHUNK, Ground, Meadow
from tests.core.parts import UNPACED, Bench, Tape

#: Amounts that lead somewhere, or nowhere.
RIGHT, LEFT, LEAP, VANISH = 1, 2, 9, 16


def meadow() -> Bench:
    return Bench(Meadow())


def stand(bench: Bench, session_id: str, x: int, y: int = 0) -> Tape:
    """A live session whose walker is there, and which has heard all."""
    tape = bench.join(session_id, at=(x, y))
    tape.take()
    return tape


def told(tape: Tape) -> list[Tree]:
    """The patches of the one delta that came, which is all that came but answers."""
    ((_, body),) = [(kind, body) for kind, body in tape.take() if kind == "event.state_delta"]
    patches: list[Tree] = body["patches"]
    return patches


def walk(bench: Bench, tape: Tape, *ways: int) -> None:
    for way in ways:
        bench.add(tape, bench.seat(tape.seat.session_id).sequence.last + 1 if tape.seat else 1, way)
    bench.commit()
    bench.tick()


def test_a_snapshot_holds_what_is_near_and_all_that_is_nowhere() -> None:
    bench = meadow()
    for session_id, x in (("near", CHUNK), ("far", 3 * CHUNK)):
        stand(bench, session_id, x)
    ada = bench.join("ada", at=(0, 0))
    (state,) = [body["state"] for _, body in ada.take() if isinstance(body, dict) and body.get("kind") == "snapshot"]
    assert {"near", "ada"} == set(state["walkers"])
    assert {"total": 0, "stones": {}, "notes": {}} == {key: state[key] for key in ("total", "stones", "notes")}


def test_a_step_is_told_to_those_who_see_it_and_the_others_hear_only_that_time_went_on() -> None:
    bench = meadow()
    ada, ben, far = stand(bench, "ada", 0), stand(bench, "ben", CHUNK), stand(bench, "far", 40)
    for tape in (ada, ben):
        tape.take()
    walk(bench, ada, RIGHT)
    patch = {"walkers": {"ada": {"posX": 3}}}
    assert ([patch], [patch], []) == (told(ada), told(ben), told(far))


def test_who_walks_out_of_sight_is_removed_and_who_walks_in_comes_whole() -> None:
    bench = meadow()
    left, right = stand(bench, "left", 0), stand(bench, "right", 3 * CHUNK)
    walker = stand(bench, "walker", 2 * CHUNK - 1)
    for tape in (left, right):
        tape.take()
    walk(bench, walker, RIGHT)
    state = plain(bench.room.rules.state)["walkers"]
    assert [{"walkers": {"walker": None}}] == told(left)
    assert [{"walkers": {"walker": state["walker"]}}] == told(right)
    step = {"walkers": {"walker": {"posX": 2 * CHUNK + 2}}}
    assert [{"walkers": {"left": None}}, step, {"walkers": {"right": state["right"]}}] == told(walker)


def test_who_leaps_gets_nulls_before_what_is_there() -> None:
    bench = meadow()
    stand(bench, "ben", 1)
    stand(bench, "cyd", 40, 8)
    ada = stand(bench, "ada", 0)
    walk(bench, ada, LEAP)
    gone, *came = told(ada)
    assert {"walkers": {"ada": None, "ben": None}} == gone
    assert {"ada", "cyd"} == {key for patch in came for key in patch["walkers"]}


def test_who_is_nowhere_sees_nobody() -> None:
    bench = meadow()
    stand(bench, "ben", 0)
    ada = stand(bench, "ada", 0)
    walk(bench, ada, VANISH)
    assert [{"walkers": {"ada": None, "ben": None}}] == told(ada)


def test_all_who_stay_in_a_chunk_share_one_frame() -> None:
    bench = meadow()
    tapes = [stand(bench, name, x) for name, x in (("a", 0), ("b", 1), ("c", 2), ("d", CHUNK))]
    for tape in tapes:
        bench.add(tape, 1, 5)
    bench.commit()
    sends = [effect for effect in bench.room.tick(0) if isinstance(effect, Send)]
    assert [["a", "b", "c"], ["d"]] == [[link.seat.session_id for link in send.links if link.seat] for send in sends]


class Crowd(Meadow):
    max_clients = 200


def encodings(bench: Bench) -> int:
    """How often something is encoded in a tick."""
    count = 0

    def on_event(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code is pack.__code__

    sys.setprofile(on_event)
    try:
        bench.room.tick(0)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.skipif(is_compiled, reason="only calls of Python code can be counted")
def test_a_chunk_is_encoded_once_a_tick_however_many_are_in_it_and_around_it() -> None:
    """Two chunks that all see; half of the crowd moves, one across: the head, a part for each chunk, the step."""
    counts = []
    for crowd in (4, 40):
        bench = Bench(Crowd(), UNPACED)
        tapes = [stand(bench, f"s{place}", CHUNK * (place % 2)) for place in range(crowd)]
        bench.tick()
        for tape in tapes[: crowd // 2]:
            bench.add(tape, 1, 3)
        bench.add(tapes[-1], 1, LEFT)
        bench.commit()
        counts.append(encodings(bench))
    assert [4, 4] == counts


def test_each_delta_follows_from_the_last_even_where_nothing_happened() -> None:
    bench = meadow()
    ada, far = stand(bench, "ada", 0), stand(bench, "far", 40)
    ada.take()
    room_seq = bench.room.room_seq
    walk(bench, ada, RIGHT, LEFT)
    ((_, body),) = far.take()
    assert (room_seq, room_seq + 2, []) == (body["baseSeq"], body["roomSeq"], body["patches"])


def test_what_a_return_missed_is_told_by_a_delta_that_replaces_what_is_located() -> None:
    bench = meadow()
    ben = stand(bench, "ben", 2)
    ada = bench.join("ada", resumes=True, at=(0, 0))
    ada.take()
    bench.drop(ada)
    bench.commit()
    bench.tick()
    at = bench.room.room_seq - 1
    bench.say(ben, 1, "still here")
    walk(bench, ben, RIGHT)
    back = bench.come_back("ada", "ada 0", "ada 1")
    bench.commit()
    bench.resume(back, at)
    bench.commit()
    heard: dict[str, Any] = {body.get("kind", kind): body for kind, body in back.take() if isinstance(body, dict)}
    assert heard["resume"]["recovered"]
    assert "still here" == heard["event.chat"]["text"]
    emptied, filled = heard["delta"]["patches"]
    assert {"walkers": None, "stones": None} == emptied
    assert {"ada", "ben"} == set(filled["walkers"])


def test_rebuilt_in_place_it_goes_on_from_what_the_journal_has() -> None:
    bench = meadow()
    ada, ben = stand(bench, "ada", 0), stand(bench, "ben", 1)
    bench.add(ada, 1, LEAP)
    bench.stand_still()
    bench.go_on()
    for tape in (ada, ben):
        assert {"ada", "ben"} == set(tape.take()[-1][1]["state"]["walkers"])
    walk(bench, ada, RIGHT)
    assert [{"walkers": {"ada": {"posX": 3}}}] == told(ben)


def test_a_room_without_interest_sends_all_to_all() -> None:
    class All(Meadow):
        interest = None

    bench = Bench(All())
    ada, far = stand(bench, "ada", 0), stand(bench, "far", 40)
    ada.take()
    walk(bench, ada, RIGHT)
    assert told(ada) == told(far) == [{"walkers": {"ada": {"posX": 3}}}]


class Ghost(State):
    pos_x: int
    pos_y: int
    glow: Volatile[int] = 0


class Box(State):
    pos_x: int
    pos_y: str


class Odd(State):
    ghosts: Map[Ghost]
    boxes: Map[Box]
    scores: Map[int]
    tiles: Grid


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("players", "no such field"),
        ("scores", "only the entries of a Map of States are located"),
        ("tiles", "only the entries of a Map of States are located"),
        ("boxes", "Box has no number 'pos_y' to be located by"),
        ("ghosts", "an entry that is located has no volatile fields: those are shown to everyone"),
    ],
)
def test_an_interest_that_does_not_fit_its_state_is_refused_with_the_class(field: str, why: str) -> None:
    interest = Interest(field, x="pos_x", y="pos_y")
    with pytest.raises(StateError) as refused:
        type("Strange", (Room,), {"interest": interest, "__annotations__": {"state": Odd}})
    assert f"Strange.interest: Odd.{field}: {why}" == str(refused.value)


@pytest.mark.parametrize("sizes", [{"chunk": 0}, {"reach": -1}])
def test_a_chunk_has_a_size_and_a_reach_does_not_shrink_it(sizes: dict[str, int]) -> None:
    with pytest.raises(StateError):
        Interest("walkers", x="pos_x", y="pos_y", **sizes).chart(Ground)


def test_a_chart_reads_places_below_nought_and_between_whole_numbers() -> None:
    chart = Interest("walkers", also=("stones",), x="pos_x", y="pos_y", chunk=CHUNK).chart(Ground)
    assert [(-1, 0), (0, 1), (-1, -1)] == [
        chart.chunk_of({"posX": x, "posY": y}) for x, y in ((-1, 0), (3.9, 4), (-0.5, -CHUNK))
    ]
