"""Facts about `/healthz` and `/readyz`: ready means that an intent could be acked now."""

import msgspec
import pytest

from server.ops.dependencies import SLOW_S, Dependency
from server.ops.health import Facts, liveness, readiness

WELL = Facts(is_schema_known=True, is_lease_held=True, is_draining=False)


@pytest.fixture
def postgres() -> Dependency:
    return Dependency("postgres", 0.0)


@pytest.fixture
def redis() -> Dependency:
    return Dependency("redis", 0.0)


def test_the_living_are_well() -> None:
    assert liveness() == (200, {"status": "ok"})


def test_ready_names_every_dependency(postgres: Dependency, redis: Dependency) -> None:
    ok = {"status": "ok"}
    dependencies = {"postgres": ok, "redis": ok, "schema": ok, "lease": ok, "node": ok}
    assert (200, {"ready": True, "dependencies": dependencies}) == readiness(postgres, redis, WELL)


def test_a_lost_postgres_is_not_ready_with_status_reason_and_time(postgres: Dependency, redis: Dependency) -> None:
    postgres.failed(1.0, "timeout")
    postgres.failed(2.0, "read_only")
    status, body = readiness(postgres, redis, WELL)
    assert (status, body["ready"]) == (503, False)
    assert body["dependencies"]["postgres"] == {"status": "unavailable", "reason": "read_only", "since": 1000}


def test_a_slow_postgres_is_ready_and_said_to_be_slow(postgres: Dependency, redis: Dependency) -> None:
    postgres.succeeded(1.0, SLOW_S)
    postgres.succeeded(2.0, SLOW_S)
    status, body = readiness(postgres, redis, WELL)
    assert (status, body["dependencies"]["postgres"]["reason"]) == (200, "slow")


def test_redis_is_shown_and_does_not_count(postgres: Dependency, redis: Dependency) -> None:
    redis.failed(1.0, "refused")
    redis.failed(2.0, "refused")
    status, body = readiness(postgres, redis, WELL)
    assert (status, body["dependencies"]["redis"]["status"]) == (200, "unavailable")


@pytest.mark.parametrize(
    ("fact", "name", "reason"),
    [
        ({"is_schema_known": False}, "schema", "unknown_schema"),
        ({"is_lease_held": False}, "lease", "not_held"),
        ({"is_draining": True}, "node", "draining"),
    ],
)
def test_each_missing_need_is_named(
    postgres: Dependency, redis: Dependency, fact: dict[str, bool], name: str, reason: str
) -> None:
    status, body = readiness(postgres, redis, msgspec.structs.replace(WELL, **fact))
    assert (status, body["ready"]) == (503, False)
    assert {"status": "unavailable", "reason": reason} == body["dependencies"][name]
