"""A token bucket. Time enters as an argument."""


class Bucket:
    """Holds `burst` tokens at first and at most, and gains `rate_per_s`."""

    __slots__ = ("_at_ms", "_burst", "_rate_per_ms", "_tokens")

    def __init__(self, rate_per_s: float, burst: float, now_ms: int) -> None:
        self._rate_per_ms = rate_per_s / 1000
        self._burst = burst
        self._tokens = burst
        self._at_ms = now_ms

    def take(self, now_ms: int, cost: float = 1.0) -> bool:
        """Whether `cost` tokens were there; they are taken if so. A clock that goes back gains nothing."""
        self._tokens = min(self._burst, self._tokens + max(0, now_ms - self._at_ms) * self._rate_per_ms)
        self._at_ms = now_ms
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True
