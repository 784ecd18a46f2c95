"""
Tables: a comparison for a person at a terminal, or in a log.
"""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.budget import verdicts
from bench.comparison import Comparison, Row, rows
from bench.ratios import Middle, Verdict
from bench.run import Figures
from bench.subjects import OURS

_PIPE_WIDTH = 160
_PROBLEMS_SHOWN = 10
_HEADS = {
    "holdfast": "Holdfast",
    "colyseus-memory": "Colyseus\nnothing kept",
    "colyseus-insert": "Colyseus\nINSERT each",
    "colyseus-batched": "Colyseus\nbatched",
    "socketio-memory": "socketio\nnothing kept",
    "socketio-batched": "socketio\nbatched",
}


def show(found: Comparison) -> None:
    """On stdout."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, emoji=False)
    options = found.options
    console.print(
        f"{options.load}, {options.runs} runs of {options.seconds:g} s each after {options.warmup_s:g} s;"
        f" {found.conditions}; medians (lowest to highest)"
    )
    table = rows(found)
    names = [OURS.name, *found.peers()]
    if table:
        console.print(_values(table, names))
    if len(names) > 1 and any(row.ratios for row in table):
        console.print(_ratios([row for row in table if row.ratios], names[1:]))
    for title, runs, is_by_rooms in (
        ("Ours by rooms", found.by_rooms, True),
        ("Ours by rate", found.by_rate, False),
    ):
        if runs:
            console.print(_series(title, runs, is_by_rooms=is_by_rooms))
    if found.commit:
        console.print(_commit(found))
    for caution in found.cautions():
        console.print(f"note    {caution}")
    for verdict in verdicts(found):
        console.print(_verdict(verdict))
    for problem in found.problems[:_PROBLEMS_SHOWN]:
        console.print(Text(f"WRONG   {problem}", style="bold red"))
    if len(found.problems) > _PROBLEMS_SHOWN:
        console.print(f"        and {len(found.problems) - _PROBLEMS_SHOWN:,} more, in --json")


def _values(table: Sequence[Row], names: Sequence[str]) -> Table:
    shown = _table("", [_HEADS[name] for name in names])
    for row in table:
        label = f"{row.name}, {row.unit}" if row.unit else row.name
        shown.add_row(label, *(_middle(row.values.get(name)) for name in names))
    return shown


def _ratios(table: Sequence[Row], peers: Sequence[str]) -> Table:
    shown = _table("Ours by theirs: below 1 ours takes less", [_HEADS[name] for name in peers])
    for row in table:
        label = f"{row.name} (above 1 is better)" if row.is_better_high else row.name
        shown.add_row(label, *(_middle(row.ratios.get(name)) for name in peers))
    return shown


def _series(title: str, runs: Sequence[Figures], *, is_by_rooms: bool) -> Table:
    shown = _table(title, ["server CPU\nan action, us", "databases'\nCPU, us", "ack p50, ms", "ack p99, ms"])
    keys = {(run.load.rooms if is_by_rooms else run.load.rate_hz): str(run.load) for run in runs}
    for key in sorted(keys):
        own = [run for run in runs if (run.load.rooms if is_by_rooms else run.load.rate_hz) == key]
        shown.add_row(
            keys[key],
            _of(run.server_cpu_us for run in own),
            _of(run.database_cpu_us + run.cache_cpu_us for run in own),
            _of(run.ack_ms.p50 for run in own),
            _of(run.ack_ms.p99 for run in own),
        )
    return shown


def _commit(found: Comparison) -> Table:
    shown = _table("At low load", ["p50, ms"])
    shown.add_row("ack, from when the intent was due", _of(pair.ack_ms for pair in found.commit))
    shown.add_row("ack, from when it was sent", _of(pair.sent_to_ack_ms for pair in found.commit))
    shown.add_row("bare commit at the same pace", _of(pair.paced_ms for pair in found.commit))
    shown.add_row("bare commits without pauses", _of(pair.busy_ms for pair in found.commit))
    return shown


def _verdict(verdict: Verdict) -> Text:
    assert verdict.found is not None
    word, style = ("met", "bold green") if verdict.is_met else ("NOT MET", "bold red")
    said = Text(f"{word:<8}", style=style)
    return said.append(f"{verdict.text}: {middle(verdict.found)}, budget {verdict.budget:g}", style="default")


def _table(title: str, heads: Sequence[str]) -> Table:
    shown = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("")
    for head in heads:
        shown.add_column(head, justify="right", no_wrap=True)
    return shown


def _of(values: Iterable[float]) -> Text:
    return _middle(Middle.of(values))


def _middle(value: Middle | None) -> Text:
    return Text("-", style="dim") if value is None else Text(middle(value))


def middle(value: Middle) -> str:
    """Such as "0.82 (0.80-0.85)"; of a single run the value alone."""
    if value.count == 1 or value.low == value.high:
        return number(value.median)
    return f"{number(value.median)} ({number(value.low)}-{number(value.high)})"


def number(value: float) -> str:
    """Three figures, and all of them before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
