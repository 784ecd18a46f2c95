"""
Report: a comparison as one page that needs nothing else, in the style of the bots' own.
"""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

import msgspec

from bench.budget import verdicts
from bench.comparison import Comparison, Row, rows
from bench.ratios import Middle, Verdict
from bench.subjects import OURS, SUBJECTS
from bench.tables import middle
from server.tools.bots import figures, plots
from server.tools.bots.html import fact_list, machine_facts, page, section, table
from server.tools.bots.markup import element
from server.tools.bots.plots import Ratio

#: Rows whose ratios are drawn.
_DRAWN = ("server CPU an action", "both an action", "ack p50", "ack p99", "memory of a connection playing")


def render(found: Comparison) -> str:
    """The whole page, as HTML."""
    said = verdicts(found)
    table_rows = rows(found)
    names = [OURS.name, *found.peers()]
    return page(
        _headline(said, found.problems),
        _head(found, said),
        section("The budget", _budget(said)) if said else None,
        section("Ours by theirs", *_ratios(table_rows, names[1:])) if len(names) > 1 else None,
        section("What was measured", _values(table_rows, names)) if table_rows else None,
        section("Ours, by rooms and by rate", _series(found)) if found.by_rooms or found.by_rate else None,
        section("At low load", _commit(found)) if found.commit else None,
        section("Problems", element("ol", *(element("li", words) for words in found.problems), class_="problems"))
        if found.problems
        else None,
        section("What it was measured on", _machine(found)),
        section("The data", _raw(found)),
    )


def _headline(said: Sequence[Verdict], problems: Sequence[str]) -> str:
    if problems:
        return f"{figures.counted(len(problems), 'problem')}: no comparison"
    met = sum(verdict.is_met is True for verdict in said)
    return f"{met} of {figures.counted(len(said), 'budget')} met" if said else "Measured"


def _head(found: Comparison, said: Sequence[Verdict]) -> Element:
    options = found.options
    is_good = not found.problems and all(verdict.is_met for verdict in said)
    return element(
        "header",
        element("h1", _headline(said, found.problems), class_="held" if is_good else "broken"),
        element(
            "p",
            f"{options.load}, for {options.seconds:g} s after {options.warmup_s:g} s of warm-up; {options.runs} runs of"
            " each, ours and theirs in alternation on a database of their own in one PostgreSQL;"
            f" {found.conditions}. Medians, with the lowest and the highest; ratios are formed pair by pair.",
            class_="lead",
        ),
        element("ul", *(element("li", words) for words in found.cautions()), class_="cautions")
        if found.cautions()
        else None,
    )


def _budget(said: Sequence[Verdict]) -> Element:
    return table(
        ("", "found", "budget", ""),
        (
            (
                verdict.text,
                middle(verdict.found) if verdict.found is not None else figures.NOTHING,
                f"{verdict.budget:g}",
                element("span", "met" if verdict.is_met else "not met", class_="held" if verdict.is_met else "broken"),
            )
            for verdict in said
        ),
        "words",
    )


def _ratios(table_rows: Sequence[Row], peers: Sequence[str]) -> list[Element]:
    shown = [row for row in table_rows if row.ratios]
    cells = (
        (
            f"{row.name} (above 1 is better)" if row.is_better_high else row.name,
            *(_cell(row.ratios.get(peer)) for peer in peers),
        )
        for row in shown
    )
    drawn = [_plot(row) for row in shown if row.name in _DRAWN]
    return [*drawn, table(("", *(SUBJECTS[peer].title for peer in peers)), cells, "wide")]


def _values(table_rows: Sequence[Row], names: Sequence[str]) -> Element:
    cells = (
        (f"{row.name}, {row.unit}" if row.unit else row.name, *(_cell(row.values.get(name)) for name in names))
        for row in table_rows
    )
    return table(("", *(SUBJECTS[name].title for name in names)), cells, "wide")


def _plot(row: Row) -> Element:
    found = [
        Ratio(SUBJECTS[peer].title, ratio.median, ratio.low, ratio.high, middle(ratio))
        for peer, ratio in row.ratios.items()
        if ratio.low > 0
    ]
    return plots.ratios(f"{row.name}, ours by theirs", "left is less for ours", found)


def _series(found: Comparison) -> Element:
    by_load: dict[str, list[tuple[float, float, float, float]]] = {}
    for run in (*found.by_rooms, *found.by_rate):
        databases_us = run.database_cpu_us + run.cache_cpu_us
        by_load.setdefault(str(run.load), []).append((run.server_cpu_us, databases_us, run.ack_ms.p50, run.ack_ms.p99))
    cells = (
        (load, *(_cell(Middle.of(column)) for column in zip(*values, strict=True))) for load, values in by_load.items()
    )
    return table(("", "server CPU an action, us", "databases' CPU, us", "ack p50, ms", "ack p99, ms"), cells)


def _commit(found: Comparison) -> Element:
    return table(
        ("", "p50, ms"),
        (
            ("ack, from when the intent was due", _cell(_of(pair.ack_ms for pair in found.commit))),
            ("ack, from when it was sent", _cell(_of(pair.sent_to_ack_ms for pair in found.commit))),
            ("bare commit at the same pace", _cell(_of(pair.paced_ms for pair in found.commit))),
            ("bare commits without pauses", _cell(_of(pair.busy_ms for pair in found.commit))),
        ),
        "narrow",
    )


def _machine(found: Comparison) -> Element:
    return fact_list("The machine", {**machine_facts(found.machine), "Took": figures.duration(found.seconds)})


def _raw(found: Comparison) -> Element:
    told = msgspec.json.format(msgspec.json.encode(found), indent=1).decode()
    return element("details", element("summary", "The comparison as JSON"), element("pre", told, id="result"))


def _of(values: Iterable[float]) -> Middle | None:
    return Middle.of(values)


def _cell(value: Middle | None) -> str:
    return figures.NOTHING if value is None else middle(value)
