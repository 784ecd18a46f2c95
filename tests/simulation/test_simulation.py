"""Any history of a whole server: what `python -m tests.simulation` does for long, for as long as a test may take."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codes import Kind
from tests.simulation.postgres import Fate
from tests.simulation.scripts import PROLOGUE, STEPS, Script, broken_by, report, script_of, shortest
from tests.simulation.world import FATES, live

#: The seeds are always the same, so that a failure is the change's; a long run takes others.
RUNS_MAX, FOR_S = 2_000, 15.0


def test_whatever_happens_the_promises_hold() -> None:
    until = time.perf_counter() + FOR_S
    for seed in range(RUNS_MAX):
        script = script_of(seed)
        assert broken_by(script) is None, report(seed, script)
        if time.perf_counter() > until:
            return


def step_named(name: str) -> st.SearchStrategy[tuple[str | int, ...]]:
    _, numbers = STEPS[name]
    return st.tuples(st.just(name), *(st.sampled_from(list(choices)) for choices in numbers))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of([step_named(name) for name in STEPS]), max_size=40))
def test_whatever_hypothesis_thinks_of_they_hold(script: Script) -> None:
    live([*PROLOGUE, *script])


def test_a_room_whose_creation_was_not_written_in_time_is_created_anew() -> None:
    took_too_long = FATES.index(Fate.TOOK_TOO_LONG)
    world = live([*[("fate", took_too_long)] * 5, ("join", 0, 0, 1), ("wait", 2_000)])
    assert Kind.ROOM_CREATE == world.postgres.actions["room-a"][0].kind


def test_a_script_is_always_the_same_history() -> None:
    for seed in range(20):
        first, second = (live(script_of(seed)) for _ in range(2))
        assert first.postgres.actions == second.postgres.actions
        assert [client.outcomes for client in first.clients] == [client.outcomes for client in second.clients]


def test_a_script_is_shortened_to_what_matters() -> None:
    script: Script = [("wait", number) for number in range(50)]
    assert [("wait", 7), ("wait", 31)] == shortest(
        script, lambda shorter: ("wait", 7) in shorter and ("wait", 31) in shorter
    )
