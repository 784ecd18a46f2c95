"""
Scripts: what happens in a world, drawn from a seed; and the shortest that still breaks a promise.

A script is printed as the list it is: `live(script)` plays it again.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.simulation.world import live

Script = list[tuple[Any, ...]]

#: What may happen: its weight, and the ranges or choices of its numbers.
STEPS: dict[str, tuple[int, tuple[Sequence[int] | range, ...]]] = {
    "wait": (30, ((1, 1, 2, 3, 5, 10, 25, 60, 200, 700, 1_200),)),
    # Holds expire, idle sessions end, empty rooms hibernate.
    "wait_long": (1, ((4_500, 31_000),)),
    "ask": (22, (range(12), range(12))),
    "ask_what_is_refused": (4, (range(12),)),
    "ask_a_lot": (2, (range(12), range(3, 16))),
    "ask_again": (3, (range(12), (1, 2, 4, 9))),
    "ask_the_impossible": (1, (range(12), range(2))),
    "join": (6, (range(4), range(2), range(3))),
    "resume": (2, (range(12),)),
    "resume_falsely": (1, (range(12), range(3))),
    "leave": (1, (range(12),)),
    "log_out": (1, (range(12),)),
    "cut": (4, (range(12), (0, 2, 50, 500))),
    "stall": (2, (range(12), (2, 40, 400))),
    "go_away": (2, (range(12), (150, 1_000, 3_000, 6_000))),
    "fate": (6, (range(7),)),
    "outage": (2, (range(5), (3, 50, 400, 1_500, 3_000))),
    "freeze_postgres": (1, ((50, 500, 1_000, 2_500),)),
    "start": (1, ()),
    "kill": (1, (range(3),)),
    "freeze": (2, (range(3), (50, 800, 2_000, 4_000))),
    "overtake": (1, (range(3), (0, 1, 2, 3, 5))),
    "drain": (1, (range(3),)),
}
#: Two players in a room, so that there is something to lose.
PROLOGUE: Script = [("join", 0, 0, 1), ("join", 1, 0, 0), ("wait", 10)]


def script_of(seed: int, length_max: int = 70) -> Script:
    """Always the same for the same seed."""
    random = Random(seed)
    names, weights = list(STEPS), [weight for weight, _ in STEPS.values()]
    steps = random.choices(names, weights, k=random.randint(5, length_max))
    return [*PROLOGUE, *((name, *(random.choice(numbers) for numbers in STEPS[name][1])) for name in steps)]


def broken_by(script: Script) -> str | None:
    """What promise a script breaks; None if none."""
    try:
        live(script)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def shortest(script: Script, is_broken: Callable[[Script], object] = broken_by) -> Script:
    """Leave out whatever the breach can do without: halves at first, then single steps, until nothing more can go."""
    size = len(script) // 2
    while size:
        start, has_shrunk = 0, False
        while start < len(script):
            shorter = script[:start] + script[start + size :]
            if is_broken(shorter):
                script, has_shrunk = shorter, True
            else:
                start += size
        if not has_shrunk or size > 1:
            size = size // 2 if size > 1 else 0
    return script


def report(seed: int, script: Script) -> str:
    """A failure as a person wants to read it."""
    short = shortest(script)
    lines = "\n".join(f"    {step}," for step in short)
    return f"seed {seed}: {broken_by(short)}\n  the shortest script that still does so:\n[\n{lines}\n]"
