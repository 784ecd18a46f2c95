"""Presence: a Redis that dies, freezes, refuses, or forgets everything. Play must not notice."""

import asyncio
from collections.abc import Awaitable, Callable

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.node import Node
from server.tools.chaos.player import Player
from server.tools.chaos.scenarios.parts import LOOK_S, answers
from server.tools.chaos.stage import PATIENCE_S, RECOVERED_S, Broken, Stage
from server.tools.chaos.waiting import poll

#: An ack, with its commit, while Redis is away (the SLO), by the slowest player.
ACKED_S = 0.25


async def killed_and_emptied(stage: Stage) -> None:
    """Redis is killed (-9) under load and comes back empty 2 s later: play goes on, and within 5 s of its return the
    rooms are listed, joins find them, and every player can reconnect."""
    node, players = await _begin(stage)
    async with stage.play(players):
        await stage.acks(players)
        await stage.valkey.kill()
        await stage.told(players, "redis")
        await stage.acks(players)
        await _joins_are_refused_clearly(stage, node)
        await stage.valkey.start_again()
        await stage.promptly(RECOVERED_S, "a join of a room that is there", _joined(stage, node, players[0]))
        for player in players:
            player.cut()
        await stage.promptly(RECOVERED_S, "acks for everybody, reconnected", stage.acks(players))
    await stage.healed()


async def emptied(stage: Stage) -> None:
    """Redis is emptied under load, without a cut connection to tell it by: within 5 s joins find the rooms, and every
    player can reconnect."""
    node, players = await _begin(stage)
    async with stage.play(players):
        await stage.acks(players)
        await stage.valkey.empty()
        for player in players:
            player.cut()
        await stage.promptly(RECOVERED_S, "acks for everybody, reconnected", stage.acks(players))
        await stage.promptly(RECOVERED_S, "a join of a room that is there", _joined(stage, node, players[0]))
    await stage.healed()


async def frozen(stage: Stage) -> None:
    """Redis is frozen (SIGSTOP) for 20 s under load: told within 1 s, and intents are acked as ever."""
    await _frozen(stage, 20.0)


async def frozen_briefly(stage: Stage) -> None:
    """Redis is frozen (SIGSTOP) for 3 s under load: told within 1 s, and intents are acked as ever."""
    await _frozen(stage, 3.0)


async def read_only(stage: Stage) -> None:
    """Redis refuses writes as a replica does (READONLY): told within 1 s with that reason, and play goes on."""

    async def hurt() -> None:
        await stage.valkey.turn_read_only(True)

    await _refuses(stage, hurt, "read_only")


async def out_of_memory(stage: Stage) -> None:
    """Redis refuses writes for want of memory (OOM): told within 1 s with that reason, and play goes on."""

    async def hurt() -> None:
        await stage.valkey.limit_memory(1)

    await _refuses(stage, hurt, "out_of_memory")


async def link_flapping(stage: Stage) -> None:
    """The link to Redis is cut every 200 ms for 3 s under load: intents are acked as ever, and joins work after it."""
    node, players = await _begin(stage)
    async with stage.play(players):
        await stage.acks(players)
        for _ in range(15):
            stage.valkey_link.cut()
            await asyncio.sleep(0.2)
        await stage.acks(players)
        await stage.promptly(RECOVERED_S, "a join", _joined(stage, node, players[0]))
    await stage.healed()


# -- parts ------------------------------------------------------------------------------------------------------------


async def _begin(stage: Stage) -> tuple[Node, list[Player]]:
    node = await stage.serve({"lease_s": 2, "lease_renew_s": 0.5})
    return node, await stage.crowd(node)


async def _frozen(stage: Stage, lasts_s: float) -> None:
    node, players = await _begin(stage)
    async with stage.play(players):
        await stage.acks(players)
        stage.valkey.freeze()
        await stage.told(players, "redis")
        ends = stage.history.now() + lasts_s
        while stage.history.now() < ends:
            await answers(stage, node)
            slowest_s = await stage.ack_seconds(players)
            if slowest_s > ACKED_S * stage.slack:
                raise Broken(f"an ack took {slowest_s * 1000:.0f} ms while Redis was frozen")
            await asyncio.sleep(LOOK_S)
        await _joins_are_refused_clearly(stage, node)
        stage.valkey.thaw()
        await stage.promptly(RECOVERED_S, "a join after the thaw", _joined(stage, node, players[0]))
    await stage.healed()


async def _refuses(stage: Stage, hurt: Callable[[], Awaitable[None]], reason: str) -> None:
    node, players = await _begin(stage)
    async with stage.play(players):
        await stage.acks(players)
        await hurt()
        await stage.told(players, "redis")
        reasons = {told.reason for player in players for told in player.degraded if told.dependency == "redis"}
        if reason not in reasons:
            raise Broken(f"Redis refuses for {reason}, and clients were told {reasons}")
        await stage.acks(players)
        await stage.valkey.heal()
        await stage.promptly(RECOVERED_S, "a join after healing", _joined(stage, node, players[0]))
    await stage.healed()


async def _joins_are_refused_clearly(stage: Stage, node: Node) -> None:
    """503 with Retry-After, or a join that works all the same; soon, in any case."""
    answer = await stage.within(PATIENCE_S, "an answer of matchmaking", stage.seat(node, "joinOrCreate", "counter"))
    if answer.status != 200 and (answer.status != 503 or "retry-after" not in answer.headers):
        raise Broken(f"without Redis matchmaking says {answer.status} {answer.headers}")


async def _joined(stage: Stage, node: Node, other: Player) -> None:
    """Wait until matchmaking, asked by the room's name, gives a seat in a room that is there already."""

    async def is_found() -> bool:
        answer = await stage.seat(node, "joinById", other.room_id)
        return answer.status == 200

    await poll(is_found, PATIENCE_S)
    listed = {room["roomId"] for room in await stage.listing(node)}
    if other.room_id not in listed:
        raise Broken(f"room {other.room_id} can be joined and is not listed")


SCENARIOS = (
    Scenario("f26-redis-killed-and-emptied", killed_and_emptied, is_fast=True),
    Scenario("f26-redis-emptied", emptied),
    Scenario("f27-redis-frozen", frozen),
    Scenario("f27-redis-frozen-briefly", frozen_briefly),
    Scenario("f28-redis-read-only", read_only),
    Scenario("f28-redis-out-of-memory", out_of_memory),
    Scenario("redis-link-flapping", link_flapping),
)
