"""
Idle: what a connection costs that does nothing, and what it costs once it has played.

    join the first 500 --> quiet --> join all --> quiet, watched --> some play --> quiet

Memory is counted from the first 500 on, so that what the process needs anyway is left out. It is all that the server's
process has allocated, by whatever (anonymous pages). USS, PSS and RSS are reported beside it: they also change with
who else has the same libraries open. What the kernel keeps for the sockets is no process', and counted for the whole
machine: this side's and the crowd's.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import psutil

from bench import crowd
from bench.crowd import Crowd, Grow, Play
from bench.served import Served, Used

#: Joined before the first reading.
FIRST = 500
#: After the last join or answer, until what it set off is over.
QUIET_S = 3.0


class Plan(msgspec.Struct, frozen=True, rename="camel"):
    room: str
    rooms: int
    connections: int
    #: How long the idle are watched: a minute holds three pings of each and two rounds of records to Redis.
    idle_s: float
    playing: int
    rate_hz: float
    play_s: float


class Memory(msgspec.Struct, frozen=True, rename="camel"):
    """Bytes."""

    #: What the process has allocated.
    own: int
    uss: int
    pss: int
    rss: int
    #: The machine's TCP buffers, and what its kernel has in slabs that it can't give back.
    kernel_buffers: int
    kernel_slabs: int

    def each(self, before: "Memory", connections: int) -> "Memory":
        """The growth, for each of so many connections."""
        fields = self.__struct_fields__
        return Memory(**{name: (getattr(self, name) - getattr(before, name)) // connections for name in fields})


class Result(msgspec.Struct, frozen=True, rename="camel"):
    plan: Plan
    #: Of the whole process: with the first 500, with all, and after some have played.
    first: Memory
    idle: Memory
    played: Memory
    idle_each: Memory
    #: Beside what it cost idle, of each that played.
    played_each: Memory
    join_s: float
    joins_per_s: float
    #: CPU per connection joined, ms.
    join_cpu_ms: Used
    #: While all were idle, % of a core.
    idle_cpu_percent: Used
    sent: int
    acked: int


def main() -> int:
    plan, transport, as_json = _arguments()
    with Served(transport) as server, _crowd(server.url, Crowd(plan.room, plan.rooms)) as pipe:
        result = _measure(server, plan, pipe)
    print(msgspec.json.encode(result).decode() if as_json else _table(result))
    return 0 if result.sent == result.acked else 1


def _arguments() -> tuple[Plan, str, bool]:
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description="Idle connections: memory and CPU.")
    parser.add_argument("--connections", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--room", choices=("counter", "game"), default="game", help="(default: %(default)s)")
    parser.add_argument("--rooms", type=int, default=100, help="that they sit in (default: %(default)s)")
    parser.add_argument("--idle", type=float, default=60, help="seconds they are watched (default: %(default)s)")
    parser.add_argument("--playing", type=int, default=500, help="that play after that (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1, help="intents/s of each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="that they play (default: %(default)s)")
    parser.add_argument("--transport", choices=("picows", "websockets"), default="picows", help="the server's")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.connections <= FIRST:
        parser.error(f"--connections: expected more than {FIRST}, which come first")
    plan = Plan(given.room, given.rooms, given.connections, given.idle, given.playing, given.rate, given.seconds)
    return plan, given.transport, given.json


@contextmanager
def _crowd(url: str, of: Crowd) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=crowd.run, args=(url, of, theirs), name="crowd")
    process.start()
    theirs.close()  # so that a crash over there ends the wait here
    try:
        yield pipe
        pipe.send(None)
    finally:
        process.join(10)
        process.kill()


def _measure(server: Served, plan: Plan, pipe: Connection) -> Result:
    _ask(pipe, Grow(FIRST))
    first = _memory(server)
    used, began = server.used(), time.perf_counter()
    _ask(pipe, Grow(plan.connections), quiet_s=0)
    join_s = time.perf_counter() - began
    time.sleep(QUIET_S)
    joined = server.used()
    before_idle = time.perf_counter()
    time.sleep(plan.idle_s)
    idle_used, idle_s = server.used().since(joined), time.perf_counter() - before_idle
    idle = _memory(server)
    sent, acked = _ask(pipe, Play(plan.playing, plan.rate_hz, plan.play_s))
    played = _memory(server)
    joins = plan.connections - FIRST
    return Result(
        plan=plan,
        first=first,
        idle=idle,
        played=played,
        idle_each=idle.each(first, joins),
        played_each=played.each(idle, max(1, plan.playing)),
        join_s=join_s,
        joins_per_s=joins / join_s,
        join_cpu_ms=_scaled(joined.since(used), 1000 / joins),
        idle_cpu_percent=_scaled(idle_used, 100 / idle_s),
        sent=sent,
        acked=acked,
    )


def _ask(pipe: Connection, order: Grow | Play, quiet_s: float = QUIET_S) -> tuple[int, int]:
    pipe.send(order)
    answer: tuple[int, int] = pipe.recv()
    time.sleep(quiet_s)
    return answer


def _memory(server: Served) -> Memory:
    of_process = psutil.Process(server.pid).memory_full_info()
    tcp = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    slabs = _kib_of(Path("/proc/meminfo"), "SUnreclaim:")
    buffers = int(tcp.split()[-1]) * resource.getpagesize()
    return Memory(own_bytes(server.pid), of_process.uss, of_process.pss, of_process.rss, buffers, slabs * 1024)


def own_bytes(pid: int) -> int:
    """All that a process has allocated and touched."""
    return _kib_of(Path(f"/proc/{pid}/smaps_rollup"), "Anonymous:") * 1024


def _kib_of(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(name))


def _scaled(used: Used, by: float) -> Used:
    return Used(used.server * by, used.postgres * by, used.valkey * by)


def _table(result: Result) -> str:
    plan, each, played, cpu, joins = (
        result.plan,
        result.idle_each,
        result.played_each,
        result.idle_cpu_percent,
        result.join_cpu_ms,
    )

    def kib(memory: Memory) -> str:
        of_kernel = memory.kernel_buffers + memory.kernel_slabs
        return (
            f"{memory.own / 1024:5.1f} KiB   (USS {memory.uss / 1024:.1f}, PSS {memory.pss / 1024:.1f},"
            f" RSS {memory.rss / 1024:.1f} KiB)   the kernel, both ends: {of_kernel / 1024:.1f} KiB"
        )

    return "\n".join(
        (
            f"{plan.connections:,} connections in {plan.rooms} {plan.room} rooms;"
            f" counted from the first {FIRST} on, with which the process has {result.first.own / 2**20:.0f} MiB",
            "",
            f"idle         {kib(each)}",
            f"played       {kib(played)}   beside that, of each of {plan.playing:,}"
            f" at {plan.rate_hz:g}/s for {plan.play_s:g} s; {result.acked:,} of {result.sent:,} intents acked",
            "",
            f"joined       {result.joins_per_s:,.0f} a second, {result.join_s:.1f} s for all",
            f"  CPU each   server {joins.server:.2f} ms   PostgreSQL {joins.postgres:.2f} ms"
            f"   Valkey {joins.valkey:.2f} ms",
            f"CPU, idle    server {cpu.server:.1f} % of a core   PostgreSQL {cpu.postgres:.1f} %"
            f"   Valkey {cpu.valkey:.1f} %",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
