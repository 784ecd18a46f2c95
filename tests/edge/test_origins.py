"""Which web pages may talk to the server: CORS over HTTP, and the refusal before the upgrade."""

from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.serving import Server, Servers
from tests.wire import Client, Clients

FOREIGN = [
    "https://evil.example",
    "null",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example:3000",
    "http://evil.example:2567",
    "http://localhost:3000@evil.example",
    "http://localhost:3000.evil.example",
    "http://localhost:evil",
    "https://localhost:3000/path",
    "ftp://localhost",
    "localhost",
    "",
    "file://",
]
LOCAL = ["http://localhost", "http://localhost:5173", "https://127.0.0.1:8443", "http://[::1]:3000"]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_page_gets_no_cors_and_no_upgrade(client: Client, origin: str) -> None:
    for request in (client.http.get("/version", headers={"Origin": origin}), preflight(client, origin)):
        assert "access-control-allow-origin" not in (await request).headers
    seat = await client.matchmake("create", "counter")
    with pytest.raises(InvalidStatus) as refused:
        await client.dial(seat, Origin=origin)
    assert refused.value.response.status_code == 403
    assert await client.enter(seat), "the seat was not touched"


@pytest.mark.parametrize("origin", LOCAL)
async def test_a_page_under_development_is_let_in(client: Client, origin: str) -> None:
    for request in (client.http.get("/version", headers={"Origin": origin}), preflight(client, origin)):
        headers = (await request).headers
        assert headers["access-control-allow-origin"] == origin
        assert headers["access-control-allow-credentials"] == "true"
        assert "Origin" in headers["vary"]
    connection = await client.dial(await client.matchmake("create", "counter"), Origin=origin)
    await connection.expect("joined")


async def test_errors_have_cors_too(client: Client) -> None:
    """Else a page could not read why."""
    response = await client.http.post("/matchmake/create/nope", headers={"Origin": LOCAL[0]})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (520, LOCAL[0])


async def test_the_servers_own_page_is_let_in_under_any_name(client: Client, server: Server) -> None:
    seat = await client.matchmake("create", "counter")
    path = f"{seat['processId']}/{seat['roomId']}?sessionId={seat['sessionId']}"
    named = {"Host": "game.example", "Origin": "https://game.example"}
    assert (await client.http.get("/version", headers=named)).headers["access-control-allow-origin"] == named["Origin"]
    async with connect(
        f"ws://game.example/{path}",
        host="127.0.0.1",
        port=server.port,
        additional_headers=_only(named, "Origin"),
        proxy=None,
    ) as socket:
        assert await socket.recv()


async def test_only_origins_that_are_listed_are_let_in(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(allowed_origins="https://game.example,https://staging.example:*"))
    allowed = ["https://game.example", "https://staging.example", "https://staging.example:8443"]
    foreign = ["http://localhost:5173", "https://game.example:8443", "http://game.example", "https://x.game.example"]
    for origin in allowed + foreign:
        response = await client.http.get("/version", headers={"Origin": origin})
        assert ("access-control-allow-origin" in response.headers) == (origin in allowed), origin


async def preflight(client: Client, origin: str) -> Any:
    response = await client.http.options(
        "/matchmake/joinOrCreate/game",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )
    assert (response.status_code, response.content) == (204, b"")
    return response


def _only(headers: dict[str, str], name: str) -> dict[str, str]:
    return {name: headers[name]}
