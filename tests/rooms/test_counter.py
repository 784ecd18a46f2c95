"""Facts about the counter, the smallest room."""

import msgspec

from contracts.states import CounterState
from server.core.state import plain
from server.rooms.counter import Counter
from tests.rooms.table import set_table


def test_what_players_add_is_summed_and_counted_by_name() -> None:
    table = set_table(Counter()).create()
    ada, ben = table.join("a", "Ada"), table.join("b", "Ben")
    assert ada.ask("intent.add", amount=5) is None
    assert ben.ask("intent.add") is None
    assert ada.ask("intent.add", amount=2) is None
    assert {"total": 8, "added": {"a": 7, "b": 1}} == plain(table.state) == table.tree


def test_who_added_last_is_shown_and_not_stored() -> None:
    table = set_table(Counter()).create()
    ada = table.join("a", "Ada")
    ada.ask("intent.add")
    assert "last" not in table.tree
    assert ("event.state_delta", {"kind": "volatile", "patches": [{"last": "Ada"}]}) in ada.link.got


def test_an_amount_out_of_bounds_is_invalid_and_changes_nothing() -> None:
    table = set_table(Counter()).create()
    ada = table.join("a")
    assert "invalid" == ada.ask("intent.add", amount=101)["code"]
    assert 0 == table.state.total


def test_the_state_keeps_its_contract() -> None:
    table = set_table(Counter()).create()
    table.join("a").ask("intent.add")
    assert CounterState(total=1, added={"a": 1}) == msgspec.convert(plain(table.state), CounterState)


def test_a_spectator_may_watch_and_not_add() -> None:
    table = set_table(Counter()).create()
    assert "forbidden" == table.join("a", role="spectator").ask("intent.add")["code"]
