"""
Health: the bodies of `/healthz` and `/readyz`, from facts that others know.

Alive means that the process answers at all: restarting it mends nothing that `/readyz` complains of. Ready
means that an intent could be acked now. Redis is shown and does not count: no ack depends on it.
"""

from typing import Any

import msgspec

from server.ops.dependencies import Dependency


class Facts(msgspec.Struct, frozen=True):
    """What readiness rests on, as known at this moment."""

    #: The database's schema is the one this code needs.
    is_schema_known: bool
    #: This node's lease runs, and nobody has fenced it.
    is_lease_held: bool
    #: The node is to stop: it takes nothing new.
    is_draining: bool


def liveness() -> tuple[int, dict[str, Any]]:
    """HTTP status and body of `/healthz`."""
    return 200, {"status": "ok"}


def readiness(postgres: Dependency, redis: Dependency, facts: Facts) -> tuple[int, dict[str, Any]]:
    """
    HTTP status and body of `/readyz`: `{ready, dependencies: {name: {status, reason?, since?}}}`.

    `dependencies` also names what readiness needs beside the databases: `schema`, `lease`, and `node` (draining).
    """
    is_ready = postgres.is_writable and facts.is_schema_known and facts.is_lease_held and not facts.is_draining
    dependencies = {
        "postgres": _shown(postgres),
        "redis": _shown(redis),
        "schema": _required(facts.is_schema_known, "unknown_schema"),
        "lease": _required(facts.is_lease_held, "not_held"),
        "node": _required(not facts.is_draining, "draining"),
    }
    return (200 if is_ready else 503), {"ready": is_ready, "dependencies": dependencies}


def _shown(dependency: Dependency) -> dict[str, Any]:
    trouble = dependency.trouble
    if trouble is None:
        return {"status": "ok"}
    # The state's own reason: the announced one may be older.
    return {"status": dependency.status, "reason": dependency.reason, "since": trouble.since}


def _required(is_met: bool, reason: str) -> dict[str, Any]:
    return {"status": "ok"} if is_met else {"status": "unavailable", "reason": reason}
