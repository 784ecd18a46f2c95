"""
`bench/sdk/`: clients of the official SDK under load, checked on their side and against the journal; and that each check
finds what it is there for, when a proxy changes what the server said.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bench.sdk import journal
from bench.sdk.clients import Found, play
from server.core.colyseus.frames import header
from server.tools.bots import machine
from server.tools.bots.result import Machine, Plan, Result
from server.tools.chaos.proxy import PlainTap, proxy_before, through
from server.tools.wire import Message, read
from tests.sdk.puppets import needs_node
from tests.serving import Server

pytestmark = needs_node

PLAN = Plan(
    url="",
    target="holdfast",
    room="game",
    rooms=2,
    clients=20,
    rate_hz=10,
    duration_s=3,
    warmup_s=0.5,
    model="open",
    seed=1,
)
#: What becomes of a frame of the server: the payloads that go on instead.
Tampering = Callable[[bytes], list[bytes]]


def wrong(result: Result) -> dict[str, int]:
    """By kind, what was found wrong."""
    kinds = ("lost", "doubled", "gaps", "diverged", "unanswered", "problem_count")
    return {kind: count for kind in kinds if (count := getattr(result, kind))}


@pytest.fixture(scope="module")
def facts() -> Machine:
    return machine.facts()


async def test_all_is_acked_seen_and_durable(server: Server, facts: Machine) -> None:
    found = await play(msgspec.structs.replace(PLAN, url=server.url), facts)
    result = found.result
    assert {} == wrong(result), result.problems
    assert (result.sent, result.acked, result.rejected, result.errors) == (600, 600, {}, {})
    assert 20 * 10 * 3.5 == len(found.acks), "the warm-up's are among them"
    for spread in (result.ack_ms, result.seen_ms, result.late_ms):
        assert 0 < spread.p50 <= spread.p99 <= spread.max
    assert (result.ack_ms.count, result.late_ms.count) == (600, 600)
    # Every action has one witness, and one in ten of them is its own actor's turn.
    assert 500 < result.seen_ms.count <= 600
    assert [200, 200, 200] == [second.sent for second in result.timeline]
    durable = await journal.rows(server.database_url, {ack.room_id for ack in found.acks})
    assert result == journal.compared(found, durable)
    others = found.acks[1:]
    missed = journal.compared(found, set(others))
    assert (missed.lost, missed.problem_count) == (1, 1)
    untold = journal.compared(Found(result, others), durable)
    assert (untold.lost, untold.problem_count) == (0, 1)


class TamperingTap(PlainTap):
    """Takes the server's WebSocket frames apart; what is no WebSocket passes."""

    def __init__(self, tamper: Tampering) -> None:
        self._tamper = tamper
        self._is_upgraded = False
        self._waiting = b""

    async def down(self, chunk: bytes) -> bytes:
        going = b""
        if not self._is_upgraded:
            if not chunk.startswith(b"HTTP/1.1 101"):
                return chunk
            self._is_upgraded = True
            head, end, chunk = chunk.partition(b"\r\n\r\n")
            going = head + end
        self._waiting += chunk
        while (taken := taken_apart(self._waiting)) is not None:
            head, payload, self._waiting = taken
            is_data = head[0] & 0x0F == 2
            going += b"".join(framed(each) for each in self._tamper(payload)) if is_data else head + payload
        return going


def taken_apart(waiting: bytes) -> tuple[bytes, bytes, bytes] | None:
    """The first frame's head and payload, and the rest; None while it is not whole. RFC 6455, 5.2; never masked."""
    if len(waiting) < 2:
        return None
    extra = {126: 2, 127: 8}.get(waiting[1], 0)
    length = int.from_bytes(waiting[2 : 2 + extra]) if extra else waiting[1]
    end = 2 + extra + length
    return None if len(waiting) < end else (waiting[: 2 + extra], waiting[2 + extra : end], waiting[end:])


def framed(payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((0x82, length)) + payload
    if length < 2**16:
        return b"\x82\x7e" + length.to_bytes(2) + payload
    return b"\x82\x7f" + length.to_bytes(8) + payload


def nth(number: int, kind: str, act: Callable[[bytes, Any], list[bytes]]) -> Tampering:
    """Does it to the frame of this kind with this number, counted over all connections."""
    seen = 0

    def tamper(payload: bytes) -> list[bytes]:
        nonlocal seen
        said = read(payload)
        if isinstance(said, Message) and said.body.get("kind") == kind:
            seen += 1
            if seen == number:
                return act(payload, said)
        return [payload]

    return tamper


def one_too_low(payload: bytes, said: Any) -> list[bytes]:
    body = {**said.body, "roomSeq": said.body["roomSeq"] - 1}
    return [header(said.type) + msgspec.msgpack.encode(body)]


def in_every_delta(before: bytes, after: bytes) -> Tampering:
    return lambda payload: [payload.replace(before, after) if b"\xa4kind\xa5delta" in payload else payload]


def tamperings() -> dict[str, tuple[Tampering, set[str]]]:
    """By what they do: each, and what must be found."""
    return {
        "a delta is missing": (nth(20, "delta", lambda payload, said: []), {"gaps"}),
        "an ack comes twice": (nth(20, "intent", lambda payload, said: [payload] * 2), {"doubled"}),
        "an ack names another one's place": (nth(20, "intent", one_too_low), {"doubled"}),
        "a field is called otherwise": (in_every_delta(b"\xa6facing", b"\xa6facinG"), {"diverged"}),
        "no step to a side is shown": (in_every_delta(b"\xa1x", b"\xa1X"), {"diverged", "lost"}),
    }


async def test_what_is_wrong_is_found(server: Server, facts: Machine) -> None:
    async def found_by(tamper: Tampering) -> set[str]:
        async with proxy_before(server.url, lambda: TamperingTap(tamper)) as proxy:
            plan = msgspec.structs.replace(PLAN, url=through(server.url, proxy), rooms=1, clients=5, duration_s=1)
            return wrong((await play(plan, facts)).result).keys() - {"problem_count"}

    all_of_them = tamperings()
    found = await asyncio.gather(*(found_by(tamper) for tamper, _ in all_of_them.values()))
    assert {name: kinds for name, (_, kinds) in all_of_them.items()} == dict(zip(all_of_them, found, strict=True))
