"""What both witnesses found, side by side."""

from collections.abc import Iterator, Sequence

from server.cli.printing import print_table
from server.tools.bots.result import Result, Spread


def show(witnesses: Sequence[tuple[str, Result]]) -> None:
    """On stdout, a column each."""
    columns = [dict(_rows(result)) for _, result in witnesses]
    names = [name for name, _ in witnesses]
    print_table(("", *names), ((row, *(column[row] for column in columns)) for row in columns[0]))


def _rows(of: Result) -> Iterator[tuple[str, str]]:
    rejected = ", ".join(f"{count:,} {code}" for code, count in sorted(of.rejected.items()))
    errors = ", ".join(f"{count:,} {what}" for what, count in sorted(of.errors.items()))
    yield "acked", f"{of.acked:,} of {of.sent:,}"
    yield "acked a second", f"{of.acked_per_s:,.1f}"
    yield "rejected", rejected or "none"
    yield "errors", errors or "none"
    yield "ack p50 / p99 / p99.9 ms", _spread(of.ack_ms)
    yield "seen by others", _spread(of.seen_ms)
    yield "late themselves", _spread(of.late_ms)
    yield "bytes in, a client and second", f"{of.bytes_in_per_client_s:,.0f}"
    yield "frames in", f"{of.frames_in:,}"
    yield "CPU of the clients", f"{of.bots_cpu_s / of.seconds:.0%} of a core"
    yield "reconnects, duplicates", f"{of.reconnects:,}, {of.duplicates:,}"
    yield "unanswered", f"{of.unanswered:,}"
    yield "lost, doubled, gaps, diverged", f"{of.lost:,}, {of.doubled:,}, {of.gaps:,}, {of.diverged:,}"
    yield "problems", f"{of.problem_count:,}"


def _spread(of: Spread) -> str:
    return f"{of.p50:,.1f} / {of.p99:,.1f} / {of.p999:,.1f}"
