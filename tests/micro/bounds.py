"""
The bounds of the guards: what one unit of each workload does. `python -m tests.micro --write` writes them anew.

They are counts of CPython 3.11's bytecode, as exact as a golden file: change them when the work is meant to change.
"""

from typing import Final

#: The Python whose bytecode they count.
COUNTED_ON: Final = (3, 11)

#: By workload: (instructions, calls).
BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "decode": (174.9, 20.0),
    "step": (1420.1, 86.1),
    "release": (51.4, 5.2),
    "ack": (48.3, 4.1),
    "patch": (359.0, 23.0),
    "compose": (194.7, 19.0),
    "tick": (9853.0, 796.0),
    "resume": (28339.0, 2280.0),
    "welcome": (34633.0, 2481.0),
    "snapshot": (38880.0, 2978.0),
    "activation": (782.8, 57.6),
    "flush of 20": (91.9, 1.4),
    "flush of 100": (80.8, 0.3),
}
