"""
Scaling: what an action costs in 1 to 1,000 rooms, and as the rate rises. Ours alone.

The rooms series holds two things at once: actions a second, and frames that go out for them. In few rooms each client
asks 20 times a second and gets 20 deltas; in 1,000 rooms there are 1,000 clients, each asking as often as makes the
same rate, alone in its room with its deltas. So what differs is the number of rooms.
"""

from collections.abc import Iterator
from functools import partial

from bench.generator import Load
from bench.parts.base import START_S, Stage, Step
from bench.parts.load import told
from bench.run import Figures
from bench.subjects import OURS

ROOMS = (1, 10, 100, 1_000)
CLIENTS_MIN = 100
#: Of all together.
ACTIONS_PER_S = 2_000.0
#: Of each of the clients of the main load.
RATES_HZ = (1.0, 5.0, 20.0)
SECONDS, WARMUP_S = 4.0, 2.0


class ScalingPart:
    def __init__(self, stage: Stage, by_rooms: list[Figures], by_rate: list[Figures]) -> None:
        self.by_rooms = by_rooms
        self.by_rate = by_rate
        self._stage = stage

    def steps(self) -> Iterator[Step]:
        options = self._stage.options
        by_rooms = [_in_rooms(rooms) for rooms in ROOMS]
        by_rate = [Load(options.clients, options.rooms, rate_hz, SECONDS, WARMUP_S) for rate_hz in RATES_HZ]
        for found, loads in ((self.by_rooms, by_rooms), (self.by_rate, by_rate)):
            for number in range(options.repeats):
                for load in loads:
                    text = f"{load}, {number + 1} of {options.repeats}"
                    yield Step(text, load.takes_s + START_S, partial(self._measure, found, load))

    def _measure(self, found: list[Figures], load: Load) -> str:
        figures = self._stage.play(OURS, load)
        found.append(figures)
        return told(figures)


def _in_rooms(rooms: int) -> Load:
    clients = max(CLIENTS_MIN, rooms)
    return Load(clients, rooms, ACTIONS_PER_S / clients, SECONDS, WARMUP_S)
