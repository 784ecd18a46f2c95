"""The shortest way over open tiles, for players that have to get somewhere."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from bench.peers.puppets import Player

OPEN = frozenset("0126")
CLOSED_DOOR, OPEN_DOOR = "56"
STEPS = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]

At = tuple[int, int]
Rows = Sequence[str]


def tile(rows: Rows, at: At) -> str | None:
    x, y = at
    return rows[y][x] if 0 <= y < len(rows) and 0 <= x < len(rows[y]) else None


def around(at: At) -> Iterator[At]:
    return ((at[0] + dx, at[1] + dy) for dx, dy in STEPS)


def way(rows: Rows, start: At, is_there: Callable[[At], bool]) -> list[At]:
    """The tiles from the one after `start` to the nearest that is it."""
    came_from: dict[At, At | None] = {start: None}
    edge = deque([start])
    while edge:
        here = edge.popleft()
        if is_there(here):
            steps: list[At] = []
            before: At | None = here
            while before is not None and before != start:
                steps.append(before)
                before = came_from[before]
            return steps[::-1]
        for beside in around(here):
            if beside not in came_from and tile(rows, beside) in OPEN:
                came_from[beside] = here
                edge.append(beside)
    raise AssertionError("there is no way")


async def place(player: Player) -> At:
    own = (await player.state())["players"][player.session_id]
    return own["x"], own["y"]


async def walk(player: Player, is_there: Callable[[At], bool]) -> At:
    """Where it got to; each step is acked."""
    here = await place(player)
    for beside in way((await player.state())["tiles"], here, is_there):
        here = await step(player, here, beside)
    assert await place(player) == here
    return here


async def step(player: Player, here: At, beside: At) -> At:
    outcome = await player.ask("intent.move", dx=beside[0] - here[0], dy=beside[1] - here[1])
    assert outcome.get("status") == "applied", outcome
    return beside
