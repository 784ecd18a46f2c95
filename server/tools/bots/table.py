"""
Table: a run in the terminal, while it goes on and when it has ended.

    stderr   the live table; where it is no terminal, a plain line every few seconds
    stdout   the run's figures at its end, as plain text, for people

What came from outside may hold controls that steer a terminal; they are spelled out.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from server.cli.printing import shown
from server.tools.bots import figures
from server.tools.bots.figures import NOTHING
from server.tools.bots.result import Phase, Plan, Progress, Result, Spread
from server.tools.bots.verdict import found_by, verdict

#: Between two plain lines of one phase, at least: with a Progress each second, every five seconds.
LINE_EVERY_S = 4.5
#: Errors of the live table, the most frequent ones; the others are summed.
ERRORS_MAX = 4
#: Columns of the bar.
_BAR = 40

_PHASES: dict[Phase, str] = {
    "joining": "joining",
    "warmup": "warming up",
    "measuring": "measuring",
    "settling": "settling and checking",
}


@contextmanager
def shown_on(
    plan: Plan, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[Progress], None]]:
    """Shows a run until the block ends, on stderr unless another stream is given. What it yields takes a Progress about
    once a second and at each change of phase."""
    stream = stream or sys.stderr
    console = Console(file=stream, highlight=False, emoji=False)
    if not console.is_terminal:
        yield _Lines(plan, stream, clock)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda progress: live.update(drawn(progress, plan), refresh=True)


def drawn(progress: Progress, plan: Plan) -> Group:
    """The live table as it stands."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    for name, value in _rows(progress, plan):
        rows.add_row(name, value)
    if progress.problem is not None:
        rows.add_row("problem", Text(shown(progress.problem), style="red", overflow="ellipsis", no_wrap=True))
    return Group(_bar(progress), rows)


def line(progress: Progress, plan: Plan) -> str:
    """The same in one line, for logs and pipes."""
    rows = (f"{name} {value.plain}" for name, value in _rows(progress, plan))
    return "; ".join((f"{_PHASES[progress.phase]} {_elapsed(progress)}", *rows))


def told(result: Result) -> str:
    """A run's figures at its end, in lines; every one that could be asserted is among them."""
    plan, found = result.plan, verdict(result)
    server = result.server or {}
    name = " ".join(str(server[key]) for key in ("name", "version") if key in server) or plan.target
    lines = (
        f"{'✓' if found.held else '✗'} {found.headline}. {found.promises}.",
        f"{figures.counted(plan.clients, 'client')} in {figures.counted(plan.rooms, plan.room + ' room')},"
        f" {figures.plain(plan.rate_hz)} intents/s each, {plan.model} model, {figures.duration(result.seconds)}"
        f" after {figures.duration(plan.warmup_s)} of warm-up, seed {plan.seed}; {name} at {plan.url}",
        "",
        *_latencies(result),
        "",
        f"acked      {result.acked:,} of {result.sent:,} sent, {figures.number(result.acked_per_s)} a second"
        f" of {figures.plain(plan.clients * plan.rate_hz)} asked for;"
        f" {figures.counted(result.duplicates, 'duplicate')}, {result.unanswered:,} unanswered",
        f"refused    {_by_kind(result.rejected)}",
        f"errors     {_by_kind(result.errors)}; {figures.counted(result.reconnects, 'reconnect')}",
        f"checked    {result.lost:,} lost, {result.doubled:,} doubled, {figures.counted(result.gaps, 'gap')},"
        f" {result.diverged:,} diverged",
        f"received   {figures.size(result.bytes_in_per_client_s)}/s by each client,"
        f" {figures.size(result.bytes_in)} in {result.frames_in:,} frames; sent {figures.size(result.bytes_out)}",
        f"machine    {_machine(result)}",
        *(
            f"{'held' if each.passed else 'FAILED':<9}  {each.text}   (found {found_by(each)})"
            for each in result.assertions
        ),
        *(f"beware     {caution}" for caution in found.cautions),
        *(f"problem    {problem}" for problem in result.problems),
        *([f"           and {more:,} more"] if (more := result.problem_count - len(result.problems)) > 0 else []),
    )
    return "".join(f"{shown(each)}\n" for each in lines)


class _Lines:
    """One line at each change of phase, and between them at most one in a while."""

    def __init__(self, plan: Plan, stream: TextIO, clock: Callable[[], float]) -> None:
        self._plan = plan
        self._stream = stream
        self._clock = clock
        self._phase: Phase | None = None
        self._next_at = 0.0

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        if progress.phase == self._phase and now < self._next_at:
            return
        self._phase, self._next_at = progress.phase, now + LINE_EVERY_S
        self._stream.write(f"{line(progress, self._plan)}\n")
        self._stream.flush()


def _bar(progress: Progress) -> Table:
    done, total = progress.elapsed_s, progress.total_s
    if progress.phase == "joining":
        done, total = progress.joined, progress.clients
    row = Table.grid(padding=(0, 2))
    row.add_row(
        Text(_PHASES[progress.phase], style="bold"),
        ProgressBar(total=total, completed=min(done, total or done), width=_BAR, pulse=total is None),
        _elapsed(progress),
    )
    return row


def _elapsed(progress: Progress) -> str:
    of = f" of {figures.duration(progress.total_s)}" if progress.total_s is not None else ""
    return f"{figures.duration(round(progress.elapsed_s))}{of}"


def _rows(progress: Progress, plan: Plan) -> Iterator[tuple[str, Text]]:
    yield "joined", Text(f"{progress.joined:,} of {progress.clients:,}")
    yield (
        "a second",
        Text(
            f"{figures.plain(plan.clients * plan.rate_hz)} asked, {figures.plain(round(progress.sent_per_s))} sent,"
            f" {figures.plain(round(progress.acked_per_s))} acked, {figures.size(progress.bytes_in_per_s)} received"
        ),
    )
    yield "ack", Text(f"p50 {_measured(progress.ack_p50_ms)}, p99 {_measured(progress.ack_p99_ms)}")
    yield "seen", Text(f"p99 {_measured(progress.seen_p99_ms)}")
    yield "in all", Text(f"{progress.acked:,} acked of {progress.sent:,}, {progress.rejected:,} refused")
    wrong = {"lost": progress.lost, "doubled": progress.doubled, "gaps": progress.gaps}
    checked = (Text(f"{count:,} {name}", style="bold red" if count else "") for name, count in wrong.items())
    yield "checked", Text(", ").join([*checked, Text(f"{progress.reconnects:,} reconnects")])
    yield "errors", Text(_by_kind(progress.errors, ERRORS_MAX), style="yellow" if progress.errors else "")


def _measured(value_ms: float) -> str:
    """A second in which nothing was acked has no latency."""
    return figures.milliseconds(value_ms) if value_ms else NOTHING


def _by_kind(counts: Mapping[str, int], kinds_max: int | None = None) -> str:
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    kept, rest = ranked[:kinds_max], sum(count for _, count in ranked[len(ranked[:kinds_max]) :])
    words = [f"{count:,} {shown(kind)}" for kind, count in kept]
    return ", ".join([*words, f"{rest:,} others"] if rest else words) or "none"


def _latencies(result: Result) -> Iterator[str]:
    yield (
        f"{'ms':<8}"
        + "".join(f"{name:>10}" for name in ("p50", "p90", "p99", "p99.9", "max", "mean"))
        + f"{'count':>14}"
    )
    for name, of in (("ack", result.ack_ms), ("seen", result.seen_ms), ("late", result.late_ms)):
        yield f"{name:<8}" + "".join(f"{_number(of, value):>10}" for value in _values(of)) + f"{of.count:>14,}"


def _values(of: Spread) -> tuple[float, ...]:
    return of.p50, of.p90, of.p99, of.p999, of.max, of.mean


def _number(of: Spread, value: float) -> str:
    return figures.number(value) if of.count else NOTHING


def _machine(result: Result) -> str:
    machine, fsync = result.machine, result.machine.fsync_ms
    disk = f", fsync p50 {figures.number(fsync.p50)} p99 {figures.milliseconds(fsync.p99)}" if fsync else ""
    used = f"; the bots took {result.bots_cpu_s / result.seconds * 100:.0f} % of a core" if result.seconds else ""
    return (
        f"{figures.counted(machine.cores, 'core')} ({machine.cpu}), {figures.memory(machine.memory_bytes)},"
        f" {machine.kernel}, {machine.python}{disk}{used}"
    )
