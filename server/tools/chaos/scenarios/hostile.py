"""Hostile or weak clients: they are refused, closed, or served slowly, and nobody else notices."""

import asyncio
import math
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.history import Asked
from server.tools.chaos.node import Node
from server.tools.chaos.player import Player
from server.tools.chaos.raw import BINARY, CONTINUATION, TEXT, RawSocket
from server.tools.chaos.stage import PATIENCE_S, RECOVERED_S, Broken, Stage
from server.tools.wire import JOIN_BYTE, LEAVE_BYTE, PING_BYTE, room_data

MB = 1024 * 1024
#: How much a node may grow over an attack, for its own caches and the allocator.
GROWTH_BYTES_MAX = 64 * MB
#: And for each client that doesn't read: its queue, and what the conflation keeps.
UNREAD_BYTES_MAX = MB
#: Latencies below this are noise.
ACKED_S = 0.1
DRAINED_S = 5.0
FLOOD_S = 4.0
FLOOD = 4505


async def flooded(stage: Stage) -> None:
    """Sessions that send intents, pings, or single bytes as fast as they can for 3 s: closed 4505, and the others'
    99th percentile at most doubles."""
    node = await stage.serve()
    players = await stage.crowd(node, each=4)
    async with stage.play(players):
        before_s = await _p99_s(stage, players)
        floods = [
            stage.tasks.start(_flood(stage, node, players[0].room_id, frame), "flood")
            for frame in (room_data("intent.add", {"seq": 1, "amount": 1}), PING_BYTE, b"\xff")
        ]
        during_s = await _p99_s(stage, players)
        await stage.within(PATIENCE_S, "the end of the floods", asyncio.wait(floods))
    stage.say(f"p99 of an ack: {before_s * 1000:.0f} ms before, {during_s * 1000:.0f} ms during the floods")
    closed = await node.metric("holdfast_disconnects_total", code=str(FLOOD))
    if closed < len(floods):
        raise Broken(f"of {len(floods)} floods {closed:.0f} were closed {FLOOD}")
    if during_s > stage.slack * max(2 * before_s, ACKED_S):
        raise Broken(f"a flood made the others' p99 {during_s * 1000:.0f} ms of {before_s * 1000:.0f} ms")
    await stage.healed()


async def frames_malformed(stage: Stage) -> None:
    """A length of 1 GiB, a million empty fragments, a compressed bomb, deep nesting, a half-open head: closed at once,
    the node's memory stays flat, and the others play on."""
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        before = node.memory_bytes
        for what, attack, codes in (
            ("a length of 1 GiB", _claims_a_gigabyte, {1009, 1002}),
            ("endless fragments", _endless_fragments, {1009, 1002}),
            ("a compressed bomb", _compressed_bomb, {1002, 1009, 1007}),
            ("deep nesting", _deep_nesting, {4506}),
        ):
            socket = await _seated(stage, node, players[0].room_id)
            with suppress(OSError):
                await stage.within(PATIENCE_S, what, attack(socket))
            code = await stage.within(PATIENCE_S, f"the close after {what}", socket.closed())
            if code not in {*codes, 1006}:
                raise Broken(f"{what} was closed {code}")
            socket.cut()
        grown = node.memory_bytes - before
        if grown > GROWTH_BYTES_MAX:
            raise Broken(f"the node grew by {grown / MB:.0f} MB")
        await stage.acks(players)
    await stage.healed()


async def one_never_reads(stage: Stage) -> None:
    """One client stops reading and asks for snapshots: conflated or closed, its node's memory stays bounded, the others
    don't notice, and a drain takes less than 5 s."""
    await _never_read(stage, 1)


async def many_never_read(stage: Stage) -> None:
    """500 clients stop reading and ask for snapshots: conflated or closed, their node's memory stays bounded, the
    others don't notice, and a drain takes less than 5 s."""
    await _never_read(stage, 500)


async def fuzzed(stage: Stage) -> None:
    """Intents with wrong types, NaN, 2^63, lone surrogates, unknown types, junk for msgpack: rejected or closed 4506,
    and the room is as it was."""
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        for room_id in {player.room_id for player in players}:
            for _ in range(8):
                await _fuzz(stage, node, room_id)
        await stage.acks(players)
    await stage.healed()


async def impersonated(stage: Stage) -> None:
    """A player who names another in its intents, dials another's session, or acts after leaving: nothing of another's
    changes, and nothing happens after the leave."""
    node = await stage.serve()
    victim = await stage.join(node)
    liar = await stage.join(node, victim.room_id, "joinById")
    added = victim.ask("intent.add", amount=7)
    await stage.within(PATIENCE_S, "an ack", victim.outcome(added))
    lie = liar.ask("intent.add", amount=5, sessionId=victim.session_id, playerId=victim.handshake["playerId"])
    await stage.within(PATIENCE_S, "an outcome", liar.outcome(lie))
    for token in (None, liar.token):
        thief = await RawSocket.dial(node.url, victim.seat, token)
        if isinstance(await stage.within(PATIENCE_S, "an answer", thief.token()), str):
            raise Broken("another's session was let in" + (" with a token of one's own" if token else ""))
        thief.cut()
    await stage.healed()
    if victim.state["added"][victim.session_id] != 7:
        raise Broken(f"another's sum changed: {victim.state['added']}")
    last = liar.ask("intent.add", amount=1)
    await stage.within(PATIENCE_S, "an outcome", liar.outcome(last))
    ghost = await _seated(stage, node, victim.room_id)
    await ghost.send(LEAVE_BYTE)
    await ghost.send(room_data("intent.add", {"seq": 1, "amount": 100}))
    await stage.within(PATIENCE_S, "a close", ghost.closed())
    ghost.cut()
    await stage.healed()


async def storm(stage: Stage) -> None:
    """200 sockets are cut at once and Redis is emptied: all are back, their resumes mostly from memory."""
    await _storm(stage, rooms=10, each=20, within_s=2 * RECOVERED_S)


async def great_storm(stage: Stage) -> None:
    """2,000 sockets are cut at once and Redis is emptied: all are back, their resumes mostly from memory."""
    await _storm(stage, rooms=100, each=20, within_s=6 * RECOVERED_S)


# -- parts ------------------------------------------------------------------------------------------------------------


async def _seated(stage: Stage, node: Node, room_id: str, *, is_slow: bool = False) -> RawSocket:
    """A session of its own in the room, on a socket that may do anything."""
    answer = await stage.seat(node, "joinById", room_id)
    if answer.status != 200:
        raise Broken(f"matchmaking said {answer.status}")
    socket = await RawSocket.dial(node.url, answer.body, is_slow=is_slow)
    if not isinstance(code := await stage.within(PATIENCE_S, "JOIN_ROOM", socket.token()), str):
        raise Broken(f"a join was closed {code}")
    await socket.send(JOIN_BYTE)
    stage.history.add(Asked(room=room_id, session=answer.body["sessionId"], seq=1, kind="intent.add"))
    return socket


async def _flood(stage: Stage, node: Node, room_id: str, frame: bytes) -> None:
    """Join, send without end, be closed, join again; for a while."""
    ends = stage.history.now() + FLOOD_S
    while stage.history.now() < ends:
        socket = await _seated(stage, node, room_id)
        with suppress(OSError):
            while stage.history.now() < ends:
                for _ in range(100):
                    await socket.send(frame)
                await asyncio.sleep(0.01)
        socket.cut()


async def _p99_s(stage: Stage, players: Sequence[Player]) -> float:
    """Of the slowest of them, at each of some moments within the time of a flood."""
    taken = []
    ends = stage.history.now() + FLOOD_S
    while stage.history.now() < ends:
        taken.append(await stage.ack_seconds(players))
        await asyncio.sleep(0.1)
    return sorted(taken)[math.ceil(0.99 * len(taken)) - 1]


async def _claims_a_gigabyte(socket: RawSocket) -> None:
    await socket.write(bytes((0x82, 0xFF)) + (1 << 30).to_bytes(8) + b"\0\0\0\0" + b"x" * 100_000)


async def _endless_fragments(socket: RawSocket) -> None:
    await socket.send(b"", BINARY, is_final=False)
    for _ in range(1000):
        await socket.write(bytes((CONTINUATION, 0x80, 0, 0, 0, 0)) * 1000)


async def _compressed_bomb(socket: RawSocket) -> None:
    await socket.send(zlib.compress(b"\0" * MB)[2:-4], BINARY, is_compressed=True)


async def _deep_nesting(socket: RawSocket) -> None:
    for _ in range(20):
        await socket.send(room_data("intent.add") + b"\x91" * 10_000)
        await socket.send(room_data("intent.add") + b"\x81\xa1a" * 4_000)


async def _never_read(stage: Stage, count: int) -> None:
    node = await stage.serve()
    players = await stage.crowd(node, rooms=("game",), each=4)
    before = node.memory_bytes
    sockets = [await _seated(stage, node, players[0].room_id, is_slow=True) for _ in range(count)]
    async with stage.play(players):
        ends = stage.history.now() + 10.0
        while stage.history.now() < ends:
            for socket in sockets:
                with suppress(OSError):
                    await socket.send(room_data("session.resume", {"roomSeq": 0}))
            await stage.promptly(RECOVERED_S, "acks for those who read", stage.acks(players, 1))
        grown = node.memory_bytes - before
        stage.say(f"the node grew by {grown / MB:.0f} MB")
        if grown > GROWTH_BYTES_MAX + count * UNREAD_BYTES_MAX:
            raise Broken(f"{count} clients that don't read made the node grow by {grown / MB:.0f} MB")
    await stage.healed()
    node.ask_to_stop()
    status = await node.ended(DRAINED_S * stage.slack)
    for socket in sockets:
        socket.cut()
    if status != 0:
        raise Broken(f"the drain ended with exit status {status}")


_WRONG_VALUES: tuple[Any, ...] = (
    *(None, True, "1", "", [], {}, -1, 0, 1.5, math.nan, math.inf, -math.inf),
    *(2**31, 2**53, 2**63, -(2**63), "x" * 4096, {"a": {"b": {}}}, [[[]]]),
)
_TYPES = (
    "intent.add",
    "intent.move",
    "intent.chat",
    "intent.action",
    "session.resume",
    "intent.nothing",
    "__proto__",
    7,
)


async def _fuzz(stage: Stage, node: Node, room_id: str) -> None:
    """A session that talks nonsense until it is closed, or has said it all."""
    socket, random = await _seated(stage, node, room_id), stage.random
    with suppress(OSError):
        for _ in range(60):
            kind = random.choice(_TYPES)
            body = {
                key: random.choice(_WRONG_VALUES) for key in random.sample(("seq", "dx", "dy", "text", "action"), 3)
            }
            junk = bytes(random.randrange(256) for _ in range(random.randrange(1, 64)))
            frames = (
                room_data(kind, {**body, "amount": "many"}),
                room_data(kind) + junk,
                room_data("intent.chat") + b"\x82\xa3seq\x01\xa4text\xa3\xed\xa0\x80",
                bytes((random.randrange(256),)) + junk,
            )
            await socket.send(random.choice(frames), random.choice((BINARY, BINARY, BINARY, TEXT)))
            await asyncio.sleep(0.005)
    socket.cut()


async def _storm(stage: Stage, rooms: int, each: int, within_s: float) -> None:
    node = await stage.serve()
    players: list[Player] = []
    for _ in range(rooms):
        first = await stage.join(node)
        others = (stage.join(node, first.room_id, "joinById") for _ in range(each - 1))
        players += [first, *await asyncio.gather(*others)]
    await stage.acks_of_one_each(players)
    await stage.valkey.empty()
    for player in players:
        player.cut()
    back = asyncio.gather(*(player.until(lambda p=player: p.connects > 1) for player in players))  # type: ignore[misc]
    took_s = await stage.promptly(within_s, "everybody back", back)
    stage.say(f"{len(players)} were back after {took_s:.1f} s")
    await stage.acks_of_one_each(players)
    await stage.healed()
    recovered = [await node.metric("holdfast_reconnects_total", outcome=outcome) for outcome in ("delta", "snapshot")]
    stage.say(f"resumed from memory: {recovered[0]:.0f}, by snapshot: {recovered[1]:.0f}")
    if recovered[0] < 0.8 * len(players):
        raise Broken(f"of {len(players)} reconnects {recovered[0]:.0f} were resumed from memory")


SCENARIOS = (
    Scenario("f37-flooded", flooded),
    Scenario("f38-frames-malformed", frames_malformed),
    Scenario("f39-one-never-reads", one_never_reads),
    Scenario("f39-many-never-read", many_never_read),
    Scenario("f41-fuzzed", fuzzed),
    Scenario("f42-impersonated", impersonated),
    Scenario("f43-storm", storm, is_fast=True),
    Scenario("f43-great-storm", great_storm),
)
