"""The world that peers have in `make bench` is what our room makes of its seed."""

import json

from bench.peers.world import WORLD, make_world


def test_the_file_is_what_the_room_makes_of_the_seed() -> None:
    assert json.loads(WORLD.read_text()) == make_world()
