"""
Cost: one run of ours, for whoever works on the hot path. What an acked action costs, and where the time goes.

    python -m bench.cost                              100 clients in 4 rooms
    python -m bench.cost --clients 500 --rooms 10     the load of the budget

Pinned and checked as in the comparison. One run says little on a busy machine: take several, in turns with what was
before.
"""

import argparse
import sys
import urllib.request
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from bench.databases import Databases
from bench.generator import Load
from bench.places import Places, choose
from bench.run import Figures, measure
from bench.subjects import OURS, Running
from server import is_compiled
from server.exit_codes import ExitCode


class Flushes(msgspec.Struct, frozen=True):
    """The server's own count of its commits, of the whole run."""

    flushes: float
    actions: float
    seconds: float


class Cost(msgspec.Struct, frozen=True):
    """One run, for `--json`."""

    figures: Figures
    flushes: Flushes


def main() -> int:
    given = _arguments()
    load = Load(given.clients, given.rooms, given.rate, given.seconds, given.warmup, given.room)
    places = choose()
    with (
        Databases(places.databases) as databases,
        Running(OURS, databases, places.server, transport=given.transport) as running,
    ):
        found = Cost(measure(running, load, places), _flushes(running.url))
    print(_told(found, places))
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    return ExitCode.PROBLEM if found.figures.problems else ExitCode.OK


def _flushes(url: str) -> Flushes:
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        text = answer.read().decode()
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }
    return Flushes(
        samples["holdfast_commit_actions_count"],
        samples["holdfast_commit_actions_sum"],
        samples["holdfast_commit_seconds_sum"],
    )


def _told(found: Cost, places: Places) -> str:
    run, flushes = found.figures, found.flushes
    rejected = ", ".join(f"{count} {code}" for code, count in sorted(run.rejected.items())) or "none"
    each = [
        ("server", run.server_cpu_us, run.server_core),
        ("PostgreSQL", run.database_cpu_us, run.database_cpu_us * run.acked_per_s / 1e6),
        ("Valkey", run.cache_cpu_us, run.cache_cpu_us * run.acked_per_s / 1e6),
        ("bots", run.bots_cpu_us, run.bots_core),
    ]
    spreads = [("ack", run.ack_ms), ("seen", run.seen_ms), ("bots late", run.late_ms)]
    return "\n".join(
        (
            f"{run.load}; {places}; fsync on; {'compiled' if is_compiled else 'not compiled'}",
            f"acks        {run.acked_per_s:,.0f} a second; rejected: {rejected}; unanswered: {run.unanswered}",
            *(
                f"{name:<12}p50 {of.p50:6.2f}   p99 {of.p99:6.2f}   p99.9 {of.p999:6.2f}   max {of.max:6.1f} ms"
                for name, of in spreads
            ),
            f"flushes     {flushes.flushes:,.0f} of {flushes.actions / max(1, flushes.flushes):.1f} actions,"
            f" {flushes.seconds / max(1, flushes.flushes) * 1000:.1f} ms each",
            f"to clients  {run.bytes_in_per_client_s / 1024:.1f} KiB/s each",
            "CPU an acked action",
            *(f"  {name:<10}{cpu_us:6.1f} us, {core * 100:3.0f} % of a core" for name, cpu_us, core in each),
            *(f"WRONG       {problem}" for problem in run.problems),
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cost",
        description="What an acked action of ours costs: one run.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--clients", type=int, default=100, help="bots")
    add("--rooms", type=int, default=4, help="rooms they are in")
    add("--rate", type=float, default=15, help="intents/s of each")
    add("--seconds", type=float, default=15, help="measured time")
    add("--warmup", type=float, default=3, help="seconds before it")
    add("--room", choices=("game", "counter"), default="game", help="what they play")
    add("--transport", choices=("picows", "websockets"), default="picows", help="the server's")
    add("--json", type=Path, metavar="FILE", help="what was found")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
