"""Whatever players ask for in a crowded place: nothing raises, nobody stands in a wall, nothing is lost or made."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.message import Tree
from contracts.states import HP_MAX
from server.core.state import plain
from server.rooms.game import Game
from server.rooms.game.room import ITEMS
from server.rooms.game.state import DOOR_CLOSED, FLOOR, MIDDLE, OPEN, SIZE, WALL, WATER
from tests.rooms.table import Sitting, Table, set_table

NAMES = "abcd"
#: Open tiles around the plaza; beyond them doors, and walls and water in turn.
YARD = 4


def yard() -> Tree:
    """The state of a world so small that everyone is always in everyone's reach."""

    def tile(x: int, y: int) -> int:
        far = max(abs(x - MIDDLE), abs(y - MIDDLE))
        if far <= YARD:
            return FLOOR
        return DOOR_CLOSED if far == YARD + 1 and x % 2 else (WALL, WATER)[y % 2]

    tiles = {
        f"{cx},{cy}": {str(y): [tile(cx * 16 + x, cy * 16 + y) for x in range(16)] for y in range(16)}
        for cx in range(SIZE // 16)
        for cy in range(SIZE // 16)
    }
    world = {"name": "Yard", "width": SIZE, "height": SIZE, "tiles": tiles, "items": {}}
    return {"world": world, "players": {}}


YARD_STATE = yard()

sessions = st.sampled_from(NAMES)
steps = st.sampled_from([(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy])
near = st.integers(MIDDLE - YARD - 2, MIDDLE + YARD + 2)
targets = st.one_of(
    st.none(),
    sessions,
    st.builds("{},{}".format, near, near),
    st.sampled_from(["coin", "key", "apple", "an item"]),
    st.text(max_size=8),
)
asked = st.one_of(
    st.tuples(st.just("move"), steps),
    st.tuples(st.just("act"), st.tuples(st.sampled_from(["open", "take", "take", "drop", "strike", "dig"]), targets)),
    st.tuples(st.sampled_from(["drop", "reconnect", "leave"]), st.just(())),
)


class Yard:
    def __init__(self, chance: int) -> None:
        self.table = set_table(Game(), YARD_STATE, chance)
        self.sittings: dict[str, Sitting] = {}
        self.resting: dict[str, Tree] = {}

    def everything(self) -> Counter[str]:
        """All things by kind: on the ground, carried, and at rest."""
        state: Any = self.table.state
        things = Counter(item.kind for item in state.world.items.values())
        for player in state.players.values():
            things.update(player.inventory)
        for character in self.resting.values():
            things.update(character["inventory"])
        return things

    def seat(self, name: str) -> Sitting:
        if name not in self.sittings:
            ground = len(self.table.state.world.items)
            before = self.everything().total()
            self.sittings[name] = self.table.join(name, rest=self.resting.pop(name, None))
            added = ITEMS - ground if ground < ITEMS // 2 else 0
            assert before + added == self.everything().total()
        return self.sittings[name]

    def do(self, name: str, what: str, arguments: tuple[Any, ...]) -> None:
        sitting = self.seat(name)
        before = self.everything()
        if what == "leave":
            self.resting[name] = sitting.leave()
            del self.sittings[name]
        elif what == "reconnect" or not sitting.own.connected:
            sitting.reconnect()
        elif what == "act" and arguments[1] == "an item":
            sitting.act(arguments[0], next(iter(self.table.state.world.items), None))
        else:
            getattr(sitting, what)(*arguments)
        assert before == self.everything()

    def check(self) -> None:
        state: Any = self.table.state
        assert plain(state) == self.table.tree
        for player in state.players.values():
            assert state.world.tiles[player.x, player.y] in OPEN
            assert 1 <= player.hp <= HP_MAX
            assert all(count > 0 for count in player.inventory.values())
        assert set(self.sittings) == set(state.players)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.tuples(sessions, asked), max_size=80))
def test_whatever_is_asked_the_world_stays_whole(chance: int, script: list[tuple[str, tuple[str, Any]]]) -> None:
    yard = Yard(chance)
    for name, (what, arguments) in script:
        yard.do(name, what, arguments)
        yard.check()


def test_a_long_brawl_leaves_the_world_whole() -> None:
    """As above, at a length that Hypothesis does not reach: characters fall, carry, and come back."""
    yard = Yard(7)
    chance = yard.table.random
    falls = 0
    for _ in range(3_000):
        name = chance.choice(NAMES)
        own = yard.seat(name).own
        faced = chance.choice([(own.x + dx, own.y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)])
        others = [session for session in yard.sittings if session != name]
        what = chance.choices(["move", "take", "drop", "open", "strike", "leave"], [30, 30, 5, 10, 30, 1])[0]
        hurt = sum(player.hp for player in yard.table.state.players.values())
        if what == "move":
            yard.do(name, "move", chance.choice([(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1)]))
        elif what == "leave":
            yard.do(name, "leave", ())
            continue
        else:
            target = {"open": f"{faced[0]},{faced[1]}", "strike": chance.choice(others or [name])}.get(what)
            yard.do(name, "act", (what, target))
        falls += sum(player.hp for player in yard.table.state.players.values()) > hurt
    yard.check()
    assert falls > 3


def test_a_table_of_players_in_a_real_world_goes_on_from_its_journal() -> None:
    table: Table = set_table(Game()).create(seed=11)
    sittings = [table.join(name) for name in NAMES]
    for _ in range(200):
        sitting = table.random.choice(sittings)
        sitting.move(*table.random.choice([(0, 1), (1, 0), (0, -1), (-1, 0)]))
        sitting.act(table.random.choice(["open", "take", "drop", "strike"]))
    assert plain(table.state) == table.tree == plain(set_table(Game(), table.tree).state)
