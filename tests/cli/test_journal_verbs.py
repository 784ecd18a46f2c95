"""`log`, `state`, `rooms` and `token` on a running server whose databases are named by URL."""

import asyncio
import json
import secrets
from copy import deepcopy

import asyncpg
import pytest

from contracts import PROTOCOL_VERSION
from tests.cli.command import holdfast, interrupt, shell, start
from tests.serving import Server
from tests.wire import Client, Connection


@pytest.fixture
async def player(client: Client) -> Connection:
    """Somebody in a room of their own, after a move, a chat, a reject and another move."""
    player = await client.join("game")
    await player.act("intent.move", dx=1, dy=0)
    await player.act("intent.chat", text="hello [bold]é")
    await player.act("intent.move", dx=7, dy=0)
    ack = await player.act("intent.move", dx=-1, dy=0)
    await player.caught_up(ack["roomSeq"])
    return player


async def test_the_log_is_the_rows_of_the_table_but_for_their_tokens(server: Server, player: Connection) -> None:
    connection = await asyncpg.connect(server.database_url)
    found = await connection.fetch("SELECT * FROM actions WHERE room_id = $1 ORDER BY room_seq", player.room_id)
    await connection.close()
    rows = [
        {
            "roomSeq": row["room_seq"],
            "epoch": row["epoch"],
            "sessionId": row["session_id"],
            "playerId": row["player_id"],
            "seq": row["seq"],
            "kind": row["kind"],
            **{name: json.loads(row[name]) if row[name] else None for name in ("intent", "patch", "events")},
            "at": row["at"],
        }
        for row in found
    ]
    assert rows == (await holdfast("log", player.room_id, "--json", database_url=server.database_url)).rows
    kinds = ["room.create", "session.join", "intent.move", "intent.chat", "intent.move"]
    assert kinds == [row["kind"] for row in rows]


async def test_from_and_to_are_the_first_and_the_last_row(server: Server, player: Connection) -> None:
    part = await holdfast(
        "log", player.room_id, "--from", 2, "--to", 4, "--json", "--database-url", server.database_url
    )
    assert [2, 3, 4] == [row["roomSeq"] for row in part.rows]


@pytest.fixture
async def long_room(server: Server) -> str:
    """A room of 2,500 actions that had no snapshot when it ended."""
    room_id = f"long-{secrets.token_hex(4)}"
    connection = await asyncpg.connect(server.database_url)
    await connection.execute(
        "INSERT INTO rooms (room_id, name, epoch, status, options, metadata, filters, max_clients, locked, private)"
        " VALUES ($1, 'counter', 1, 'ended', '{}', '{}', '{}', 0, false, false)",
        room_id,
    )
    await connection.execute(
        "INSERT INTO actions (room_id, room_seq, epoch, kind, patch, at)"
        """ SELECT $1, n, 1, 'tick', convert_to(format('{"n":%s,"as":"a\u009bb\u2028c","of":{"%s":%s}}',"""
        " n, n % 7, n), 'UTF8'), n"
        " FROM generate_series(1, 2500) AS n",
        room_id,
    )
    await connection.close()
    return room_id


async def test_a_log_longer_than_a_page_is_whole_and_folds(server: Server, long_room: str) -> None:
    log = await holdfast("log", long_room, "--json", database_url=server.database_url)
    assert list(range(1, 2501)) == [row["roomSeq"] for row in log.rows]
    rebuilt = (await holdfast("state", long_room, "--json", database_url=server.database_url)).json
    assert {"n": 2500, "as": "a\u009bb\u2028c", "of": {str(n % 7): n for n in range(2494, 2501)}} == rebuilt["state"]


async def test_a_state_starts_from_the_newest_snapshot_before_it(server: Server, long_room: str) -> None:
    connection = await asyncpg.connect(server.database_url)
    await connection.execute(
        """INSERT INTO snapshots VALUES ($1, 2000, 1, '{"n":2000,"of":{"a":"of the snapshot"}}', '[]', 0)""", long_room
    )
    await connection.close()
    verb = ("state", long_room, "--json", "--database-url", server.database_url)
    states = [(await holdfast(*verb, "--at", at)).json["state"] for at in (1999, 2000, 2001)]
    assert [(1999, None), (2000, "of the snapshot"), (2001, "of the snapshot")] == [
        (state["n"], state["of"].get("a")) for state in states
    ]


async def test_people_get_one_plain_line_a_row_without_controls(server: Server, player: Connection) -> None:
    log = await holdfast("log", player.room_id, database_url=server.database_url)
    assert (0, 5) == (log.code, len(log.out.splitlines()))
    assert '{"seq":2,"text":"hello [bold]é"}' in log.out


async def test_what_would_steer_a_terminal_is_spelled_out(server: Server, long_room: str) -> None:
    log = await holdfast("log", long_room, "--to", 1, database_url=server.database_url)
    assert '"n":1,"as":"a\\u009bb\\u2028c"' in log.out
    state = await holdfast("state", long_room, "--at", 1, database_url=server.database_url)
    assert 'as  "a\\u009bb\\u2028c"' in state.out


async def test_the_log_is_followed_until_ctrl_c(server: Server, player: Connection) -> None:
    following = await start("log", player.room_id, "--follow", "--json", database_url=server.database_url)
    assert following.stdout is not None
    for _ in range(player.room_seq):
        await following.stdout.readline()
    new = (await player.act("intent.move", dx=1, dy=0))["roomSeq"]
    assert {"roomSeq": new, "kind": "intent.move"}.items() <= json.loads(await following.stdout.readline()).items()
    assert (0, "", "") == await interrupt(following)


async def test_following_to_a_row_ends_there(server: Server, player: Connection) -> None:
    last = player.room_seq + 1
    following = await start("log", player.room_id, "--follow", "--to", last, "--json", database_url=server.database_url)
    await player.act("intent.move", dx=1, dy=0)
    out, _ = await following.communicate()
    assert (0, last) == (following.returncode, json.loads(out.splitlines()[-1])["roomSeq"])


async def test_the_state_is_what_clients_saw_then_and_now(server: Server, client: Client) -> None:
    player = await client.join("game")
    then = (await player.act("intent.move", dx=1, dy=0))["roomSeq"]
    seen = deepcopy(await player.caught_up(then))
    now = (await player.act("intent.move", dx=0, dy=1))["roomSeq"]
    room = {"roomId": player.room_id, "epoch": 1}
    expected = [room | {"roomSeq": then, "state": seen}, room | {"roomSeq": now, "state": await player.caught_up(now)}]
    verb = ("state", player.room_id, "--json", "--database-url", server.database_url)
    assert expected == [(await holdfast(*verb, *at)).json for at in (("--at", then), ())]


async def test_a_state_from_the_future_is_refused(server: Server, player: Connection) -> None:
    ended = await holdfast("state", player.room_id, "--at", player.room_seq + 1, database_url=server.database_url)
    assert (66, "") == (ended.code, ended.out)
    assert f"ends at {player.room_seq}" in ended.err


async def test_a_journal_with_a_hole_is_not_folded_over(server: Server, client: Client) -> None:
    player = await client.join("counter")
    await player.added(1)
    await player.added(1)
    connection = await asyncpg.connect(server.database_url)
    await connection.execute("DELETE FROM actions WHERE room_id = $1 AND room_seq = 3", player.room_id)
    await connection.close()
    ended = await holdfast("state", player.room_id, database_url=server.database_url)
    assert (74, "") == (ended.code, ended.out)
    assert "from 2 to 4" in ended.err


async def test_an_unknown_room_has_its_exit_code_and_a_word_on_stderr(server: Server) -> None:
    verbs = (holdfast(verb, "nowhere", "--json", database_url=server.database_url) for verb in ("log", "state"))
    refused = (66, "", "holdfast: there is no room 'nowhere'; `holdfast rooms` lists them\n")
    assert [refused, refused] == await asyncio.gather(*verbs)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_has_had_enough_is_no_failure(server: Server, long_room: str, form: tuple[str, ...]) -> None:
    script = '{ "$@"; echo "ended with $?" >&2; } | head -n 1'
    ended = shell(script, "log", long_room, *form, database_url=server.database_url)
    assert (1, "ended with 0\n") == (len(ended.out.splitlines()), ended.err)


async def test_rooms_say_what_runs_where_and_who_is_there(server: Server, player: Connection) -> None:
    urls = {"database_url": server.database_url, "redis_url": server.redis_url}
    [room] = [room for room in (await holdfast("rooms", "--json", **urls)).json if room["roomId"] == player.room_id]
    expected = {"name": "game", "status": "active", "nodeId": player.seat["processId"], "epoch": 1, "clients": 1}
    assert expected.items() <= room.items()


async def test_without_redis_rooms_are_listed_and_who_is_there_is_unknown(server: Server, player: Connection) -> None:
    table = (await holdfast("rooms", database_url=server.database_url)).out.splitlines()
    assert table[0].startswith("room ")
    row = next(row for row in table if row.startswith(player.room_id))
    assert [player.room_id, "game", "active", player.seat["processId"], "1", "-"] == row.split()[:6]


async def test_a_token_is_taken_by_the_server_with_its_name_role_and_id(server: Server, client: Client) -> None:
    args = ("--player", " Ada ", "--role", "operator", "--player-id", "ada-1")
    token = await holdfast("token", *args, database_url=server.database_url)
    assert (0, 1) == (token.code, len(token.out.splitlines()))
    headers = {"Authorization": f"Bearer {token.out.strip()}"}
    answer = await client.http.post(
        "/api/session/bootstrap", json={"protocolVersion": PROTOCOL_VERSION}, headers=headers
    )
    assert (200, "ada-1", True) == (
        answer.status_code,
        answer.json()["playerId"],
        "room.read" in answer.json()["permissions"],
    )


async def test_with_a_secret_of_its_own_a_token_needs_no_database() -> None:
    answer = (await holdfast("token", "--player", "Ada", "--json", jwt_secret="s" * 32, access_token_s=60)).json
    assert {"accessToken", "expiresIn", "playerId"} == answer.keys()
    assert 60 == answer["expiresIn"]


@pytest.mark.parametrize("flags", [("--player", " "), ("--player", "Ada", "--player-id", "")])
async def test_a_token_that_no_server_would_take_is_not_made(flags: tuple[str, ...]) -> None:
    ended = await holdfast("token", *flags, jwt_secret="s" * 32)
    assert (2, "") == (ended.code, ended.out)
