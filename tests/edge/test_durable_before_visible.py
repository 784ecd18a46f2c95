"""
P1: nothing that a client is shown is ahead of what PostgreSQL has.

A proxy stands between the server and PostgreSQL and holds back its replies: the actions are in the table, for anyone to
see, but the server has not been told. Until it is, no ack, delta, chat, join or answer of the rules may go out.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
import redis.asyncio

from server.embedded import Urls
from server.tools.chaos.proxy import Proxy, proxy_before, through
from tests.serving import Server, Servers
from tests.wire import Clients, Connection

#: What says nothing of the room's state, or nothing of what came since.
FREE = ("pong", "event.degraded")


class Journal:
    """What PostgreSQL has, asked directly."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def rows(self, room_id: str) -> list[Any]:
        return list(await self._connection.fetch("SELECT * FROM actions WHERE room_id = $1 ORDER BY room_seq", room_id))

    async def has(self, room_id: str, kind: str, count: int = 1) -> None:
        """Wait until it has so many entries of this kind."""
        async with asyncio.timeout(10):
            while [row["kind"] for row in await self.rows(room_id)].count(kind) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def urls(serve: Servers) -> Urls:
    return await serve.databases()


@pytest.fixture
async def journal(urls: Urls) -> AsyncIterator[Journal]:
    connection = await asyncpg.connect(urls.database_url)
    yield Journal(connection)
    await connection.close()


@pytest.fixture
async def proxy(urls: Urls) -> AsyncIterator[Proxy]:
    async with proxy_before(urls.database_url) as proxy:
        yield proxy


@pytest.fixture
async def held(serve: Servers, urls: Urls, proxy: Proxy) -> Server:
    """A server that hears from PostgreSQL what the proxy lets through."""
    return await serve(urls=Urls(through(urls.database_url, proxy), urls.redis_url), lease_s=1, lease_renew_s=0.3)


async def nothing_new(connection: Connection, before: int) -> None:
    """Nothing has been sent since that rests on the room's state, though the server is awake and answers."""
    heard = (await connection.silent())[before:]
    assert [what.type for what in heard if what.type not in FREE] == []


async def test_acks_deltas_chat_and_rejects_wait_until_the_server_is_told(
    held: Server, clients: Clients, proxy: Proxy, journal: Journal
) -> None:
    client = clients(held)
    player = await client.join("game")
    other = await client.join_by_id(player)
    await player.caught_up(other.room_seq)
    marks = {connection: len(await connection.silent()) for connection in (player, other)}
    proxy.hold_replies()
    chat = await player.intent("intent.chat", text="held")
    illegal = await player.intent("intent.action", action="drop", target="nothing")
    await player.send("intent.chat", {"seq": chat, "text": "held"})
    await journal.has(player.room_id, "intent.chat")
    for connection, mark in marks.items():
        await nothing_new(connection, mark)
    proxy.let_go()
    applied, reject, duplicate = [await player.outcome(seq) for seq in (chat, illegal, chat)]
    assert (applied["status"], reject["code"], duplicate["status"]) == ("applied", "illegal", "duplicate")
    assert applied["roomSeq"] == duplicate["roomSeq"]
    for connection in marks:
        assert (await connection.expect("event.chat"))["roomSeq"] == applied["roomSeq"]
        await connection.caught_up(applied["roomSeq"])


async def test_a_join_waits_and_so_do_its_room_mates_news_of_it(
    held: Server, clients: Clients, proxy: Proxy, journal: Journal
) -> None:
    client = clients(held)
    player = await client.join("counter")
    seat = await client.matchmake("joinById", player.room_id)
    mark = len(await player.silent())
    proxy.hold_replies()
    newcomer = await client.dial(seat)
    await journal.has(player.room_id, "session.join", 2)
    await nothing_new(player, mark)
    assert newcomer.heard == []
    proxy.let_go()
    await newcomer.expect("joined")
    await player.caught_up(3)


async def test_a_snapshot_of_what_is_not_durable_waits(
    held: Server, clients: Clients, proxy: Proxy, journal: Journal
) -> None:
    """A resume asked for now is answered from memory, which is ahead; and a leave's close comes after its entry."""
    client = clients(held)
    player = await client.join("counter")
    leaver = await client.join_by_id(player)
    watcher = await client.join_by_id(player)
    await player.caught_up(watcher.room_seq)
    proxy.hold_replies()
    marks = {connection: len(await connection.silent()) for connection in (player, watcher)}
    await player.add(5)
    await journal.has(player.room_id, "intent.add")
    await watcher.send("session.resume", {"roomSeq": 1, "epoch": watcher.epoch, "seq": 0})
    await leaver.raw(b"\x0c")
    for connection, mark in marks.items():
        await nothing_new(connection, mark)
    assert leaver.close_code is None
    proxy.let_go()
    assert (await watcher.expect("event.ack", kind="resume"))["recovered"] is False
    assert (await watcher.expect("event.state_delta", kind="snapshot"))["state"]["total"] == 5
    assert await leaver.closed() == 4000


async def test_every_ack_is_found_at_its_roomseq_and_every_row_was_asked_for(
    serve: Servers, urls: Urls, clients: Clients, journal: Journal
) -> None:
    client = clients(await serve(urls=urls, intent_rate=1000, intent_burst=1000))
    first = await client.join("counter")
    crowd = [first, *[await client.join_by_id(first) for _ in range(4)]]

    async def play(connection: Connection) -> None:
        for amount in range(1, 31):
            await connection.add(amount)
        await connection.outcome(30)

    await asyncio.gather(*(play(connection) for connection in crowd))
    rows = await journal.rows(first.room_id)
    assert [row["room_seq"] for row in rows] == list(range(1, len(rows) + 1)), "no gaps"
    asked = {(connection.session_id, seq) for connection in crowd for seq in range(1, 31)}
    assert {(row["session_id"], row["seq"]) for row in rows if row["kind"] == "intent.add"} == asked
    at = {(row["session_id"], row["seq"]): row["room_seq"] for row in rows}
    for connection in crowd:
        for ack in connection.of("event.ack")[1:]:
            assert at[connection.session_id, ack["seq"]] == ack["roomSeq"]
    total = sum(msgspec.json.decode(row["intent"]).get("amount", 1) for row in rows if row["kind"] == "intent.add")
    for connection in crowd:
        assert (await connection.caught_up(len(rows)))["total"] == total
        assert connection.state == first.state


async def test_no_secret_of_a_player_is_in_the_journal_redis_or_the_log(
    serve: Servers, urls: Urls, clients: Clients, journal: Journal
) -> None:
    server = await serve(urls=urls, log_level="debug")
    client = clients(server)
    access = (await client.guest())["accessToken"]
    player = await client.join("counter", accessToken=access, secret="an option")
    await player.cut()
    back = await client.back(player)
    rows = await journal.rows(player.room_id)
    kept = b"".join(bytes(value) for row in rows for value in row.values() if isinstance(value, bytes))
    assert b"an option" in kept
    async with redis.asyncio.Redis.from_url(urls.redis_url) as store:
        async for key in store.scan_iter():
            kept += key + (await store.get(key) or b"" if await store.type(key) == b"string" else b"")
    assert player.session_id.encode() in kept
    log = server.log.read_text()
    for secret in (access, access.split(".")[2], player.token, back.token):
        assert secret.encode() not in kept
        assert secret not in log


# -- writes in doubt -------------------------------------------------------------------------------------------------


async def test_an_action_whose_commits_reply_is_lost_is_acked_once_and_is_there_once(
    held: Server, clients: Clients, proxy: Proxy, journal: Journal
) -> None:
    """The action is in the table and the server was not told: it takes a new identity, reads, and goes on."""
    player = await clients(held).join("counter")
    await player.caught_up(await player.added(2))
    before = player.epoch
    proxy.hold_replies()
    seq = await player.add(3)
    await journal.has(player.room_id, "intent.add", 2)
    await nothing_new(player, len(await player.silent()))
    proxy.cut()
    proxy.let_go()
    outcome = await player.outcome(seq)
    assert (outcome["status"], player.close_code) == ("applied", None)
    room_seq = await player.added(1)
    assert room_seq == outcome["roomSeq"] + 1
    assert (await player.caught_up(room_seq))["total"] == 6
    assert player.epoch == before + 1, "the room was claimed anew"
    rows = await journal.rows(player.room_id)
    assert [(row["seq"], row["epoch"]) for row in rows if row["seq"]] == [(1, 1), (2, 1), (3, 2)]


async def test_past_the_budget_what_was_never_sent_is_rejected_and_what_is_in_doubt_is_settled(
    serve: Servers, urls: Urls, clients: Clients, proxy: Proxy, journal: Journal
) -> None:
    """One action is on its way when the link stalls; others come behind it, and one when nothing can be written."""
    server = await serve(urls=Urls(through(urls.database_url, proxy), urls.redis_url), durability_budget_s=1)
    client = clients(server)
    player = await client.join("counter")
    other = await client.join_by_id(player)
    await player.caught_up(await other.added(10))
    proxy.hold_replies()
    doubtful = await player.add(1)
    await journal.has(player.room_id, "intent.add", 2)
    late = [await player.add(amount) for amount in (20, 40)]
    for seq in late:
        reject = await player.expect("event.reject", seq=seq)
        assert (reject["code"], reject["retryable"]) == ("not_durable", False)
    refused = await player.add(80)
    reject = await player.expect("event.reject", seq=refused)
    assert (reject["code"], reject["retryable"]) == ("degraded", True)
    assert await server.metric("holdfast_rollbacks_total") == 1
    await player.send("intent.add", {"seq": late[0], "amount": 20})
    assert [ack.get("seq") for ack in player.of("event.ack")[1:]] == []
    proxy.let_go()
    assert (await player.outcome(doubtful))["status"] == "applied"
    assert (await player.expect("event.reject", seq=late[0]))["code"] == "not_durable", "as it was answered before"
    for connection in (player, other):
        await connection.until(lambda c=connection: len(snapshots(c)) == 2, "a second snapshot")
        assert snapshots(connection)[1]["state"]["total"] == 11
    room_seq = await player.added(100)
    for connection in (player, other):
        assert (await connection.caught_up(room_seq))["total"] == 111
    assert [row["seq"] for row in await journal.rows(player.room_id) if row["seq"]] == [1, doubtful, refused + 1]


def snapshots(connection: Connection) -> list[Any]:
    return [body for body in connection.of("event.state_delta") if body["kind"] == "snapshot"]


async def test_a_flush_that_never_reached_postgresql_is_tried_again_and_acked_once(
    held: Server, clients: Clients, proxy: Proxy, journal: Journal
) -> None:
    """The connection was cut before the statement went up: it surely did not happen."""
    player = await clients(held).join("counter")
    await player.added(1)
    before = proxy.connections
    proxy.cut()
    # The server has seen it: its probe dials again. A statement sent before that would be in doubt.
    async with asyncio.timeout(10):
        while proxy.connections == before:
            await asyncio.sleep(0.005)
    room_seq = await player.added(2)
    assert (await player.caught_up(room_seq))["total"] == 3
    assert [row["seq"] for row in await journal.rows(player.room_id)][-2:] == [1, 2]


async def test_a_node_that_was_fenced_sends_everyone_away_and_ends(
    serve: Servers, urls: Urls, clients: Clients, journal: Journal
) -> None:
    server = await serve(urls=urls)
    player = await clients(server).join("counter")
    await player.added(1)
    operator = await asyncpg.connect(urls.database_url)
    await operator.execute("UPDATE nodes SET fenced = true")
    await operator.close()
    await player.add(2)
    assert await player.closed() == 4010
    assert await server.ended() == 70
    assert [ack["seq"] for ack in player.of("event.ack")[1:]] == [1]
    back = await clients(await serve(urls=urls)).back(player)
    assert (await back.expect("event.state_delta"))["state"]["total"] == 1
    back.next_seq = 2
    assert await back.added(2)
