"""Facts about the plaza: a step is a step, the edge holds, and players far apart do not see each other."""

from typing import Any

import msgspec

from contracts.states import PlazaState
from server.core.state import apply_in_place, plain
from server.rooms.plaza import SIZE, Plaza
from tests.rooms.table import Sitting, Table, set_table


def walk(sitting: Sitting, x: int, y: int) -> None:
    """Step by step to a place; whoever waits hears only the deltas."""
    while (at := (sitting.own.x, sitting.own.y)) != (x, y):
        dx, dy = ((to > now) - (to < now) for now, to in zip(at, (x, y), strict=True))
        assert sitting.move(dx, dy) is None


def state_of(sitting: Sitting) -> dict[str, Any]:
    """What a client has that heard all it was sent."""
    (start,) = [body for _, body in sitting.link.got if body.get("kind") == "snapshot"]
    state: dict[str, Any] = start["state"]
    for _, body in sitting.link.got:
        if body.get("kind") == "delta":
            for patch in body["patches"]:
                apply_in_place(state, patch)
    return state


def plaza() -> Table:
    return set_table(Plaza()).create()


def test_the_state_keeps_its_contract() -> None:
    table = plaza()
    table.join("a")
    state = plain(table.state)
    assert table.tree == state
    assert "Ada" == msgspec.convert(state, PlazaState).players["a"].name


def test_a_step_over_the_edge_ends_on_it_and_is_no_mistake() -> None:
    ada = plaza().join("a")
    walk(ada, SIZE - 1, 0)
    assert ada.move(1, -1) is None
    assert (SIZE - 1, 0) == (ada.own.x, ada.own.y)


def test_players_see_each_other_while_they_are_near() -> None:
    table = plaza()
    ada, ben = table.join("a"), table.join("b")
    ada_heard = ada.link
    for x in (0, SIZE - 1, 0):
        walk(ben, x, ada.own.y)
        assert (abs(x // 16 - ada.own.x // 16) <= 1) is ("b" in state_of(ada)["players"])
    assert ada.link is ada_heard


def test_who_drops_stays_and_who_leaves_is_gone() -> None:
    table = plaza()
    ada = table.join("a")
    ada.drop()
    assert not table.state.players["a"].connected
    ada.reconnect()
    assert table.state.players["a"].connected
    ada.leave()
    assert {} == table.tree["players"]


def test_a_spectator_may_watch_and_not_walk() -> None:
    assert "forbidden" == plaza().join("a", role="spectator").move(1, 0)["code"]
