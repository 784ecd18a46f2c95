"""What a hostile client may try on a real server: nothing comes of it, and it costs no memory worth the name."""

import asyncio
import json
import zlib
from pathlib import Path

import jwt
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.edge.test_access import SECRET, token
from tests.edge.transport.raw_client import BINARY, CLOSE, TEXT, frame, upgrade_request
from tests.edge.transport.raw_client import Client as RawClient
from tests.serving import Server, Servers
from tests.wire import LEAVE_BYTE, Client, Clients, Refused, room_data

#: What allocators and caches may take anyhow.
SPARE_BYTES = 24 * 1024 * 1024
CONTINUATION = 0
ATTACKERS = 20

ATTACKS = {
    "a million empty fragments": (frame(BINARY, last=False) + frame(CONTINUATION, last=False) * 1_000_000, 1002),
    "a header of a GiB": (frame(BINARY, b"and what follows " * 100_000, length=2**30), 1009),
    "fragments of a GiB": (
        frame(BINARY, last=False) + frame(CONTINUATION, b"x" * 8_000, last=False) * 1_000,
        1009,
    ),
    "a compressed bomb": (frame(BINARY, zlib.compress(bytes(10_000_000)), reserved=4), 1002),
    "text that is no text": (frame(TEXT, b"\xff" * 1_000), 1007),
}


@pytest.mark.parametrize(("frames", "code"), ATTACKS.values(), ids=ATTACKS.keys())
async def test_frames_that_break_the_protocol_end_their_socket_and_memory_is_flat(
    serve: Servers, clients: Clients, frames: bytes, code: int
) -> None:
    server = await serve()
    client = clients(server)
    player = await client.join("counter")
    await attack(client, server, frames)
    before = memory_of(server)
    codes = [await attack(client, server, frames) for _ in range(ATTACKERS)]
    assert {code} == set(codes)
    assert memory_of(server) - before < SPARE_BYTES
    assert await player.added(1), "others play on"


async def attack(client: Client, server: Server, frames: bytes) -> int:
    """The code with which a socket of a good seat ends."""
    seat = await client.matchmake("joinOrCreate", "counter")
    raw = await RawClient.dial(server.port)
    raw.send(upgrade_request(f"/{seat['processId']}/{seat['roomId']}?sessionId={seat['sessionId']}"))
    assert 101 == (await raw.response())[0]
    raw.send(frames)
    async with asyncio.timeout(10):
        while (heard := await raw.frame())[0] != CLOSE:
            pass
    raw.cut()
    return int.from_bytes(heard[1][:2])


def memory_of(server: Server) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


async def test_who_has_left_acts_no_more(client: Client) -> None:
    """Also with a message right behind the one that leaves."""
    witness = await client.join("counter")
    player = await client.join_by_id(witness)
    await player.raw(LEAVE_BYTE)
    await player.raw(room_data("intent.add", {"seq": 1, "amount": 50}))
    assert 4000 == await player.closed()
    assert 1 == (await witness.caught_up(await witness.added(1)))["total"]


async def test_a_reconnection_token_opens_no_other_room(client: Client) -> None:
    player, other = await client.join("counter"), await client.join("counter")
    elsewhere = {**player.seat, "roomId": other.room_id}
    dial = await client.dial(elsewhere, player.token)
    assert (4003, 524) == (await dial.closed(), dial.error and dial.error[0])
    assert await player.added(1), "its own is untouched"
    assert 0 == other.state["total"]


async def test_nor_does_it_open_another_session(client: Client) -> None:
    player = await client.join("counter")
    other = await client.join_by_id(player)
    dial = await client.dial({**other.seat}, player.token)
    assert (4003, 524) == (await dial.closed(), dial.error and dial.error[0])
    assert await other.added(1)


async def test_a_token_of_a_megabyte_is_not_read(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(jwt_secret=SECRET))
    huge = token(padding="x" * 1_000_000)
    with pytest.raises(Refused) as refused:
        await client.matchmake("create", "counter", accessToken=huge)
    assert 413 == refused.value.status
    with pytest.raises(Refused) as refused:
        await client.matchmake("create", "counter", accessToken=token(padding="x" * 20_000))
    assert 525 == refused.value.status
    assert await client.join("counter", token=token()), "those of the usual size are"


async def test_a_weak_public_key_stops_the_start_too(serve: Servers, tmp_path: Path) -> None:
    weak = jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True)
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [{**weak, "kid": "old", "alg": "RS256"}]}))
    with pytest.raises(AssertionError, match="1024 bits"):
        await serve(jwt_jwks_file=tmp_path / "jwks.json")


@pytest.mark.parametrize("secret", ["short", "x" * 31, "ü" * 15])
async def test_a_weak_key_stops_the_start(serve: Servers, secret: str) -> None:
    with pytest.raises(AssertionError, match="HOLDFAST_JWT_SECRET"):
        await serve(jwt_secret=secret)
