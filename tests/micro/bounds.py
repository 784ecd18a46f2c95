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
    "step": (1466.1, 87.1),
    "release": (72.4, 8.2),
    "ack": (48.3, 4.1),
    "patch": (368.0, 22.0),
    "compose": (194.7, 19.0),
    "tick": (8881.0, 791.0),
    "resume": (25906.0, 2178.0),
    "welcome": (55995.0, 4226.0),
    "snapshot": (58214.0, 4524.0),
    "activation": (753.8, 58.2),
    "flush of 20": (91.9, 1.4),
    "flush of 100": (80.8, 0.3),
}
