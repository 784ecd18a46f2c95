"""
Plan: what was asked for on the command line, understood before anything begins.
"""

import re
from urllib.parse import urlsplit

from server.tools.bots.courses import COURSES
from server.tools.bots.result import Model, Plan, Target

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}


class BadPlan(Exception):
    """It can't be understood, or is not of one piece; the text says what was expected."""


def plan_of(
    *,
    url: str,
    target: Target,
    room: str,
    rooms: int,
    clients: int,
    rate_hz: float,
    duration: str,
    warmup: str,
    model: Model,
    seed: int,
) -> Plan:
    """Raises BadPlan."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadPlan(f"--url: expected such as http://127.0.0.1:2567, got {url!r}")
    if room not in COURSES:
        raise BadPlan(f"--room: the bots know {', '.join(sorted(COURSES))}, not {room!r}")
    if rooms > clients:
        raise BadPlan(f"--rooms: each room is made by a bot, so at most as many as --clients ({clients}), got {rooms}")
    measured_s = seconds("--duration", duration)
    if not measured_s:
        raise BadPlan("--duration: expected more than nothing")
    return Plan(
        url=url.rstrip("/"),
        target=target,
        room=room,
        rooms=rooms,
        clients=clients,
        rate_hz=rate_hz,
        duration_s=measured_s,
        warmup_s=seconds("--warmup", warmup),
        model=model,
        seed=seed,
    )


def seconds(flag: str, text: str) -> float:
    """Of `30`, `30s`, `1.5m`. Raises BadPlan."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise BadPlan(f"{flag}: expected a time such as 30, 30s or 2m, got {text!r}")
    return float(found[1]) * _SECONDS[found[2]]
