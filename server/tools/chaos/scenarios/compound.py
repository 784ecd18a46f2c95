"""Compound: faults that come together, or one after the other as chance will have it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import msgspec

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.flushes import Point
from server.tools.chaos.node import Node
from server.tools.chaos.player import Player
from server.tools.chaos.proxy import Proxy, through
from server.tools.chaos.scenarios.parts import SHORT_LEASE
from server.tools.chaos.stage import PATIENCE_S, RECOVERED_S, Stage
from server.tools.chaos.waiting import poll

#: Chance that a fault of the soak gets a second one beside it.
TWICE = 0.3
#: Play between two faults of the soak, at most.
PEACE_S = 3.0
SOAK = "soak"


async def both_databases(stage: Stage) -> None:
    """PostgreSQL is cut off while Redis is frozen, for 3 s under load: told of both within 1 s, and all is well within
    5 s."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        stage.valkey.freeze()
        await stage.told(players, "redis")
        await stage.postgres_link.refuse()
        stage.postgres_link.cut()
        await stage.told(players, "postgres")
        await asyncio.sleep(3.0)
        await stage.postgres_link.accept()
        stage.valkey.thaw()
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def killed_while_cut(stage: Stage) -> None:
    """A node is killed (-9) while PostgreSQL is out of its reach and its players' intents wait: they take effect once,
    at the restarted one."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        stage.postgres_link.stall()
        await asyncio.sleep(1.0)
        node.kill()
        await node.ended(PATIENCE_S)
        # What had gone up and was stalled is lost with the network.
        stage.postgres_link.cut()
        stage.postgres_link.let_go()
        await node.start()
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def postmaster_and_node_killed(stage: Stage) -> None:
    """PostgreSQL and the node are killed (-9) at once under load, and started again, the database first."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        await stage.postgres.kill()
        node.kill()
        await node.ended(PATIENCE_S)
        await stage.postgres.start_again()
        await node.start()
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def killed_and_forgotten(stage: Stage) -> None:
    """The node is killed (-9) under load and Redis emptied: every reconnection token is known from the journal, and
    everybody is back."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        node.kill()
        await node.ended(PATIENCE_S)
        await stage.valkey.empty()
        await node.start()
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def both_nodes_killed(stage: Stage) -> None:
    """Two nodes are killed (-9) at once under load and started again at once, their players dialling either: each room
    has one owner."""
    nodes = [await stage.serve(SHORT_LEASE) for _ in range(2)]
    players = [player for node in nodes for player in await stage.crowd(node)]
    async with stage.play(players):
        await stage.acks(players)
        for node in nodes:
            node.kill()
        await asyncio.gather(*(node.ended(PATIENCE_S) for node in nodes))
        await asyncio.gather(*(node.start() for node in nodes))
        for player in players:
            player.move_to(stage.random.choice(nodes).url)
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def join_room_lost(stage: Stage) -> None:
    """Everybody's connection is cut, and so is the next one before its JOIN_ROOM arrives, three times: the token they
    have still counts, and all are back within 5 s."""
    node = await stage.serve(SHORT_LEASE)
    link = await stage.link_before(node)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        for _ in range(3):
            link.hold_replies()
            dials = link.connections + len(players)
            for player in players:
                player.move_to(through(node.url, link))
            await _dialled(link, dials)
            link.cut()
            link.let_go()
            await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players, 1))
    await stage.healed()


def soak(minutes: float) -> Scenario:
    """For so long: chance hurts whatever there is, sometimes two at once, and waits for it to recover."""

    async def run(stage: Stage) -> None:
        await _soak(stage, minutes * 60)

    run.__doc__ = f"Two nodes under load, hurt by chance for {minutes:g} min: after each fault acks within 5 s."
    return Scenario(SOAK, run)


async def _dialled(link: Proxy, dials: int) -> None:
    """So many have dialled, and the server has had the time to let them in."""

    async def is_so() -> bool:
        return link.connections >= dials

    await poll(is_so, PATIENCE_S)
    await asyncio.sleep(0.3)


# -- the soak's faults: each hurts, waits, and heals ------------------------------------------------------------------


class _World(msgspec.Struct):
    """What the faults of a soak may hurt."""

    stage: Stage
    nodes: Sequence[Node]
    players: Sequence[Player]
    #: Apart from the players' chance, so that a seed means the same faults in the same order.
    random: Random

    async def pause(self, from_s: float, to_s: float) -> None:
        await asyncio.sleep(self.random.uniform(from_s, to_s))

    def choose_node(self) -> tuple[Node, Node]:
        """One to hurt, and one that is left."""
        hurt = self.random.choice(self.nodes)
        return hurt, next(node for node in self.nodes if node is not hurt)


_Fault = Callable[[_World], Awaitable[None]]


async def _lose_request(world: _World) -> None:
    await _lose(world, Point.REQUEST)


async def _lose_reply(world: _World) -> None:
    await _lose(world, Point.REPLY)


async def _lose(world: _World, point: Point) -> None:
    trap = world.stage.flushes.trap(point)
    await world.stage.within(PATIENCE_S, "a flush", trap.caught())
    await world.pause(0.0, 0.5)
    trap.lose()


async def _cut_postgres(world: _World) -> None:
    world.stage.postgres_link.cut()


async def _refuse_postgres(world: _World) -> None:
    await world.stage.postgres_link.refuse()
    world.stage.postgres_link.cut()
    await world.pause(0.2, 8.0)
    await world.stage.postgres_link.accept()


async def _stall_postgres(world: _World) -> None:
    world.stage.postgres_link.stall()
    await world.pause(0.2, 8.0)
    world.stage.postgres_link.let_go()


async def _freeze_postgres(world: _World) -> None:
    world.stage.postgres.freeze()
    await world.pause(0.2, 8.0)
    world.stage.postgres.thaw()


async def _kill_backend(world: _World) -> None:
    await world.stage.postgres.kill_backend(world.stage.urls.database_url)


async def _kill_postgres(world: _World) -> None:
    await world.stage.postgres.kill()
    await world.pause(0.2, 3.0)
    await world.stage.postgres.start_again()


async def _refuse_writes(world: _World) -> None:
    await world.stage.postgres.turn_read_only(True)
    await world.pause(0.2, 8.0)
    await world.stage.postgres.turn_read_only(False)


async def _kill_valkey(world: _World) -> None:
    await world.stage.valkey.kill()
    await world.pause(0.2, 3.0)
    await world.stage.valkey.start_again()


async def _empty_valkey(world: _World) -> None:
    await world.stage.valkey.empty()


async def _freeze_valkey(world: _World) -> None:
    world.stage.valkey.freeze()
    await world.pause(0.2, 5.0)
    world.stage.valkey.thaw()


async def _kill_node(world: _World) -> None:
    hurt, left = world.choose_node()
    hurt.kill()
    await hurt.ended(PATIENCE_S)
    await _leave_node(world, hurt, left)
    await hurt.start_anyhow(PATIENCE_S)


async def _drain_node(world: _World) -> None:
    hurt, left = world.choose_node()
    hurt.ask_to_stop()
    await _leave_node(world, hurt, left)
    await hurt.ended(PATIENCE_S)
    await hurt.start_anyhow(PATIENCE_S)


async def _freeze_node(world: _World) -> None:
    hurt, left = world.choose_node()
    hurt.freeze()
    await world.pause(0.2, 4.0)
    await _leave_node(world, hurt, left)
    await world.pause(0.0, 3.0)
    hurt.thaw()
    await world.pause(1.0, 2.0)
    await hurt.start_anyhow(PATIENCE_S)


async def _leave_node(world: _World, hurt: Node, left: Node) -> None:
    """Its players dial the other, as a balancer would have it."""
    for player in world.players:
        if player.url == hurt.url:
            player.move_to(left.url)


async def _cut_players(world: _World) -> None:
    for player in world.players:
        if world.random.random() < 0.5:
            player.move_to(world.random.choice(world.nodes).url)


_ALONE: tuple[_Fault, ...] = (_kill_node, _drain_node, _freeze_node)
#: Those that may come beside another: no two of them hurt the same thing.
_POSTGRES: tuple[_Fault, ...] = (
    *(_lose_request, _lose_reply, _cut_postgres, _refuse_postgres, _stall_postgres),
    *(_freeze_postgres, _kill_backend, _kill_postgres, _refuse_writes),
)
_OTHERS: tuple[_Fault, ...] = (_kill_valkey, _empty_valkey, _freeze_valkey, _cut_players)


async def _soak(stage: Stage, lasts_s: float) -> None:
    random = Random(stage.random.getrandbits(64))
    nodes = [await stage.serve(SHORT_LEASE) for _ in range(2)]
    players = [player for node in nodes for player in await stage.crowd(node)]
    world, ends = _World(stage, nodes, players, random), stage.history.now() + lasts_s
    async with stage.play(players):
        while stage.history.now() < ends:
            await world.pause(0.2, PEACE_S)
            first = random.choice((*_ALONE, *_POSTGRES, *_OTHERS))
            both = [first]
            if random.random() < TWICE:
                both.append(random.choice(_POSTGRES if first not in _POSTGRES else (*_ALONE, *_OTHERS)))
            what = " and ".join(fault.__name__.strip("_").replace("_", " ") for fault in both)
            stage.say(f"{stage.history.now():7.1f} s  {what}")
            await asyncio.gather(*(fault(world) for fault in both))
            await stage.promptly(RECOVERED_S, f"acks for everybody after: {what}", stage.acks(players, 1))
    await stage.healed()


SCENARIOS = (
    Scenario("both-databases", both_databases),
    Scenario("killed-while-cut", killed_while_cut),
    Scenario("postmaster-and-node-killed", postmaster_and_node_killed),
    Scenario("killed-and-forgotten", killed_and_forgotten),
    Scenario("both-nodes-killed", both_nodes_killed),
    Scenario("join-room-lost", join_room_lost),
)
