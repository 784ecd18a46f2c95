"""
The bounds of the guards: what one unit of each workload does. `python -m tests.micro --write` writes them anew.

They are counts of CPython 3.11's bytecode, as exact as a golden file: change them when the work is meant to change.
"""

from typing import Final

#: The Python whose bytecode they count.
COUNTED_ON: Final = (3, 11)

#: By workload: (instructions, calls).
BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "decode": (174.2, 20.0),
    "step": (1551.1, 98.1),
    "release": (51.4, 5.2),
    "ack": (48.3, 4.1),
    "patch": (430.0, 29.0),
    "compose": (134.2, 13.1),
    "tick": (6454.0, 557.0),
    "resume": (17873.0, 1387.0),
    "welcome": (34646.0, 2483.0),
    "snapshot": (38880.0, 2978.0),
    "activation": (823.9, 65.9),
    "flush of 20": (91.9, 1.4),
    "flush of 100": (80.8, 0.3),
}
