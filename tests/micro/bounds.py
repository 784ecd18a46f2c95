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
    "step": (1596.1, 92.1),
    "release": (25.7, 2.2),
    "ack": (48.3, 4.1),
    "patch": (430.0, 29.0),
    "compose": (134.2, 13.1),
    "tick": (7440.0, 563.0),
    "areas": (556.2, 38.7),
    "resume": (20309.0, 1485.0),
    "welcome": (34683.0, 2481.0),
    "snapshot": (38730.0, 2928.0),
    "activation": (779.0, 54.0),
    "flush of 20": (46.8, 1.6),
    "flush of 100": (41.4, 1.2),
}
