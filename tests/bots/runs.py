"""Runs of the bots as they may have been, for what shows them."""

import math
from random import Random
from typing import Any

import msgspec

from server.tools.bots.result import Asserted, Fsync, Machine, Plan, Progress, Result, Second, Spread

PLAN = Plan(
    url="http://127.0.0.1:2567",
    target="holdfast",
    room="game",
    rooms=10,
    clients=500,
    rate_hz=15,
    duration_s=60,
    warmup_s=5,
    model="open",
    seed=1,
)
MACHINE = Machine(
    cpu="AMD EPYC 7763 64-Core Processor",
    cores=2,
    memory_bytes=8 << 30,
    kernel="Linux 6.8.0",
    python="CPython 3.11.7",
    versions={"holdfast": "0.3.0", "msgspec": "0.22.0", "picows": "2.3.1"},
    fsync_ms=Fsync(p50=0.412, p99=2.19),
    load_average=(1.4, 0.9, 0.7),
)


def timeline(length_s: int, acked: int, random: Random) -> list[Second]:
    """With a slow drift, and a stall now and then."""
    seconds = []
    for at in range(1, length_s + 1):
        is_stalled = random.random() < 0.01
        done = 0 if is_stalled else round(acked * (0.97 + random.random() * 0.06))
        p50 = 0.0 if is_stalled else 6.5 + math.sin(at / 40) + random.random()
        seconds.append(
            Second(
                at_s=float(at),
                sent=acked,
                acked=done,
                rejected=0,
                ack_p50_ms=p50,
                ack_p99_ms=p50 * random.uniform(2.5, 5),
                seen_p99_ms=0.0 if is_stalled else 55 + random.expovariate(0.2),
                bytes_in=done * 640,
            )
        )
    return seconds


def run(length_s: int = 60, acked: int = 7_500, plan: Plan = PLAN, **changes: Any) -> Result:
    """A run in which all went well, but for what is changed."""
    made = Result(
        plan=msgspec.structs.replace(plan, duration_s=float(length_s)),
        machine=MACHINE,
        server={"name": "holdfast", "version": "0.3.0", "protocolVersion": "1", "schemaHash": "9f2c51ab"},
        started_at=1_780_000_000_000,
        seconds=float(length_s),
        sent=acked * length_s,
        acked=acked * length_s,
        duplicates=0,
        unanswered=0,
        acked_per_s=float(acked),
        rejected={},
        errors={},
        ack_ms=Spread(acked * length_s, 8.14, 6.87, 12.4, 28.9, 46.2, 81.3),
        seen_ms=Spread(acked * length_s * 49, 38.6, 37.2, 56.1, 71.8, 96.4, 142.0),
        late_ms=Spread(acked * length_s, 0.21, 0.14, 0.38, 1.9, 5.2, 11.7),
        lost=0,
        doubled=0,
        gaps=0,
        diverged=0,
        reconnects=0,
        frames_in=acked * length_s * 3,
        bytes_in=acked * length_s * 640,
        bytes_out=acked * length_s * 38,
        bytes_in_per_client_s=acked * 640 / 500,
        bots_cpu_s=length_s * 0.46,
        timeline=timeline(length_s, acked, Random(3)),
        problems=[],
        problem_count=0,
        assertions=[Asserted("ack.p99<50ms", 28.9, True), Asserted("lost==0", 0.0, True)],
    )
    return msgspec.structs.replace(made, **changes)


def progress(**changes: Any) -> Progress:
    made = Progress(
        phase="measuring",
        elapsed_s=12.0,
        total_s=60.0,
        joined=500,
        clients=500,
        sent=90_000,
        acked=89_950,
        rejected=0,
        sent_per_s=7_500.0,
        acked_per_s=7_496.0,
        bytes_in_per_s=4_800_000.0,
        ack_p50_ms=6.87,
        ack_p99_ms=28.9,
        seen_p99_ms=71.8,
        lost=0,
        doubled=0,
        gaps=0,
        reconnects=0,
        errors={},
    )
    return msgspec.structs.replace(made, **changes)
