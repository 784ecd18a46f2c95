"""What scenarios have in common: an outage, a flush caught at a point of its life, looks at the journal."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from server.tools import http
from server.tools.chaos.databases import read_rows
from server.tools.chaos.flushes import Action, Point
from server.tools.chaos.history import Acked
from server.tools.chaos.node import Node
from server.tools.chaos.player import Player
from server.tools.chaos.stage import PATIENCE_S, RECOVERED_S, TOLD_S, Broken, Stage

#: Of a node, so that its rooms are soon free when it has died.
SHORT_LEASE = {"lease_s": 1, "lease_renew_s": 0.3}
#: After a fault has begun, what PostgreSQL had answered before may still be on its way out.
_AFTERGLOW_S = 0.5
#: Between two looks whether a node still answers.
LOOK_S = 0.5

Act = Callable[[], Awaitable[None]]


class Caught(msgspec.Struct, frozen=True):
    """An intent, and the actions of the flush it went up with."""

    seq: int
    actions: Sequence[Action]


async def outage(
    stage: Stage, hurt: Act, heal: Act, lasts_s: float, settings: Mapping[str, object] | None = None
) -> list[Player]:
    """PostgreSQL is out for a while under load: all are told, nothing is acked, the node answers, all recover."""
    node = await stage.serve(settings)
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        await hurt()
        lost_at, ends = stage.history.now(), time.monotonic() + lasts_s
        await stage.told(players, "postgres")
        while time.monotonic() < ends:
            await answers(stage, node)
            await asyncio.sleep(LOOK_S)
        nothing_was_acked(stage, lost_at + _AFTERGLOW_S)
        await heal()
        await stage.promptly(RECOVERED_S, "an ack for everybody after healing", stage.acks(players, 1))
    await stage.healed()
    return players


async def answers(stage: Stage, node: Node) -> None:
    """The node's event loop is not blocked."""
    answer = await stage.within(TOLD_S * stage.slack, "an answer of /healthz", http.get(f"{node.url}/healthz"))
    if answer.status != 200:
        raise Broken(f"/healthz says {answer.status}")


def nothing_was_acked(stage: Stage, since: float) -> None:
    late = [record for record in stage.history.records if isinstance(record, Acked) and record.at >= since]
    if late:
        raise Broken(f"acked while nothing could be written: {late[0]}")


async def catch(stage: Stage, player: Player, point: Point, then: Callable[[], None]) -> Caught:
    """Let the player ask for something, do `then` while its flush is held at the point, and lose the flush."""
    trap = stage.flushes.trap(point)
    seq = player.ask("intent.add", amount=3)
    actions = await stage.within(PATIENCE_S, "a flush", trap.caught())
    then()
    trap.lose()
    return Caught(seq, actions)


async def journal_places(stage: Stage) -> set[tuple[str, int]]:
    """The (room, roomSeq) of every row."""
    return {(row.room_id, row.room_seq) for row in await read_rows(stage.urls.database_url)}


def places(actions: Sequence[Action]) -> set[tuple[str, int]]:
    return {(action.room, action.room_seq) for action in actions}
