"""
Garbage: when Python looks for cycles of objects that nobody holds any more.

It looks at the newest objects often, and at all there are now and then: with what the imports make
alone, that stops the loop for 30 to 90 ms, and every ack with it. So what the start has made is set
aside for good, and looks come less often. Objects without cycles, nearly all, go at once anyway.
"""

import gc

#: Objects made and not yet gone before the newest are looked at; Python's own number is 700.
NEWEST_MAX = 2_000


def set_start_aside() -> None:
    """What exists by now is never looked at again. Call once, when the process is ready to serve."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEWEST_MAX, *gc.get_threshold()[1:])
