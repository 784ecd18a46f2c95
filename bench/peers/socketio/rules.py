"""
The rules of Holdfast's `game` room (server/rooms/game/room.py): each judges one intent and applies it.

They return why it was refused, or None.
"""

import random
import re
from collections.abc import Callable, Iterable

from state import DOOR_CLOSED, DOOR_OPEN, FLOOR, GRASS, HP_MAX, OPEN, SAND, SIZE, SPAWNS, WATER, Tree, World

ITEMS = 40
ITEMS_MAX = 1_000
CARRIED_MAX = 64
ITEM_KINDS = ("apple", "berry", "coin", "flower", "key", "potion", "shield", "shell")
OBSTACLES = {None: "The world ends here.", WATER: "The water is too deep.", DOOR_CLOSED: "The door is closed."}
WAYS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}

At = tuple[int, int]


def move(world: World, session_id: str, dx: int, dy: int) -> str | None:
    own = world.players[session_id]
    x, y = own["x"] + dx, own["y"] + dy
    tile = world.tile(x, y)
    if tile not in OPEN:
        return OBSTACLES.get(tile, "A wall is in the way.")
    facing = ("left" if dx < 0 else "right") if dx else ("up" if dy < 0 else "down")
    world.change(("players", session_id), {"x": x, "y": y, "facing": facing})
    return None


def enter(world: World, session_id: str, name: str) -> None:
    x, y = random.choice(SPAWNS)
    about = {"playerId": session_id, "name": name, "x": x, "y": y, "hp": HP_MAX, "facing": "down"}
    world.change(("players",), {session_id: {**about, "inventory": {}, "connected": True}})
    if len(world.items) < ITEMS // 2:
        _scatter(world)


def act(world: World, session_id: str, action: str, target: str | None) -> str | None:
    rule = ACTIONS.get(action)
    if rule is None:
        return f"Nobody here can {action!r}: it is {', '.join(ACTIONS)}."
    return rule(world, session_id, world.players[session_id], target)


def _open(world: World, session_id: str, own: Tree, target: str | None) -> str | None:
    """Open a door, or close it; a target is "x,y"."""
    at = _faced(own) if target is None else _place(target)
    if at is None or not _is_near(own, *at):
        return "Only a door next to you can be opened."
    tile = world.tile(*at)
    if tile == DOOR_CLOSED:
        world.set_tile(*at, DOOR_OPEN)
    elif tile != DOOR_OPEN:
        return "There is no door."
    elif _sessions_at(world, at):
        return "Someone stands in the doorway."
    else:
        world.set_tile(*at, DOOR_CLOSED)
    return None


def _take(world: World, session_id: str, own: Tree, target: str | None) -> str | None:
    """Pick up a thing underfoot, else on the tile faced; a target is the id of one within reach."""
    item_id = _item_before(world, own) if target is None else target
    if item_id is None:
        return "There is nothing to take."
    item = world.items.get(item_id)
    if item is None:
        return "That is not there any more."
    if not _is_near(own, item["x"], item["y"]):
        return "That is too far away."
    if sum(own["inventory"].values()) >= CARRIED_MAX:
        return "You cannot carry any more."
    world.change(("world", "items"), {item_id: None})
    kind = item["kind"]
    world.change(("players", session_id, "inventory"), {kind: own["inventory"].get(kind, 0) + 1})
    return None


def _drop(world: World, session_id: str, own: Tree, target: str | None) -> str | None:
    """Put down what was first picked up; a target is a kind."""
    kind = next(iter(own["inventory"]), None) if target is None else target
    if kind is None:
        return "You carry nothing."
    if kind not in own["inventory"]:
        return "You do not carry that."
    if len(world.items) >= ITEMS_MAX:
        return "Too much lies around already."
    _put_down(world, session_id, [kind])
    return None


def _strike(world: World, session_id: str, own: Tree, target: str | None) -> str | None:
    """Hit the character on the tile faced; a target is the session id of one within reach."""
    struck = next(iter(_sessions_at(world, _faced(own))), None) if target is None else target
    other = world.players.get(struck) if struck is not None else None
    if struck is None or other is None:
        return "Nobody is there."
    if other is own:
        return "You cannot strike yourself."
    if not _is_near(own, other["x"], other["y"]):
        return f"{other['name']} is out of reach."
    hp = other["hp"] - random.randint(1, 3)
    if hp > 0:
        world.change(("players", struck), {"hp": hp})
    else:
        _fall(world, struck, other)
    return None


Rule = Callable[[World, str, Tree, str | None], str | None]
ACTIONS: dict[str, Rule] = {"open": _open, "take": _take, "drop": _drop, "strike": _strike}


def _fall(world: World, session_id: str, fallen: Tree) -> None:
    """What the ground has no room for stays with its owner."""
    carried = [kind for kind, count in fallen["inventory"].items() for _ in range(count)]
    _put_down(world, session_id, carried[: ITEMS_MAX - len(world.items)])
    x, y = random.choice(SPAWNS)
    world.change(("players", session_id), {"x": x, "y": y, "hp": HP_MAX})


def _put_down(world: World, session_id: str, kinds: Iterable[str]) -> None:
    own = world.players[session_id]
    for n, kind in enumerate(kinds):
        world.change(("players", session_id, "inventory"), {kind: own["inventory"][kind] - 1 or None})
        _lay(world, n, kind, own["x"], own["y"])


def _lay(world: World, n: int, kind: str, x: int, y: int) -> None:
    """The n-th thing laid down by the action that is being applied."""
    world.change(("world", "items"), {f"i{world.room_seq + 1}-{n}": {"kind": kind, "x": x, "y": y}})


def _scatter(world: World) -> None:
    """Bring the things on the ground back to what a fresh world has; indoors is likelier than its area says."""
    n = 0
    while len(world.items) < ITEMS:
        x, y = random.randrange(SIZE), random.randrange(SIZE)
        tile = world.tile(x, y)
        if tile == FLOOR or (tile in (GRASS, SAND) and random.random() < 0.25):
            _lay(world, n, random.choice(ITEM_KINDS), x, y)
            n += 1


def _item_before(world: World, own: Tree) -> str | None:
    for at in ((own["x"], own["y"]), _faced(own)):
        for item_id, item in world.items.items():
            if (item["x"], item["y"]) == at:
                return item_id
    return None


def _sessions_at(world: World, at: At) -> list[str]:
    return [session_id for session_id, other in world.players.items() if (other["x"], other["y"]) == at]


def _faced(own: Tree) -> At:
    dx, dy = WAYS[own["facing"]]
    return own["x"] + dx, own["y"] + dy


def _is_near(own: Tree, x: int, y: int) -> bool:
    return abs(x - own["x"]) <= 1 and abs(y - own["y"]) <= 1


def _place(target: str) -> At | None:
    found = re.fullmatch(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*", target)
    return (int(found[1]), int(found[2])) if found else None
