"""Ownership and time: nodes that die, freeze, drain or stumble, and others that take their rooms over."""

import asyncio
from collections.abc import Iterable, Sequence

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.flushes import Point
from server.tools.chaos.history import Closed
from server.tools.chaos.node import Node
from server.tools.chaos.player import Player
from server.tools.chaos.rooms import BLOCKED_S, BLOCKS, RAISES
from server.tools.chaos.scenarios.parts import SHORT_LEASE
from server.tools.chaos.stage import PATIENCE_S, RECOVERED_S, Broken, Stage

#: From a signal to the end of the process.
DRAINED_S = 5.0
#: Past a lease of a second, and what a taker must wait for itself.
TAKEN_OVER_S = 5.0
#: At once, on two nodes; more need more file descriptors than many shells allow.
ACTIVATIONS = 200
MAY_RECONNECT, VERSION_MISMATCH = 4010, 4500


async def taken_over(stage: Stage) -> None:
    """A node is killed (-9) under load, and its players dial another one with the same path and token: that one takes
    the rooms over, within a lease and 5 s."""
    dead, taker, players = await _two_nodes(stage)
    async with stage.play(players):
        await stage.acks(players)
        dead.kill()
        _move(players, taker)
        await stage.promptly(TAKEN_OVER_S, "acks for everybody at the other node", stage.acks(players))
    await stage.healed()


async def frozen_past_its_lease(stage: Stage) -> None:
    """A node is frozen under load until another has taken its rooms, and thawed: its next flush is refused, it closes
    its sockets as moved, and nobody gets a frame of it that contradicts the new owner."""
    frozen, taker, players = await _two_nodes(stage)
    movers, witnesses = players[::2], players[1::2]
    async with stage.play(players):
        await stage.acks(players)
        frozen.freeze()
        _move(movers, taker)
        await stage.promptly(TAKEN_OVER_S, "acks at the new owner", stage.acks(movers))
        thawed_at = stage.history.now()
        frozen.thaw()
        for witness in witnesses:
            witness.url = taker.url
        await stage.promptly(RECOVERED_S, "acks for those who had stayed", stage.acks(witnesses))
    for witness in witnesses:
        codes = [
            record.code
            for record in stage.history.records
            if isinstance(record, Closed) and record.session == witness.session_id and record.at > thawed_at
        ]
        if codes[:1] != [MAY_RECONNECT]:
            raise Broken(f"who had stayed with the old owner was closed with {codes}, not as moved")
    await stage.healed()


async def frozen_before_flush(stage: Stage) -> None:
    """A node's flush is on its way, held up by the network, when the node freezes and another takes the room: let go
    after that, it must insert nothing, and its intent sent again takes effect once."""
    await _frozen_in_a_flush(stage, Point.REQUEST)


async def frozen_after_flush(stage: Stage) -> None:
    """A node's flush is committed and its reply held up when the node freezes and another takes the room: the new owner
    has the action, and the old one, thawed, says nothing of it that is wrong."""
    await _frozen_in_a_flush(stage, Point.REPLY)


async def two_redis(stage: Stage) -> None:
    """Two nodes, each with a Redis of its own, one PostgreSQL; half of a sleeping room's players dial each at once: one
    owner all the same."""
    other = await stage.second_valkey()
    first = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(first, each=6)
    await _stopped(stage, first)
    await first.start()
    second = await stage.serve(SHORT_LEASE, redis_url=other.url)
    _move(players[::2], second)
    async with stage.play(players):
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def activations_at_once(stage: Stage) -> None:
    """200 joins of one sleeping room at once, over two nodes: one claim, and whoever gets a seat plays in the same
    room."""
    first = await stage.serve(SHORT_LEASE)
    player = await stage.join(first)
    player.leave()
    await stage.within(PATIENCE_S, "a leave", player.until(lambda: player.ended is not None))
    await _stopped(stage, first)
    epoch = await stage.epoch(player.room_id)
    await first.start()
    second = await stage.serve(SHORT_LEASE)
    answers = await asyncio.gather(
        *(stage.seat((first, second)[number % 2], "joinById", player.room_id) for number in range(ACTIVATIONS))
    )
    statuses = sorted({answer.status for answer in answers})
    if not set(statuses) <= {200, 503} or 200 not in statuses:
        raise Broken(f"matchmaking answered {statuses}")
    claims = await stage.epoch(player.room_id) - epoch
    if claims != 1:
        raise Broken(f"the room was claimed {claims} times")
    players = [await stage.join(first, player.room_id, "joinById"), await stage.join(first, player.room_id, "joinById")]
    async with stage.play(players):
        await stage.acks(players)
    await stage.healed(players)


async def loop_blocked(stage: Stage) -> None:
    """A room's handler blocks the event loop for 5 s, past the node's lease of 2 s: a metric says so, nothing acked is
    lost, and as nobody took its rooms the node goes on."""
    node = await stage.serve({"lease_s": 2, "lease_renew_s": 0.5})
    players = await stage.crowd(node, rooms=("stumbling", "counter"))
    async with stage.play(players[1:]):
        await stage.acks(players[1:])
        players[0].ask("intent.add", amount=BLOCKS)
        await asyncio.sleep(BLOCKED_S)
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players[1:]))
    await stage.healed()
    if not await node.metric("holdfast_loop_lag_seconds_count"):
        raise Broken("/metrics knows no lag of the event loop")


async def step_raises(stage: Stage) -> None:
    """A room's handler raises under load, three times: that intent is rejected `internal`, its room is rebuilt, the
    others don't notice."""
    node = await stage.serve()
    players = await stage.crowd(node, rooms=("stumbling", "counter"))
    async with stage.play(players):
        for _ in range(3):
            await stage.acks(players, 1)
            seq = players[0].ask("intent.add", amount=RAISES)
            outcome = await stage.within(PATIENCE_S, "the outcome of what raises", players[0].outcome(seq))
            if outcome not in ("internal", "not_durable"):
                raise Broken(f"an intent whose step raises had the outcome {outcome!r}")
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def drained(stage: Stage) -> None:
    """SIGTERM under load: the node ends within 5 s, everybody is closed with 4010, and is back after the next start
    with everything that was acked."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        asked_at = stage.history.now()
        await _stopped(stage, node)
        for player in players:
            await stage.within(PATIENCE_S, "a close", player.until(lambda p=player: not p.is_live))  # type: ignore[misc]
        codes = {
            record.code
            for session in {player.session_id for player in players}
            for record in [_first_close(stage, session, asked_at)]
        }
        if codes != {MAY_RECONNECT}:
            raise Broken(f"a drain closed with {codes}")
        await node.start()
        await stage.promptly(RECOVERED_S, "acks for everybody after the restart", stage.acks(players))
    await stage.healed()


async def killed_while_draining(stage: Stage) -> None:
    """SIGTERM under load, and SIGKILL at a moment within the drain that chance chooses, three times: what was acked is
    there after each start."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    async with stage.play(players):
        for _ in range(3):
            await stage.acks(players, 1)
            node.ask_to_stop()
            await asyncio.sleep(stage.random.uniform(0.0, 0.15))
            node.kill()
            await node.ended(PATIENCE_S)
            await node.start()
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def stuttering(stage: Stage) -> None:
    """A node is frozen for 0.2 to 0.8 s again and again for 8 s, another beside it: with a lease of 1 s it may lose
    its rooms or keep them, and nobody sees two truths."""
    node, other, players = await _two_nodes(stage)
    _move(players[::2], other)
    async with stage.play(players):
        await stage.acks(players, 1)
        ends = stage.history.now() + 8.0
        while stage.history.now() < ends:
            node.freeze()
            await asyncio.sleep(stage.random.uniform(0.2, 0.8))
            node.thaw()
            await asyncio.sleep(stage.random.uniform(0.1, 0.4))
        await node.start_anyhow(PATIENCE_S)
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def rolling(stage: Stage) -> None:
    """Two nodes are restarted one after the other under load, players going to the one that is up: no session ends, and
    nothing acked is lost."""
    first, second, players = await _two_nodes(stage)
    async with stage.play(players):
        for old, new in ((first, second), (second, first)):
            await stage.acks(players)
            for player in players:
                player.url = new.url
            await _stopped(stage, old)
            await stage.promptly(RECOVERED_S, "acks for everybody at the other node", stage.acks(players))
            await old.start()
    await stage.healed()


async def relayed(stage: Stage) -> None:
    """Half of the players dial a node that doesn't own their rooms: they play as the others do; and when the owner is
    killed (-9), all go on there."""
    owner, other, players = await _two_nodes(stage)
    _move(players[::2], other)
    async with stage.play(players):
        await stage.promptly(RECOVERED_S, "acks for those who are relayed", stage.acks(players))
        owner.kill()
        _move(players, other)
        await stage.promptly(TAKEN_OVER_S, "acks after the owner's death", stage.acks(players))
    await stage.healed()


async def version_changed(stage: Stage) -> None:
    """The server comes back with another protocol version: old clients are closed 4500 for good, told which is
    expected; new ones play on in the old rooms."""
    node = await stage.serve(SHORT_LEASE)
    old = await stage.crowd(node)
    async with stage.play(old):
        await stage.acks(old)
    await _stopped(stage, node)
    await node.start(is_later=True)
    waits = [player.until(lambda p=player: p.ended is not None) for player in old]  # type: ignore[misc]
    await stage.within(PATIENCE_S, "the end of the old clients", asyncio.gather(*waits))
    for player in old:
        if player.ended != VERSION_MISMATCH or player.mismatch != {"expected": "later", "received": "1"}:
            raise Broken(f"an old client was closed {player.ended}, told {player.mismatch}")
    rooms = sorted({player.room_id for player in old})
    new = [await stage.join(node, room, "joinById", protocolVersion="later") for room in rooms]
    async with stage.play(new):
        await stage.acks(new)
    await stage.healed(new)


async def killed_again_and_again(stage: Stage) -> None:
    """A node is killed (-9) and started again four times, each time at a moment that chance chooses: while rooms are
    claimed, rebuilt, or just playing again."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        for _ in range(4):
            node.kill()
            await node.ended(PATIENCE_S)
            await node.start()
            await asyncio.sleep(stage.random.uniform(0.0, 2.0))
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def killed_after_claim(stage: Stage) -> None:
    """A restarted node is killed (-9) again when it has claimed a room and its first flush is not in PostgreSQL: the
    next start claims it once more, and nothing is lost."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        node.kill()
        await node.ended(PATIENCE_S)
        trap = stage.flushes.trap(Point.REQUEST)
        await node.start()
        await stage.within(PATIENCE_S, "the first flush after the claim", trap.caught())
        node.kill()
        trap.lose()
        await node.ended(PATIENCE_S)
        await node.start()
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def killed_with_embedded(stage: Stage) -> None:
    """A server on embedded databases is killed (-9) under load and started again on its data folder: it takes over what
    was left running, and everybody plays again within 3 s."""
    node = await stage.serve_embedded()
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        node.kill()
        await node.ended(PATIENCE_S)
        await stage.promptly(3.0, "acks for everybody after the restart", _restarted(stage, node, players))
    stage.find_embedded()
    await stage.healed()


# -- parts ------------------------------------------------------------------------------------------------------------


async def _two_nodes(stage: Stage) -> tuple[Node, Node, list[Player]]:
    first = await stage.serve(SHORT_LEASE)
    second = await stage.serve(SHORT_LEASE)
    return first, second, await stage.crowd(first, each=4)


def _move(players: Iterable[Player], node: Node) -> None:
    for player in players:
        player.move_to(node.url)


async def _stopped(stage: Stage, node: Node) -> None:
    node.ask_to_stop()
    status = await node.ended(DRAINED_S * stage.slack)
    if status != 0:
        raise Broken(f"a drain ended with exit status {status}")


async def _restarted(stage: Stage, node: Node, players: Sequence[Player]) -> None:
    await node.start()
    await stage.acks(players, 1)


async def _frozen_in_a_flush(stage: Stage, point: Point) -> None:
    frozen, taker, players = await _two_nodes(stage)
    trap = stage.flushes.trap(point)
    seq = players[0].ask("intent.add", amount=3)
    await stage.within(PATIENCE_S, "a flush", trap.caught())
    frozen.freeze()
    movers, witnesses = players[::2], players[1::2]
    _move(movers, taker)
    async with stage.play(movers):
        await stage.promptly(TAKEN_OVER_S, "acks at the new owner", stage.acks(movers))
        trap.pass_on()
        await asyncio.sleep(0.3)
        for witness in witnesses:
            witness.url = taker.url
        frozen.thaw()
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(movers))
    await stage.healed()
    if not isinstance(players[0].acked.get(seq), int):
        raise Broken(f"intent {seq} was never acked: {players[0].rejected.get(seq)}")


def _first_close(stage: Stage, session: str, since: float) -> Closed:
    return next(
        record
        for record in stage.history.records
        if isinstance(record, Closed) and record.session == session and record.at >= since
    )


SCENARIOS = (
    Scenario("f19-frozen-past-its-lease", frozen_past_its_lease, is_fast=True),
    Scenario("f19-frozen-before-flush", frozen_before_flush),
    Scenario("f19-frozen-after-flush", frozen_after_flush),
    Scenario("f20-two-redis", two_redis),
    Scenario("f21-activations-at-once", activations_at_once),
    Scenario("f23-loop-blocked", loop_blocked),
    Scenario("f25-version-changed", version_changed),
    Scenario("taken-over", taken_over, is_fast=True),
    Scenario("step-raises", step_raises, is_fast=True),
    Scenario("drained", drained, is_fast=True),
    Scenario("killed-while-draining", killed_while_draining),
    Scenario("stuttering", stuttering),
    Scenario("rolling-restart", rolling),
    Scenario("relayed", relayed),
    Scenario("killed-again-and-again", killed_again_and_again),
    Scenario("killed-after-claim", killed_after_claim),
    Scenario("killed-with-embedded", killed_with_embedded),
)
