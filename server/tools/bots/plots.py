"""
Plots: lines over time, and distributions over percentiles, as SVG that fits any width.

A plot's `svg` is exactly its plotting area: places are percentages of it, so text keeps its size on a phone, and the
names of the axes stand outside. Only lines need coordinates, in an inner `svg` of 1000 x 1000 that is stretched.

    lines --> Axis (range, named places) --> figure: caption, legend, svg

Colours are the page's: a line has a tone, and `.tone-NAME` says which colour that is, by day and by night.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from xml.etree.ElementTree import Element

import msgspec

from server.tools.bots import figures
from server.tools.bots.markup import element
from server.tools.bots.result import Spread

#: Of a line; what has more is drawn in steps of several.
POINTS_MAX = 360
#: Lines of at most so many points get a mark at each.
MARKED_MAX = 24
#: A latency axis is logarithmic where the greatest is so many times the median.
LOGARITHMIC_FROM = 25
#: Named places of an amount's axis, about.
_TICKS = 4
_SIDE = 1000
#: To each side of 1; what lies beyond is drawn at the edge.
_DOUBLINGS_MAX = 6
_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


class Line(msgspec.Struct, frozen=True):
    """What is drawn; a point without a value is a gap."""

    name: str
    tone: str
    points: Sequence[tuple[float, float | None]]


class Axis(msgspec.Struct, frozen=True):
    """A range, and the places in it that are named; what lies outside is drawn at its edge."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    unit: str
    #: A value of it in words, its unit included.
    told: Callable[[float], str] = figures.number
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value is, 0 at the low end and 1 at the high one."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


class Ratio(msgspec.Struct, frozen=True):
    """What came out several times, above 0: its median, and between which it lay; `told` is it in words."""

    name: str
    median: float
    low: float
    high: float
    told: str


class Step(msgspec.Struct, frozen=True):
    """One or several points as one: their mean, and between which they lie."""

    at: float
    low: float
    mean: float
    high: float


def timeline(title: str, lines: Sequence[Line], axis_of: Callable[[Iterable[float]], Axis], length_s: float) -> Element:
    """Lines over seconds; where a point is several of them, the line is their mean, and a band is as wide as they."""
    values = [value for line in lines for _, value in line.points if value is not None]
    per_step = points_per_step(max((len(line.points) for line in lines), default=0))
    return _figure(title, lines, _times(length_s), axis_of(values), per_step)


def points_per_step(points: int) -> int:
    """How many points of a line that long are drawn as one."""
    return max(1, math.ceil(points / POINTS_MAX))


def percentiles(title: str, spreads: Sequence[tuple[str, str, Spread]]) -> Element:
    """Distributions of latencies, each a (name, tone, spread); each further place on the axis is ten times as rare."""
    places = (("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9))
    at = [-math.log10(1 - percent / 100) for _, percent in places]
    at.append(at[-1] + 0.7)
    names = dict(zip(at, (*(name for name, _ in places), "max"), strict=True))
    lines = [
        Line(name, tone, list(zip(at, (of.p50, of.p90, of.p99, of.p999, of.max), strict=True)) if of.count else [])
        for name, tone, of in spreads
    ]
    values = [value for line in lines for _, value in line.points if value is not None]
    across = Axis(at[0] - 0.15, at[-1] + 0.15, list(names.items()), "", names.__getitem__)
    return _figure(title, lines, across, latencies(values), 1)


def ratios(title: str, note: str, found: Sequence[Ratio]) -> Element:
    """A row each, the range a line and the median a dot, on a common scale of doublings around 1."""
    across = _doublings(found)
    rows = (_row(each, across) for each in found)
    names = (
        element("text", name, x=_percent(across.share(at)), y="1.1em", text_anchor="middle")
        for at, name in across.ticks
    )
    return element(
        "figure",
        element("figcaption", element("strong", title), element("span", note, class_="unit")),
        *rows,
        element("div", element("svg", *names), class_="row axis"),
        class_="plot ratios",
    )


def amounts(values: Iterable[float], unit: str = "") -> Axis:
    """From 0 to a round number above the greatest."""
    most = max(values, default=0.0) or 1.0
    step = _round_step(most / _TICKS)
    count = max(1, math.ceil(most / step - 1e-9))
    return Axis(0.0, count * step, [(place * step, figures.plain(place * step)) for place in range(count + 1)], unit)


def sizes(values: Iterable[float]) -> Axis:
    """Bytes, in the unit that fits the greatest."""
    most = max(values, default=0.0)
    name = figures.size(most).rpartition(" ")[2]
    unit = {"GB": 1e9, "MB": 1e6, "kB": 1e3}.get(name, 1.0)
    scaled = amounts([most / unit], name)
    ticks = [(value * unit, words) for value, words in scaled.ticks]
    return Axis(0.0, scaled.high * unit, ticks, name, figures.size)


def latencies(values: Iterable[float]) -> Axis:
    """Milliseconds; logarithmic where a few are so great that the rest would lie flat."""
    ranked = sorted(value for value in values if value > 0)
    if not ranked or ranked[-1] < ranked[len(ranked) // 2] * LOGARITHMIC_FROM:
        return msgspec.structs.replace(amounts(ranked, "ms"), told=figures.milliseconds)
    low, high = math.floor(math.log10(ranked[0])), math.ceil(math.log10(ranked[-1]))
    decades = range(low, max(high, low + 1) + 1)
    ticks = [(10.0**power, figures.plain(10.0**power)) for power in decades]
    return Axis(10.0**low, 10.0 ** decades[-1], ticks, "ms", figures.milliseconds, is_log=True)


def _times(length_s: float) -> Axis:
    length_s = max(length_s, 1.0)
    step = next((step for step in _TIME_STEPS_S if length_s / step <= 6), _TIME_STEPS_S[-1])
    ticks = [(float(at), figures.duration(at) if at else "0") for at in range(0, math.floor(length_s) + 1, step)]
    return Axis(0.0, length_s, ticks, "", lambda at: figures.duration(round(at, 1)))


def _doublings(found: Sequence[Ratio]) -> Axis:
    """As far as needed, at most `_DOUBLINGS_MAX` to each side."""
    low = min((-1, *(math.floor(math.log2(each.low)) for each in found)))
    high = max((1, *(math.ceil(math.log2(each.high)) for each in found)))
    powers = range(max(low, -_DOUBLINGS_MAX), min(high, _DOUBLINGS_MAX) + 1)
    ticks = [(2.0**power, f"{2**power}" if power >= 0 else f"1/{2**-power}") for power in powers]
    return Axis(ticks[0][0], ticks[-1][0], ticks, "", is_log=True)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least so much."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def _steps(points: Sequence[tuple[float, float | None]], per_step: int) -> list[list[Step]]:
    """Unbroken stretches of a line."""
    stretches: list[list[Step]] = [[]]
    for begin in range(0, len(points), per_step):
        part = points[begin : begin + per_step]
        values = [value for _, value in part if value is not None]
        if not values:
            stretches.append([])
            continue
        at = sum(at for at, _ in part) / len(part)
        stretches[-1].append(Step(at, min(values), sum(values) / len(values), max(values)))
    return [stretch for stretch in stretches if stretch]


def _figure(title: str, lines: Sequence[Line], across: Axis, up: Axis, per_step: int) -> Element:
    told = ", ".join(filter(None, (up.unit, "logarithmic" if up.is_log else "")))
    shown = [line for line in lines if any(value is not None for _, value in line.points)]
    return element(
        "figure",
        element(
            "figcaption",
            element("strong", title),
            element("span", told, class_="unit") if told else None,
            element("ul", *(element("li", line.name, class_=f"tone-{line.tone}") for line in shown), class_="legend"),
        ),
        _svg(title, shown, across, up, per_step) if shown else element("p", "Nothing was measured.", class_="empty"),
        class_="plot",
    )


def _row(found: Ratio, across: Axis) -> Element:
    low, median, high = (_percent(across.share(value)) for value in (found.low, found.median, found.high))
    places = ((_percent(across.share(at)), "base" if at == 1 else "grid") for at, _ in across.ticks)
    return element(
        "div",
        element("span", found.name),
        element("span", found.told, class_="value"),
        element(
            "svg",
            *(element("line", x1=x, x2=x, y1="0", y2="100%", class_=kind) for x, kind in places),
            element("line", x1=low, x2=high, y1="50%", y2="50%", class_="line tone-ack"),
            element("circle", cx=median, cy="50%", r="4", class_="tone-ack"),
            role="img",
            aria_label=f"{found.name}: {found.told}",
        ),
        class_="row",
    )


def _svg(title: str, lines: Sequence[Line], across: Axis, up: Axis, per_step: int) -> Element:
    stretches = [(line, _steps(line.points, per_step)) for line in lines]
    area = element("svg", viewBox=f"0 0 {_SIDE} {_SIDE}", preserveAspectRatio="none", width="100%", height="100%")
    marks = []
    for line, parts in stretches:
        if per_step > 1:
            area.append(element("path", d=_band(parts, across, up), class_=f"band tone-{line.tone}"))
        area.append(element("path", d=_path(parts, across, up), class_=f"line tone-{line.tone}"))
        if sum(map(len, parts)) <= MARKED_MAX:
            marks += [_mark(across.share(step.at), up.share(step.mean), line.tone) for part in parts for step in part]
    return element(
        "svg",
        *(_across(across.share(at), words) for at, words in across.ticks),
        *(_up(up.share(at), words) for at, words in up.ticks),
        area,
        *marks,
        role="img",
        aria_label=title,
        data_plot=_pointed_at(stretches, across, up),
    )


def _across(share: float, words: str) -> Element:
    x = _percent(share)
    return element(
        "g",
        element("line", x1=x, x2=x, y1="100%", y2="100%", class_="tick", transform="translate(0 4)"),
        element("text", words, x=x, y="100%", dy="1.6em", text_anchor="middle"),
    )


def _up(share: float, words: str) -> Element:
    y = _percent(1 - share)
    return element(
        "g",
        element("line", x1="0", x2="100%", y1=y, y2=y, class_="base" if share == 0 else "grid"),
        element("text", words, x="-8", y=y, dy=".32em", text_anchor="end"),
    )


def _mark(across: float, up: float, tone: str) -> Element:
    return element("circle", cx=_percent(across), cy=_percent(1 - up), r="3", class_=f"tone-{tone}")


def _path(stretches: list[list[Step]], across: Axis, up: Axis) -> str:
    """A stretch of a single point is drawn as a dot: a line of no length with round ends."""
    return "".join(
        "M" + "L".join(_place(across.share(step.at), up.share(step.mean)) for step in (*stretch, stretch[-1]))
        for stretch in stretches
    )


def _band(stretches: list[list[Step]], across: Axis, up: Axis) -> str:
    parts = []
    for stretch in stretches:
        there = [_place(across.share(step.at), up.share(step.high)) for step in stretch]
        back = [_place(across.share(step.at), up.share(step.low)) for step in reversed(stretch)]
        parts.append("M" + "L".join((*there, *back)) + "Z")
    return "".join(parts)


def _place(across: float, up: float) -> str:
    return f"{across * _SIDE:.5g},{(1 - up) * _SIDE:.5g}"


def _percent(share: float) -> str:
    return f"{share * 100:.5g}%"


def _pointed_at(stretches: list[tuple[Line, list[list[Step]]]], across: Axis, up: Axis) -> str:
    """What the page's script tells of the place that is pointed at."""
    told: dict[float, list[str | None]] = {}
    for place, (_, parts) in enumerate(stretches):
        for step in (step for part in parts for step in part):
            told.setdefault(step.at, [None] * len(stretches))[place] = _words(step, up)
    return json.dumps(
        {
            "lines": [[line.name, line.tone] for line, _ in stretches],
            "places": [[round(across.share(at), 4), across.told(at), *told[at]] for at in sorted(told)],
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _words(step: Step, up: Axis) -> str:
    mean = up.told(step.mean)
    return mean if step.low == step.high else f"{mean} ({up.told(step.low)} to {up.told(step.high)})"
