"""Durability: flushes lost on their way, and a PostgreSQL that is cut off, killed, frozen, slow, or says no."""

import asyncio
from contextlib import suppress

import asyncpg

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.flushes import Point
from server.tools.chaos.history import Acked, Heard, Rejected, Stood
from server.tools.chaos.scenarios.parts import SHORT_LEASE, catch, journal_places, outage, places
from server.tools.chaos.stage import PATIENCE_S, RECOVERED_S, Broken, Stage


async def killed_before_flush(stage: Stage) -> None:
    """The node is killed (-9) when an intent is applied and its flush has not reached PostgreSQL: the action is absent
    and nobody saw it; sent again to the restarted node, it takes effect once."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    caught = await catch(stage, players[0], Point.REQUEST, node.kill)
    await node.ended(PATIENCE_S)
    if places(caught.actions) & await journal_places(stage):
        raise Broken("the journal has what never reached PostgreSQL")
    if caught.seq not in players[0].open:
        raise Broken(f"intent {caught.seq} was answered, and was not durable")
    await node.start()
    await stage.healed()


async def killed_before_ack(stage: Stage) -> None:
    """The node is killed (-9) when PostgreSQL has committed and the ack has not left: the resent intent is answered
    `duplicate`, with the roomSeq it has."""
    node = await stage.serve(SHORT_LEASE)
    players = await stage.crowd(node)
    caught = await catch(stage, players[0], Point.REPLY, node.kill)
    await node.ended(PATIENCE_S)
    await node.start()
    await stage.healed()
    acks = [record for record in stage.history.records if isinstance(record, Acked)]
    mine = [(ack.status, ack.room_seq) for ack in acks if ack.session == players[0].session_id]
    if mine != [("duplicate", caught.actions[-1].room_seq)]:
        raise Broken(f"the resent intent is at roomSeq {caught.actions[-1].room_seq}, and was answered {mine}")


async def reply_lost(stage: Stage) -> None:
    """PostgreSQL commits a flush under load, and the reply is lost with the connection, three times: one row each,
    acked once, and play goes on within 5 s."""
    await _flushes_lost(stage, Point.REPLY)


async def request_lost(stage: Stage) -> None:
    """A flush under load is lost with the connection before PostgreSQL has heard of it, three times: written later or
    rejected, no gap, and play goes on within 5 s."""
    await _flushes_lost(stage, Point.REQUEST)


async def reply_held(stage: Stage) -> None:
    """PostgreSQL commits a flush, and its reply comes 1 s late: until then nobody is shown a roomSeq that the server
    can't know to be durable."""
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        trap = stage.flushes.trap(Point.REPLY)
        held = places(await stage.within(PATIENCE_S, "a flush", trap.caught()))
        if not held <= await journal_places(stage):
            raise Broken("a reply was held, and its rows are not in the journal")
        await asyncio.sleep(1.0)
        seen = [record for record in stage.history.records if isinstance(record, Acked | Heard | Stood)]
        early = [record for record in seen if (record.room, record.room_seq) in held]
        trap.pass_on()
        if early:
            raise Broken(f"this was shown before the server could know it to be durable: {early[0]}")
        await stage.acks(players)
    await stage.healed()


async def link_stalled_briefly(stage: Stage) -> None:
    """The link to PostgreSQL stalls for 3 s: everybody is told within 1 s, nothing is acked meanwhile, the node goes on
    answering, and all is well within 5 s of its return."""
    await _link_stalled(stage, 3.0)


async def link_stalled(stage: Stage) -> None:
    """The link to PostgreSQL stalls for 30 s: everybody is told within 1 s, nothing is acked meanwhile, the node goes
    on answering, and all is well within 5 s of its return."""
    await _link_stalled(stage, 30.0)


async def backend_killed(stage: Stage) -> None:
    """SIGKILL to one backend under load, upon which PostgreSQL ends all of them: every room accepts intents again
    within 5 s."""
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        await stage.postgres.kill_backend(stage.urls.database_url)
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def postmaster_killed(stage: Stage) -> None:
    """SIGKILL to the postmaster under load, and a start 2 s later: everybody is told within 1 s, and every room accepts
    intents within 5 s of the start."""
    await outage(stage, stage.postgres.kill, stage.postgres.start_again, 2.0)


async def frozen(stage: Stage) -> None:
    """All of PostgreSQL is frozen (SIGSTOP) for 20 s and then goes on with what it was doing: told within 1 s, nothing
    acked meanwhile, and what lands late lands once."""

    async def freeze() -> None:
        stage.postgres.freeze()

    async def thaw() -> None:
        stage.postgres.thaw()

    await outage(stage, freeze, thaw, 20.0)


async def read_only(stage: Stage) -> None:
    """PostgreSQL refuses writes for 3 s, as a demoted primary does (25006): told within 1 s, nothing acked meanwhile,
    and all is well within 5 s."""

    async def begin() -> None:
        await stage.postgres.turn_read_only(True)

    async def end() -> None:
        await stage.postgres.turn_read_only(False)

    await outage(stage, begin, end, 3.0)


async def statements_cancelled(stage: Stage) -> None:
    """Whatever PostgreSQL runs is cancelled every 20 ms for 3 s under load (57014): flushes are tried again, nobody is
    rejected `internal`, and play goes on."""
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        cancelled, ends = 0, stage.history.now() + 3.0
        while stage.history.now() < ends:
            cancelled += await stage.postgres.cancel_statements(stage.urls.database_url)
            await asyncio.sleep(0.02)
        stage.say(f"{cancelled} statements were cancelled")
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()
    _nobody_was_rejected(stage, "internal")


async def room_locked(stage: Stage) -> None:
    """Another session holds an uncommitted row at one room's next roomSeq for 4 s: that room waits, the others' intents
    are acked all the while, and then it goes on."""
    node = await stage.serve()
    locked, *_, free = players = await stage.crowd(node, rooms=("counter", "counter"))
    connection = await asyncpg.connect(stage.urls.database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "INSERT INTO actions (room_id, room_seq, epoch, kind, at) "
            "SELECT room_id, max(room_seq) + 1, 1, 'tick', 0 FROM actions WHERE room_id = $1 GROUP BY room_id",
            locked.room_id,
        )
        async with stage.play(players):
            waits_since = stage.history.now()
            while stage.history.now() < waits_since + 4.0:
                await stage.promptly(2.0, "an ack in the other room", stage.acks([free], 1))
            if any(ack.at > waits_since and ack.room == locked.room_id for ack in _acks(stage)):
                raise Broken("the locked room was acked")
            await transaction.rollback()
            await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    finally:
        with suppress(asyncpg.PostgresError, OSError):
            await connection.close(timeout=1)
    await stage.healed()


async def budget_spent(stage: Stage) -> None:
    """PostgreSQL refuses writes for longer than the durability budget (1 s here): what was not durable is rejected
    `not_durable`, every client gets a snapshot, and what was acked is there."""

    async def begin() -> None:
        await stage.postgres.turn_read_only(True)

    async def end() -> None:
        await stage.postgres.turn_read_only(False)

    began = stage.history.now()
    players = await outage(stage, begin, end, 3.0, {"durability_budget_s": 1})
    rejected = [record for record in stage.history.records if isinstance(record, Rejected)]
    if not any(reject.code == "not_durable" for reject in rejected):
        raise Broken("the budget ran out, and nothing was rejected not_durable")
    first = min(reject.at for reject in rejected if reject.code == "not_durable")
    for player in players:
        if not any(
            isinstance(record, Stood) and record.base_seq is None and record.at > max(began, first)
            for record in stage.history.records
            if record.session == player.session_id
        ):
            raise Broken(f"session {player.session_id} got no snapshot after the rollback")


async def link_slow(stage: Stage) -> None:
    """Everything between the node and PostgreSQL takes 150 ms longer each way, for 5 s under load: all is acked, only
    later."""
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        stage.postgres_link.delay_s = 0.15
        ends = stage.history.now() + 5.0
        while stage.history.now() < ends:
            await stage.promptly(RECOVERED_S, "an ack for everybody", stage.acks(players, 1))
        stage.postgres_link.delay_s = 0.0
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def flapping(stage: Stage) -> None:
    """PostgreSQL's connections are cut every 300 ms for 10 s under load: nothing acked is lost, and all is well within
    5 s."""
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        for _ in range(33):
            stage.postgres_link.cut()
            await asyncio.sleep(0.3)
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


# -- parts ------------------------------------------------------------------------------------------------------------


async def _flushes_lost(stage: Stage, point: Point) -> None:
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        for _ in range(3):
            await stage.acks(players, 2)
            trap = stage.flushes.trap(point)
            await stage.within(PATIENCE_S, "a flush", trap.caught())
            trap.lose()
            await stage.promptly(RECOVERED_S, "an ack for everybody after a lost flush", stage.acks(players, 1))
    await stage.healed()


async def _link_stalled(stage: Stage, lasts_s: float) -> None:
    async def stall() -> None:
        stage.postgres_link.stall()

    async def go_on() -> None:
        stage.postgres_link.let_go()

    await outage(stage, stall, go_on, lasts_s)


def _acks(stage: Stage) -> list[Acked]:
    return [record for record in stage.history.records if isinstance(record, Acked)]


def _nobody_was_rejected(stage: Stage, code: str) -> None:
    rejects = [record for record in stage.history.records if isinstance(record, Rejected) and record.code == code]
    if rejects:
        raise Broken(f"{len(rejects)} intents were rejected {code!r}, the first: {rejects[0]}")


SCENARIOS = (
    Scenario("f01-killed-before-flush", killed_before_flush, is_fast=True),
    Scenario("f02-killed-before-ack", killed_before_ack, is_fast=True),
    Scenario("f03-reply-lost", reply_lost, is_fast=True),
    Scenario("f04-request-lost", request_lost, is_fast=True),
    Scenario("f05-link-stalled", link_stalled),
    Scenario("f05-link-stalled-briefly", link_stalled_briefly, is_fast=True),
    Scenario("f06-backend-killed", backend_killed),
    Scenario("f07-postmaster-killed", postmaster_killed, is_fast=True),
    Scenario("f08-postgres-frozen", frozen),
    Scenario("f13-read-only", read_only),
    Scenario("f14-statements-cancelled", statements_cancelled),
    Scenario("f15-room-locked", room_locked, is_fast=True),
    Scenario("f47-budget-spent", budget_spent, is_fast=True),
    Scenario("reply-held", reply_held, is_fast=True),
    Scenario("postgres-slow", link_slow),
    Scenario("postgres-flapping", flapping),
)
