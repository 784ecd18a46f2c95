"""
Acks: what a durable, acknowledged intent costs, and how long its player waits. `make bench` runs it.

A server with fsync on, players in a process of their own on the same machine. What is measured is
checked as well: each intent has one outcome, acks are in order, the deltas chain, and every ack is in
PostgreSQL's `actions` at its roomSeq. If not, the exit status is 1. Slowness alone is no failure.
"""

import argparse
import asyncio
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec
import psutil

from bench import load
from bench.intents import COURSES
from bench.load import Heard, Plan, Spread
from bench.player import Acked
from bench.served import Flushes, Served, Used


class Measured(msgspec.Struct, frozen=True):
    """What passed between the marks that begin and end the measured time."""

    acks: int
    seconds: float
    used: Used
    #: CPU seconds of the players' process.
    load_used: float
    flushes: Flushes


class Result(msgspec.Struct, frozen=True):
    """One run, for `--json`."""

    plan: Plan
    transport: str
    machine: str
    measured: Measured
    heard: Heard
    #: Acks found in PostgreSQL as they were told, of those in `heard.acked`.
    acked: int
    in_journal: int
    problems: list[str]


def main() -> int:
    plan, transport, as_json = _arguments()
    with Served(transport) as server:
        measured, heard = _measure(server, plan)
        in_journal = asyncio.run(_in_journal(server.databases.database_url, heard.acked))
    problems = list(heard.problems)
    if in_journal < len(heard.acked):
        problems.append(f"{len(heard.acked) - in_journal} acks are not in PostgreSQL at their roomSeq")
    result = Result(
        plan=plan,
        transport=transport,
        machine=_machine(),
        measured=measured,
        heard=msgspec.structs.replace(heard, acked=[]),
        acked=len(heard.acked),
        in_journal=in_journal,
        problems=problems,
    )
    print(msgspec.json.encode(result).decode() if as_json else _table(result))
    return 1 if problems else 0


def _arguments() -> tuple[Plan, str, bool]:
    parser = argparse.ArgumentParser(prog="python -m bench.acks", description="Acks: cost and latency, checked.")
    parser.add_argument("--clients", type=int, default=100, help="players (default: %(default)s)")
    parser.add_argument("--rooms", type=int, default=4, help="rooms they are in (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=15, help="intents/s of each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15, help="measured time (default: %(default)s)")
    parser.add_argument("--warmup", type=float, default=3, help="seconds before it (default: %(default)s)")
    parser.add_argument("--room", choices=sorted(COURSES), default="game", help="(default: %(default)s)")
    parser.add_argument("--transport", choices=("picows", "websockets"), default="picows", help="the server's")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    plan = Plan(given.room, given.clients, given.rooms, given.rate, given.seconds, given.warmup)
    return plan, given.transport, given.json


def _measure(server: Served, plan: Plan) -> tuple[Measured, Heard]:
    context = multiprocessing.get_context("spawn")
    from_load, to_parent = context.Pipe(duplex=False)
    process = context.Process(target=load.run, args=(server.url, plan, to_parent), name="players")
    process.start()
    to_parent.close()  # so that a crash over there ends the wait here
    try:
        players = psutil.Process(process.pid)
        readings = []
        for _ in ("begin", "end"):
            acks = from_load.recv()
            times = players.cpu_times()
            readings.append((acks, time.perf_counter(), server.used(), times.user + times.system, server.flushes()))
        heard = from_load.recv()
    finally:
        process.join()
    (acks, began, used, load_used, flushes), after = readings
    measured = Measured(
        acks=after[0] - acks,
        seconds=after[1] - began,
        used=after[2].since(used),
        load_used=after[3] - load_used,
        flushes=after[4].since(flushes),
    )
    return measured, heard


async def _in_journal(database_url: str, acked: Sequence[Acked]) -> int:
    """How many of the acks are rows of `actions`, at the roomSeq and for the intent they were given for."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT room_id, room_seq, session_id, seq FROM actions WHERE seq IS NOT NULL")
    finally:
        await connection.close()
    durable = {tuple(row) for row in rows}
    return sum((ack.room_id, ack.room_seq, ack.session_id, ack.seq) in durable for ack in acked)


def _table(result: Result) -> str:
    plan, heard, measured = result.plan, result.heard, result.measured
    used, flushes = measured.used, measured.flushes
    rejected = ", ".join(f"{count} {code}" for code, count in sorted(heard.rejected.items())) or "none"

    def each(cpu_s: float) -> str:
        return f"{cpu_s / max(1, measured.acks) * 1e6:5.0f} us, {cpu_s / measured.seconds * 100:3.0f} % of a core"

    def spread(of: Spread) -> str:
        return f"p50 {of.p50:6.1f}   p99 {of.p99:6.1f}   p99.9 {of.p999:6.1f}   max {of.max:6.1f} ms"

    return "\n".join(
        (
            f"{plan.clients} clients in {plan.rooms} {plan.room} rooms at {plan.rate:g}/s for {plan.seconds:g} s"
            f" after {plan.warmup_s:g} s of warm-up; transport {result.transport}; fsync on",
            result.machine,
            "",
            f"acks         {measured.acks / measured.seconds:,.0f} a second, {measured.acks:,} in all;"
            f" rejected: {rejected}; unanswered: {heard.unanswered}",
            f"ack latency  {spread(heard.ack_ms)}   from when the intent was due",
            f"staleness    {spread(heard.stale_ms)}   from a change's ack to its delta; {heard.deltas:,} deltas",
            f"flushes      {flushes.flushes / measured.seconds:,.0f} a second"
            f" of {flushes.actions / max(1, flushes.flushes):.1f} actions,"
            f" {flushes.seconds / max(1, flushes.flushes) * 1000:.1f} ms each",
            "",
            "CPU per acked intent",
            f"  server     {each(used.server)}",
            f"  PostgreSQL {each(used.postgres)}",
            f"  Valkey     {each(used.valkey)}",
            f"  players    {each(measured.load_used)};"
            f" they were late by p50 {heard.late_ms.p50:.1f}, p99 {heard.late_ms.p99:.1f} ms",
            "",
            f"checked      one outcome each; acks in order; deltas chain;"
            f" {result.in_journal:,} of {result.acked:,} acks in PostgreSQL at their roomSeq",
            *(f"DEGRADED     {event}" for event in heard.degraded),
            *(f"WRONG        {problem}" for problem in result.problems),
        )
    )


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores ({model}), {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
