"""
Figures: numbers as people read them, the same in the terminal and in the report.

What can't be told is `NOTHING`: a percentile of nothing is no zero.
"""

import math
from datetime import UTC, datetime

NOTHING = "–"

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_IEC = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def number(value: float) -> str:
    """Three digits that count, thousands apart: 0.812, 4.27, 13.4, 2,340."""
    if not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(float(f"{value:.2e}"))))
    return f"{value:,.{max(0, 2 - magnitude)}f}"


def plain(value: float) -> str:
    """As it was asked for, or as it stands on an axis: no digit that says nothing."""
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def milliseconds(value: float) -> str:
    return f"{number(value)} ms"


def size(count_bytes: float) -> str:
    """Of what is sent, in powers of ten."""
    unit, name = next((each for each in _SIZES if abs(count_bytes) >= each[0]), _SIZES[-1])
    return f"{number(count_bytes / unit)} {name}"


def memory(count_bytes: int) -> str:
    """Of what is kept, in powers of two."""
    unit, name = next((each for each in _IEC if count_bytes >= each[0]), _IEC[-1])
    return f"{number(count_bytes / unit)} {name}"


def duration(seconds: float) -> str:
    """42 s, 3:05 min, 1:00:10 h; what is round is told so: 10 min, 1 h."""
    if seconds < 120:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    unit, name = (3600, "h") if whole >= 3600 else (60, "min")
    if whole % unit == 0:
        return f"{whole // unit} {name}"
    hours = f"{whole // 3600}:{whole // 60 % 60:02}" if whole >= 3600 else f"{whole // 60}"
    return f"{hours}:{whole % 60:02} {name}"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 room`, `2,000 rooms`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: list[str]) -> str:
    """`lost, doubled and missed`; empty if there are none."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
