"""
Load: players on a schedule, in a process of their own.

The load is open: each intent is due at a time fixed beforehand, whether or not those before it were
answered, so a server that stalls is charged for all who wait (no coordinated omission).

    join, one after the other --> warm-up --> measured --> wait for what is open --> report
"""

import asyncio
import json
import math
import time
import urllib.request
from collections.abc import Sequence
from multiprocessing.connection import Connection
from random import Random

import msgspec
import uvloop
from picows import ws_connect

from bench.intents import COURSES
from bench.player import Acked, Player, Records
from contracts import PROTOCOL_VERSION

#: How long after the last intent its answer may take before the run counts as failed.
ANSWERS_S = 10.0
#: Between the last join and the first intent.
START_S = 0.5


class Plan(msgspec.Struct, frozen=True):
    """One run."""

    room: str
    clients: int
    rooms: int
    #: Intents a second of each client.
    rate: float
    seconds: float
    warmup_s: float


class Spread(msgspec.Struct, frozen=True):
    """How a quantity is distributed; nearest-rank percentiles."""

    p50: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        ranked = sorted(values) or [math.nan]
        p50, p99, p999 = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.99, 0.999))
        return cls(p50, p99, p999, ranked[-1])


class Heard(msgspec.Struct, frozen=True):
    """What the players report; milliseconds, and the warm-up left out, but for `acked`, `rejected` and `problems`."""

    ack_ms: Spread
    #: From a change's ack at its own player to the delta with it at each.
    stale_ms: Spread
    #: How late this process sent what was due: part of `ack_ms`.
    late_ms: Spread
    deltas: int
    acked: list[Acked]
    rejected: dict[str, int]
    unanswered: int
    #: What the server said of its databases, each once.
    degraded: list[str]
    problems: list[str]
    problem_count: int


def run(url: str, plan: Plan, to_parent: Connection) -> None:
    """The process: sends how many acks have come, when the measured time begins and when it ends; then a Heard."""
    uvloop.run(_run(url, plan, to_parent))


async def _run(url: str, plan: Plan, to_parent: Connection) -> None:
    records = Records()
    players = await _join(url, plan, records)
    warmup = round(plan.warmup_s * plan.rate)
    start = time.perf_counter() + START_S
    records.measured_from = start + warmup / plan.rate
    await _play(players, range(warmup), start, plan.rate)
    to_parent.send(len(records.acked))
    await _play(players, range(warmup, warmup + round(plan.seconds * plan.rate)), start, plan.rate)
    to_parent.send(len(records.acked))
    for player in await _not_done(players):
        records.wrong(f"session {player.session_id}: not all was answered and shown within {ANSWERS_S:g} s")
    unanswered = sum(player.open_intents for player in players)
    for player in players:
        player.leave()
    to_parent.send(_heard(records, unanswered))


async def _play(players: Sequence[Player], turns: range, start: float, rate: float) -> None:
    """Each player's intents of these turns, one a turn, at its own phase of the period."""
    phases = [(place + 0.5) / len(players) for place in range(len(players))]
    for turn in turns:
        for phase, player in zip(phases, players, strict=True):
            due = start + (turn + phase) / rate
            await _until(due)
            player.ask(due)


async def _until(due: float) -> None:
    """The loop's timers count milliseconds and may end early by one: never so here, for latency counts from `due`."""
    wait_s = due - time.perf_counter()
    while wait_s > 0:
        await asyncio.sleep(max(wait_s, 0.001))
        wait_s = due - time.perf_counter()


async def _not_done(players: Sequence[Player]) -> Sequence[Player]:
    """Who still lacks an answer, or the delta with the last of its room, after some time."""
    deadline = time.perf_counter() + ANSWERS_S
    waiting = players
    while waiting and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
        waiting = [player for player in waiting if not player.is_done]
    return waiting


async def _join(url: str, plan: Plan, records: Records) -> list[Player]:
    """The players, in an order that has nothing to do with their rooms."""
    random = Random(0)
    rooms: list[str] = []
    players: list[Player] = []
    for number in range(plan.clients):
        place = f"create/{plan.room}" if number < plan.rooms else f"joinById/{rooms[number % plan.rooms]}"
        seat = await asyncio.to_thread(_seat, url, place)
        rooms.append(seat["roomId"])
        player = Player(seat["roomId"], seat["sessionId"], COURSES[plan.room](random), records)
        socket = f"{url.replace('http', 'ws', 1)}/{seat['processId']}/{seat['roomId']}?sessionId={seat['sessionId']}"
        await ws_connect(lambda player=player: player, socket)
        players.append(player)
    await asyncio.wait_for(asyncio.gather(*(player.joined for player in players)), ANSWERS_S)
    random.shuffle(players)
    return players


def _seat(url: str, place: str) -> dict[str, str]:
    """A guest's seat, by matchmaking as an SDK does it."""
    guest = _post(f"{url}/api/auth/guest", {})
    options = {"accessToken": guest["accessToken"], "protocolVersion": PROTOCOL_VERSION, "resume": False}
    return _post(f"{url}/matchmake/{place}", options)


def _post(url: str, body: dict[str, object]) -> dict[str, str]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWERS_S) as answer:
        found: dict[str, str] = json.load(answer)
        return found


def _heard(records: Records, unanswered: int) -> Heard:
    return Heard(
        ack_ms=Spread.of(records.ack_ms),
        stale_ms=Spread.of(records.stale_ms),
        late_ms=Spread.of(records.late_ms),
        deltas=records.deltas,
        acked=records.acked,
        rejected=records.rejected,
        unanswered=unanswered,
        degraded=sorted({f"{event.dependency} {event.status} ({event.reason})" for event in records.degraded}),
        problems=records.problems,
        problem_count=records.problem_count,
    )
