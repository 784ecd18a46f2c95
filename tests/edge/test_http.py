"""HTTP beside matchmaking: health, the version, metrics, errors, and what a request may look like."""

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from contracts import PROTOCOL_VERSION, limits
from contracts.version import schema_hash
from tests.edge.transport.raw_client import Client as RawClient
from tests.serving import Server
from tests.wire import Client


async def test_health_readiness_and_version(client: Client) -> None:
    assert (await client.http.get("/healthz")).status_code == 200
    ready = await client.http.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["dependencies"]["postgres"] == {"status": "ok"}
    version = (await client.http.get("/version")).json()
    assert (version["name"], version["protocolVersion"]) == ("holdfast", PROTOCOL_VERSION)
    assert version["schemaHash"] == schema_hash()


async def test_metrics_are_prometheus_text_without_anyones_name(client: Client) -> None:
    player = await client.join("counter")
    await player.added(1)
    await player.send("intent.secret", {"seq": 2})
    await player.expect("event.reject")
    page = await client.http.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    for private in (player.room_id, player.session_id, player.of("event.ack")[0]["playerId"], "intent.secret"):
        assert private not in page.text
    assert 'holdfast_intents_total{outcome="applied",type="intent.add"}' in page.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", 404),
        ("GET", "/api/nothing", 404),
        ("POST", "/healthz", 405),
        ("GET", "/matchmake/create/counter", 404),
        ("DELETE", "/api/session/logout", 405),
        ("GET", "/..%2f..%2fetc/passwd", 404),
        ("GET", "/%00", 404),
        ("PUT", "/matchmake/create/counter", 405),
        ("POST", "/matchmake/create/counter/", 404),
        ("POST", "/nothing/here", 404),
    ],
)
async def test_what_is_not_there_is_a_json_error(client: Client, method: str, path: str, status: int) -> None:
    response = await client.http.request(method, path)
    assert response.status_code == status
    assert set(response.json()) == {"code", "message"}


async def test_a_large_body_that_comes_with_its_head_is_read(client: Client, server: Server) -> None:
    """All in one packet: the bound of a head counts for the head."""
    body = json.dumps({"padding": "x" * (limits.HTTP_HEAD_BYTES_MAX + 1000)}).encode()
    raw = await RawClient.dial(server.port)
    raw.send(b"POST /api/auth/guest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert (await raw.response())[0] == 200
    raw.cut()


async def trickle(raw: RawClient) -> None:
    """A byte now and then keeps nobody waiting for ever."""
    while True:
        with suppress(TimeoutError):
            assert await raw.is_at_end()
            return
        raw.send(b"X")


@pytest.mark.parametrize("earlier", [0, 1], ids=["the first request", "a later one"])
async def test_a_head_that_grows_too_large_is_cut(server: Server, earlier: int) -> None:
    raw = await RawClient.dial(server.port)
    for _ in range(earlier):
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.response())[0] == 200
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (limits.HTTP_HEAD_BYTES_MAX + 1))
    assert await raw.is_at_end()
    raw.cut()


async def test_a_head_that_takes_too_long_is_cut_the_first_and_a_later_one(server: Server) -> None:
    first, later = await RawClient.dial(server.port), await RawClient.dial(server.port)
    later.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await later.response())[0] == 200
    first.send(b"GET /healthz HTTP/1.1\r\n")
    later.send(b"GET /healthz HTTP/1.1\r\n")

    async with asyncio.timeout(limits.HANDSHAKE_S + 4):
        await asyncio.gather(trickle(first), trickle(later))
    first.cut()
    later.cut()


async def test_a_body_that_takes_too_long_is_answered_408_and_the_connection_ends(server: Server) -> None:
    """Also where nobody reads it: a trickle keeps no connection for ever."""
    read, unread = await RawClient.dial(server.port), await RawClient.dial(server.port)
    read.send(b"POST /api/auth/guest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    unread.send(b"POST /nothing/here HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{")
    assert (await unread.response())[0] == 404
    async with asyncio.timeout(limits.HTTP_BODY_S + 5):
        (status, headers, body), _ = await asyncio.gather(read.response(), trickle(unread))
        assert await read.is_at_end()
    assert (status, headers["connection"], json.loads(body)["code"]) == (408, "close", "timeout")
    read.cut()
    unread.cut()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HOLDFAST_PORT", "99999"),
        ("HOLDFAST_JWT_SECRET", "short"),
        ("HOLDFAST_IDEL_S", "5"),
    ],
)
def test_a_bad_setting_stops_the_start_and_is_named(tmp_path: Path, variable: str, value: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from server.cli import main; main()", "serve", "--data-dir", str(tmp_path / "data")],
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[2]), variable: value},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 78
    assert variable in ran.stderr
    assert "Traceback" not in ran.stderr
    if variable == "HOLDFAST_JWT_SECRET":
        assert value not in ran.stderr
    assert not (tmp_path / "data").exists()
