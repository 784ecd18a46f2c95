"""
Secrets stay where they belong (promise P9): not in a log, a metric, an error, a row or a key of Redis.

The logs of every other test's servers are searched as well (`tests/canaries.py`); here it is shown that the search
finds what it should, and the places are searched that only a test of its own can see whole.
"""

from pathlib import Path
from typing import Any

import asyncpg
import httpx
import redis.asyncio

from tests.canaries import Canaries
from tests.edge.test_access import SECRET, token
from tests.serving import Servers
from tests.wire import Client, Clients, Connection


def test_a_line_that_shows_a_secret_is_found_and_masked(tmp_path: Path) -> None:
    canaries = Canaries()
    canaries.know("head.body.signature-of-it", "secret_of_tests", "a phrase of several words", None, "short")
    canaries.know_password_of("redis://:pass-word-1234@127.0.0.1:1/0")
    log = tmp_path / "log"
    log.write_text(
        'all well\n{"url":"/?reconnectionToken=secret_of_tests&x=1"}\nhead.body.other-signature short\n'
        "it was 'a phrase of several words'\nBearer head.body.signature-of-it\nredis://:pass-word-1234@x\n"
    )
    assert [
        'log:2: {"url":"/?reconnectionToken=<secret of 15 characters>&x=1"}',
        "log:4: it was '<secret of 25 characters>'",
        "log:5: Bearer head.body.<secret of 15 characters>",
        "log:6: redis://:<secret of 14 characters>@x",
    ] == canaries.found_in_files([log, tmp_path / "none"])


async def test_no_secret_is_in_a_row_a_key_a_metric_an_error_or_a_log(serve: Servers, clients: Clients) -> None:
    server = await serve(jwt_secret=SECRET, log_level="debug")
    client = clients(server)
    guest = (await client.guest())["accessToken"]
    secrets = [SECRET, guest, *(token(sub=player) for player in ("p1", "p2", "p3"))]
    player = await client.join("game", accessToken=secrets[2])
    other = await client.join(player.room_id, "joinById", token=secrets[3])
    await player.act("intent.chat", text="no secret")
    await player.cut()
    back = await client.back(player)
    answers = [*await mistakes(client, secrets, back), await client.http.get("/metrics")]
    secrets += [connection.token for connection in (player, other, back)]
    for shown in (await rows_of(server.database_url), await keys_of(server.redis_url)):
        assert found([back.session_id], shown), "where a session shows, a secret would"
        assert [] == found(secrets, shown)
    assert [] == found(secrets, [answer.text + str(answer.headers) for answer in answers])
    assert 200 == (await client.http.post("/api/session/logout", headers=_bearer(secrets[2]))).status_code
    server.end()
    assert [] == found(secrets, [server.log.read_text()])
    assert "http.answered" in server.log.read_text()


async def mistakes(client: Client, secrets: list[str], player: Connection) -> list[httpx.Response]:
    """Answers to requests that go wrong, each with a secret in a place where it does not belong."""
    access, good = secrets[1], {"protocolVersion": "1"}
    dial = await client.dial({**player.seat, "roomId": "nowhere"}, player.token)
    await dial.closed()
    posts: list[tuple[str, dict[str, str], Any]] = [
        ("/api/session/bootstrap", _bearer(access[:-4] + "AAAA"), good),
        ("/api/auth/guest", {}, {"name": access}),
        (f"/matchmake/create/{access}", {}, {}),
        (f"/matchmake/reconnect/{player.room_id}", {}, {"reconnectionToken": player.token + "x"}),
        ("/matchmake/joinById/nowhere", {}, {"accessToken": access}),
        ("/matchmake/create/counter", {}, {"accessToken": access, "protocolVersion": "0"}),
    ]
    answers = [await client.http.post(path, headers=headers, json=body) for path, headers, body in posts]
    assert all(answer.status_code >= 400 for answer in answers), [answer.status_code for answer in answers]
    return [answer for answer in answers if access not in str(answer.request.url)]


def found(secrets: list[str], places: list[str]) -> list[str]:
    """Of a JWT the signature; its other parts are no secret."""
    return [place for place in places for secret in secrets if secret.rpartition(".")[2] in place]


async def rows_of(url: str) -> list[str]:
    """Every row of every table, as text in which bytes stand as they are."""
    connection = await asyncpg.connect(url)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [row for table in tables for row in await connection.fetch(f'SELECT * FROM "{table["tablename"]}"')]  # noqa: S608
    await connection.close()
    return ["\n".join(_text(value) for value in row.values()) for row in rows]


async def keys_of(url: str) -> list[str]:
    """Every key of the database with what it holds."""
    async with redis.asyncio.Redis.from_url(url) as client:
        shown = []
        async for key in client.scan_iter():
            read = {
                b"string": lambda key: client.get(key),
                b"hash": lambda key: client.hgetall(key),
                b"set": lambda key: client.smembers(key),
                b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
                b"list": lambda key: client.lrange(key, 0, -1),
                b"stream": lambda key: client.xrange(key),
            }[await client.type(key)]
            shown.append(f"{_text(key)}\n{await read(key)}")
        return shown


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bearer(access: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access}"}
