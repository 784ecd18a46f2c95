"""Figures of runs that nobody made, for tests of what is worked out from them."""

from bench.generator import Load
from bench.run import Figures
from server.tools.bots.result import Spread


def figures(subject: str = "holdfast", *, cpu_us: float = 40.0, p99_ms: float = 10.0, **changed: object) -> Figures:
    """One run of 500 clients in 10 rooms at 15/s, all of it acked."""
    load = Load(clients=500, rooms=10, rate_hz=15, seconds=6, warmup_s=1)
    facts: dict[str, object] = {
        "subject": subject,
        "load": load,
        "server_cpu_us": cpu_us,
        "database_cpu_us": 0.0,
        "cache_cpu_us": 0.0,
        "bots_cpu_us": 30.0,
        "server_core": 0.5,
        "bots_core": 0.3,
        "load_core": 0.4,
        "acked_per_s": 7_500.0,
        "ack_ms": Spread(count=1, p50=p99_ms / 4, p99=p99_ms, p999=p99_ms * 2),
        "seen_ms": Spread(),
        "late_ms": Spread(),
        "bytes_in_per_client_s": 1024.0,
        "uss_bytes": 0,
        "pss_bytes": 0,
        "sent": 45_000,
        "acked": 45_000,
        "unanswered": 0,
        "rejected": {},
        "errors": {},
        "problems": [],
    }
    return Figures(**{**facts, **changed})  # type: ignore[arg-type]
