"""The official SDKs 0.16, 0.17 and 0.18, unchanged, against the server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.limits import FLOOD_FRAMES_PER_S
from server.tools.chaos.proxy import proxy_before, through
from tests.sdk.puppets import SDKS, Failed, Puppet, needs_node, puppet
from tests.serving import Server, Servers
from tests.wire import Client, Clients

pytestmark = needs_node


@pytest.fixture(params=SDKS)
async def sdk(request: pytest.FixtureRequest) -> AsyncIterator[Puppet]:
    async with puppet(request.param) as made:
        yield made


@pytest.fixture(params=["0.17", "0.18"])
async def returning(request: pytest.FixtureRequest) -> AsyncIterator[Puppet]:
    """One that reconnects by itself."""
    async with puppet(request.param) as made:
        yield made


async def test_it_joins_acts_sees_everyone_and_leaves(sdk: Puppet, server: Server) -> None:
    one = await sdk.join(server.url, "create", "counter", {})
    other = await sdk.join(server.url, "joinById", one.room_id, {"some": "option"})
    await one.message("event.ack", kind="handshake", sessionId=one.session_id)
    await one.send("intent.add", {"seq": 1, "amount": 5})
    ack = await one.message("event.ack", kind="intent")
    assert (ack["seq"], ack["status"]) == (1, "applied")
    for room in (one, other):
        assert (await room.caught_up(ack["roomSeq"]))["total"] == 5
        assert room.wrong == []
    await one.send("intent.add", {"seq": 2, "amount": "x"})
    assert (await one.message("event.reject"))["code"] == "invalid"
    await one.send("intent.add", {"seq": 1, "amount": 5})
    assert (await one.message("event.ack"))["status"] == "duplicate"
    await one.leave()
    assert (await one.expect("leave"))["code"] == 4000


async def test_it_plays_the_game(sdk: Puppet, server: Server) -> None:
    room = await sdk.join(server.url, "joinOrCreate", "game", {"resume": True})
    await room.caught_up(0)
    assert room.state["players"][room.session_id]["hp"] > 0
    await room.send("intent.chat", {"seq": 1, "text": "hëllo"})
    chat = await room.message("event.chat")
    assert (chat["text"], chat["sessionId"], chat["n"]) == ("hëllo", room.session_id, 0)
    assert chat["at"] > 1.6e12, "milliseconds, and a number, not a BigInt"


async def test_it_sees_on_the_plaza_who_is_near(sdk: Puppet, serve: Servers, clients: Clients) -> None:
    server = await serve(intent_rate=2000, intent_burst=2000)
    room = await sdk.join(server.url, "create", "plaza", {})
    other = await clients(server).join(room.room_id, "joinById")
    own = (await room.caught_up(0))["players"][room.session_id]
    at = other.state["players"][other.session_id]
    for x, is_near in ((own["x"], True), (own["x"] ^ 128, False), (own["x"], True)):
        while (at["x"], at["y"]) != (x, own["y"]):
            dx, dy = ((to > now) - (to < now) for now, to in ((at["x"], x), (at["y"], own["y"])))
            at = {"x": at["x"] + dx, "y": at["y"] + dy}
            seq = await other.intent("intent.move", dx=dx, dy=dy)
            await asyncio.sleep(1 / FLOOD_FRAMES_PER_S)
        room_seq = (await other.outcome(seq))["roomSeq"]
        players = (await room.caught_up(room_seq))["players"]
        assert is_near is (other.session_id in players)
        assert not is_near or at.items() <= players[other.session_id].items()
    assert room.wrong == []


@pytest.mark.parametrize(
    ("how", "args", "code", "message"),
    [
        ("joinOrCreate", ["nope"], 520, 'provided room name "nope" not defined'),
        ("join", ["nowhere"], 521, "no rooms found with provided criteria"),
        ("joinById", ["zzz"], 522, 'room "zzz" not found'),
        ("reconnect", ["zzz:token"], 522, 'room "zzz" has been disposed.'),
        ("create", ["counter", {"accessToken": "bad"}], 525, "the access token is not valid"),
        ("create", ["counter", {"protocolVersion": "0"}], 409, None),
    ],
)
async def test_what_cannot_be_is_an_error_with_its_code(
    sdk: Puppet, server: Server, how: str, args: list[object], code: int, message: str | None
) -> None:
    with pytest.raises(Failed) as failed:
        await sdk.join(server.url, how, *args)
    assert failed.value.code == code
    assert message is None or message in failed.value.message


async def test_a_full_room_is_an_error(sdk: Puppet, server: Server) -> None:
    room = await sdk.join(server.url, "create", "duet", {})
    await sdk.join(server.url, "joinById", room.room_id, {})
    with pytest.raises(Failed) as failed:
        await sdk.join(server.url, "joinById", room.room_id, {})
    assert (failed.value.code, failed.value.message) == (523, f"{room.room_id} is already full.")


async def test_a_game_that_refuses_a_join_is_an_error(sdk: Puppet, server: Server) -> None:
    with pytest.raises(Failed) as failed:
        await sdk.join(server.url, "create", "fragile", {"clumsy": True})
    assert failed.value.code == 526


async def test_a_token_brings_the_session_back_once(sdk: Puppet, server: Server) -> None:
    """`client.reconnect(token)`, as after a page was loaded anew."""
    room = await sdk.join(server.url, "create", "counter", {})
    await room.send("intent.add", {"seq": 1, "amount": 5})
    await room.message("event.ack", kind="intent")
    token = room.token
    again = await sdk.join(server.url, "reconnect", token)
    assert (again.session_id, (await again.caught_up(1))["total"]) == (room.session_id, 5)
    assert (await room.expect("leave"))["code"] == 4501
    assert again.token != token
    with pytest.raises(Failed) as failed:
        await sdk.join(server.url, "reconnect", token)
    assert failed.value.code == 524


async def test_requests_are_answered_by_their_ack_or_reject(server: Server) -> None:
    async with puppet("0.18") as sdk:
        room = await sdk.join(server.url, "create", "counter", {})
        ack = await room.request("intent.add", {"seq": 1, "amount": 4})
        assert (ack["kind"], ack["seq"], ack["status"]) == ("intent", 1, "applied")
        with pytest.raises(Failed) as failed:
            await room.request("intent.add", {"seq": 2, "amount": 400})
        assert (failed.value.reason["code"], failed.value.reason["seq"]) == ("invalid", 2)
        with pytest.raises(Failed) as failed:
            await room.request("intent.fly", {"seq": 3})
        assert failed.value.reason["code"] == "invalid"
        assert not [what for what in room.all if what.details.get("type") == "event.reject"]


async def test_after_a_cut_it_resumes_with_exactly_what_it_missed(
    returning: Puppet, server: Server, client: Client
) -> None:
    async with proxy_before(server.url) as proxy:
        room = await returning.join(through(server.url, proxy), "create", "game", {"resume": True})
        other = await client.join(room.room_id, "joinById")
        await room.caught_up(other.room_seq)
        proxy.cut()
        assert (await room.expect("drop"))["code"] == 1006
        acks = [await other.act("intent.chat", text=text) for text in ("one", "two", "three")]
        await room.expect("reconnect")
        await room.send("session.resume", {"roomSeq": room.room_seq, "epoch": room.epoch, "seq": 0})
        answer = await room.message("event.ack", kind="resume")
        assert answer["recovered"] is True
        for ack in acks:
            assert (await room.message("event.chat"))["roomSeq"] == ack["roomSeq"]
        await room.caught_up(acks[-1]["roomSeq"])
        await other.caught_up(room.room_seq)
        assert (room.state, room.snapshots, room.wrong) == (other.state, 1, [])
        chats = [what.details["body"]["text"] for what in room.all if what.details.get("type") == "event.chat"]
        assert chats == ["one", "two", "three"]


async def test_after_a_cut_without_resume_it_has_a_snapshot(returning: Puppet, server: Server, client: Client) -> None:
    async with proxy_before(server.url) as proxy:
        room = await returning.join(through(server.url, proxy), "create", "counter", {})
        other = await client.join(room.room_id, "joinById")
        proxy.cut()
        await room.expect("drop")
        room_seq = await other.added(9)
        await room.expect("reconnect")
        assert (await room.caught_up(room_seq))["total"] == 9
        assert (room.snapshots, room.wrong) == (2, [])


async def test_a_token_rotates_at_each_return(returning: Puppet, server: Server) -> None:
    async with proxy_before(server.url) as proxy:
        room = await returning.join(through(server.url, proxy), "create", "counter", {})
        tokens = [await room.current_token()]
        for _ in range(3):
            proxy.cut()
            await room.expect("reconnect")
            await room.message("event.ack", kind="handshake")
            tokens.append(await room.current_token())
        assert len(set(tokens)) == 4


async def test_it_comes_back_by_itself_to_a_server_that_was_killed(
    returning: Puppet, serve: Servers, tmp_path: Path
) -> None:
    """Nothing acked is lost; what is sent again is a duplicate at the same roomSeq."""
    server = await serve(data_dir=tmp_path / "data")
    room = await returning.join(server.url, "joinOrCreate", "counter", {"resume": True})
    acks = []
    for seq in range(1, 11):
        await room.send("intent.add", {"seq": seq, "amount": seq})
        acks.append(await room.message("event.ack", kind="intent", seq=seq))
    await room.caught_up(acks[-1]["roomSeq"])
    await server.kill()
    await room.expect("drop")
    server = await serve.again(server)
    await room.expect("reconnect")
    await room.send("session.resume", {"roomSeq": room.room_seq, "epoch": room.epoch, "seq": 10})
    answer = await room.message("event.ack", kind="resume")
    assert (answer["recovered"], answer["lastSeq"]) == (True, 10)
    for ack in acks:
        await room.send("intent.add", {"seq": ack["seq"], "amount": ack["seq"]})
        again = await room.message("event.ack", kind="intent", seq=ack["seq"])
        assert (again["roomSeq"], again["status"]) == (ack["roomSeq"], "duplicate")
    await room.send("intent.add", {"seq": 11, "amount": 1})
    last = await room.message("event.ack", kind="intent", seq=11)
    assert (await room.caught_up(last["roomSeq"]))["total"] == 56
    assert room.wrong == []


async def test_it_comes_back_by_itself_to_a_server_that_was_restarted(returning: Puppet, serve: Servers) -> None:
    server = await serve()
    room = await returning.join(server.url, "joinOrCreate", "counter", {})
    await room.send("intent.add", {"seq": 1, "amount": 5})
    await room.message("event.ack", kind="intent")
    assert await server.stop() == 0
    assert (await room.expect("drop"))["code"] == 4010
    await serve.again(server)
    await room.expect("reconnect")
    await room.message("event.ack", kind="handshake", lastSeq=1)
    snapshot = await room.message("event.state_delta", kind="snapshot")
    assert (snapshot["state"]["total"], room.wrong) == (5, [])


async def test_a_terminal_close_ends_its_tries(returning: Puppet, server: Server) -> None:
    room = await returning.join(server.url, "create", "counter", {})
    await room.send("session.logout", {})
    assert (await room.expect("leave"))["code"] == 4504
    assert not [what for what in room.all if what.event == "drop"]
