"""
The world of the peers: the one that the `game` room makes of a seed, as a file that every language can read.

    python -m bench.peers.world          writes bench/peers/world.json anew

All rooms of a peer have this world; a `game` room that is created with the option `seed` of this module has it too.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

from server.core.step import Step
from server.rooms.game import Game

SEED = 1
WORLD = Path(__file__).with_name("world.json")


def make_world() -> dict[str, Any]:
    """Its `tiles` are rows of digits, each a tile's number."""
    game = Game()
    game.on_create(Step(1, 0, Random(SEED)), {"seed": SEED})
    world = game.state.world
    return {
        "seed": SEED,
        "name": world.name,
        "width": world.width,
        "height": world.height,
        "tiles": ["".join(map(str, row)) for row in world.tiles.array.tolist()],
        "items": {item_id: {"kind": item.kind, "x": item.x, "y": item.y} for item_id, item in world.items.items()},
    }


if __name__ == "__main__":
    WORLD.write_text(json.dumps(make_world(), indent=1) + "\n")
