"""
Flood: how much one connection may send, whatever it says.

Counted in a window of two seconds: more frames or bytes in it than its limits allow for its
length is a flood, and the connection ends (4505).
"""

from contracts import limits

_WINDOW_MS = int(limits.FLOOD_WINDOW_S * 1000)
_FRAMES_MAX = int(limits.FLOOD_FRAMES_PER_S * limits.FLOOD_WINDOW_S)
_BYTES_MAX = int(limits.FLOOD_BYTES_PER_S * limits.FLOOD_WINDOW_S)


class FloodGauge:
    __slots__ = ("_bytes", "_frames", "_since_ms")

    def __init__(self) -> None:
        self._since_ms = 0
        self._frames = 0
        self._bytes = 0

    def is_flooded(self, now_ms: int, size_bytes: int) -> bool:
        """Count one frame; whether it was one too many."""
        if now_ms - self._since_ms >= _WINDOW_MS:
            self._since_ms, self._frames, self._bytes = now_ms, 0, 0
        self._frames += 1
        self._bytes += size_bytes
        return self._frames > _FRAMES_MAX or self._bytes > _BYTES_MAX
