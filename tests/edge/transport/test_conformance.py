"""Both transports keep RFC 6455 and the promises of `Wire` and `Endpoint`, on real sockets behind uvicorn."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import structlog.testing
import websockets.asyncio.client

from contracts import limits
from server.edge.transport import Refusal, Wire
from tests.edge.transport.conftest import Recorder, Site, running, until
from tests.edge.transport.raw_client import BINARY, CLOSE, PING, PONG, TEXT, close_frame, frame, upgrade_request

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX = limits.MESSAGE_BYTES_MAX


def echo(wire: Wire, message: bytes) -> None:
    wire.send(message)


def close_4000(wire: Wire, *_: Any) -> None:
    wire.close(4000, "consented")


def fail(*_: Any) -> None:
    raise ZeroDivisionError


async def opened(site: Site, **on: Callable[..., None]) -> tuple[Any, Recorder]:
    endpoint = Recorder(on)
    client = await site.connect(endpoint)
    assert await endpoint.heard() == ("opened",)
    return client, endpoint


class TestTheUpgrade:
    async def test_is_answered_and_declines_what_it_is_offered(self, site: Site) -> None:
        site.door.answer = Recorder()
        client = await site.dial()
        key = base64.b64encode(b"0123456789abcdef").decode()
        status, headers, _ = await client.upgrade(Sec_WebSocket_Key=key, Sec_WebSocket_Protocol="chat")
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        assert status == 101
        assert headers["sec-websocket-accept"] == base64.b64encode(digest).decode()
        assert headers["upgrade"] == "websocket"
        assert headers["connection"].lower() == "upgrade"
        assert not headers.keys() & {"sec-websocket-extensions", "sec-websocket-protocol"}

    async def test_is_decided_by_what_was_asked(self, site: Site) -> None:
        site.door.answer = Refusal(404, "no such room")
        client = await site.dial()
        await client.upgrade(
            path="/base/p1/r%31?sessionId=s1&_authToken=a+b/c=",
            Origin="https://one.example",
            X_Twice="first\r\nX-Twice: second",
        )
        (asked,) = site.door.asked
        assert (asked.path, asked.query) == ("/base/p1/r%31", "sessionId=s1&_authToken=a+b/c=")
        assert (asked.headers["origin"], asked.headers["host"]) == ("https://one.example", "localhost")
        assert asked.headers["x-twice"] == "first"
        assert asked.peer == "127.0.0.1"

    async def test_of_firefox_is_taken(self, site: Site) -> None:
        site.door.answer = Recorder()
        client = await site.dial()
        status, _, _ = await client.upgrade(Connection="keep-alive, Upgrade")
        assert status == 101

    async def test_may_follow_http_on_the_same_socket(self, site: Site) -> None:
        site.door.answer = endpoint = Recorder({"message": echo})
        client = await site.dial()
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await client.response())[2] == b"hello"
        assert (await client.upgrade())[0] == 101
        client.send(frame(BINARY, b"after http"))
        assert await client.frame() == (BINARY, b"after http")
        assert await endpoint.heard() == ("opened",)

    async def test_may_come_byte_by_byte_and_so_may_frames(self, site: Site) -> None:
        site.door.answer = Recorder({"message": echo})
        client = await site.dial()
        await client.send_bytewise(upgrade_request())
        assert (await client.response())[0] == 101
        await client.send_bytewise(frame(BINARY, b"x" * 130) + frame(PING, b"p") + frame(BINARY, b"y"))
        assert [await client.frame() for _ in range(3)] == [(BINARY, b"x" * 130), (PONG, b"p"), (BINARY, b"y")]

    async def test_drops_what_came_before_its_answer(self, site: Site) -> None:
        """uvicorn does. RFC 6455 section 4.1: the client waits for the response before it sends anything."""
        site.door.answer = Recorder({"message": echo})
        client = await site.dial()
        client.send(upgrade_request(), frame(BINARY, b"too early"))
        assert (await client.response())[0] == 101
        client.send(frame(BINARY, b"in time"))
        assert await client.frame() == (BINARY, b"in time")

    async def test_that_is_refused_gets_http(self, site: Site) -> None:
        site.door.answer = Refusal(503, "full", retry_after_s=7)
        client = await site.dial()
        status, headers, body = await client.upgrade()
        assert (status, json.loads(body)) == (503, {"code": 503, "message": "full"})
        assert headers["content-type"] == "application/json"
        assert (headers["retry-after"], headers["connection"]) == ("7", "close")
        assert await client.is_at_end()

    async def test_of_another_origin_can_be_refused(self, site: Site) -> None:
        site.door.answer = Refusal(403, "origin not allowed")
        client = await site.dial()
        status, headers, _ = await client.upgrade(Origin="https://evil.example")
        assert (status, "retry-after" in headers) == (403, False)

    async def test_whose_decision_raises_is_answered_500(self, site: Site) -> None:
        site.door.answer = ZeroDivisionError()
        client = await site.dial()
        with structlog.testing.capture_logs() as logs:
            status, _, body = await client.upgrade()
        assert (status, json.loads(body)["message"]) == (500, "internal error")
        assert [entry["event"] for entry in logs] == ["accept_raised"]

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"Sec_WebSocket_Key": None}, 400),
            ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
            ({"Sec_WebSocket_Key": "~" * 24}, 400),
            ({"Sec_WebSocket_Version": "8"}, 400),
            ({"Sec_WebSocket_Version": None}, 400),
            ({"method": "POST"}, 405),
            ({"path": "/" + "x" * 9000}, 414),
            ({"Cookie": "x" * 9000}, 431),
            ({f"X-{index}": "x" for index in range(200)}, 431),
        ],
        ids=["no key", "short key", "bad key", "old version", "no version", "method", "URL", "header", "headers"],
    )
    async def test_that_is_none_is_refused_without_asking(
        self, site: Site, changes: dict[str, str | None], status: int
    ) -> None:
        client = await site.dial()
        answered, headers, body = await client.upgrade(**changes)
        assert (answered, json.loads(body)["code"]) == (status, status)
        assert headers["sec-websocket-version"] == "13"
        assert await client.is_at_end()
        assert site.door.asked == []

    async def test_is_understood_by_an_independent_client(self, site: Site) -> None:
        site.door.answer = endpoint = Recorder({"message": echo})
        async with websockets.asyncio.client.connect(site.server.url) as client:
            assert client.protocol.extensions == []
            for size in (0, 1, 125, 126, 127, MAX):
                await client.send(b"x" * size)
                assert await client.recv() == b"x" * size
            await (await client.ping())
            endpoint.wire.ping()
            endpoint.wire.send(b"z" * 100_000)
            assert await client.recv() == b"z" * 100_000
        assert (client.close_code, site.server.sockets) == (1000, set())


class TestMessages:
    async def test_arrive_whole_and_in_order(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(BINARY, b"one"), frame(BINARY, b""), frame(TEXT, b"zwei"), frame(BINARY, b"three"))
        heard = [await endpoint.heard() for _ in range(4)]
        assert heard == [("message", b"one"), ("message", b""), ("text",), ("message", b"three")]

    async def test_are_put_together_from_fragments_with_pings_between(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(BINARY, b"a", last=False), frame(PING, b"in between"), frame(0, b"b", last=False))
        client.send(frame(PONG), frame(0, b"", last=False), frame(0, b"c"), frame(BINARY, b"next"))
        heard = [await endpoint.heard() for _ in range(4)]
        assert heard == [("alive",), ("alive",), ("message", b"abc"), ("message", b"next")]
        assert await client.frame() == (PONG, b"in between")

    async def test_of_text_may_be_split_within_a_character(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(TEXT, b"\xc3", last=False), frame(0, b"\xa9"))
        assert await endpoint.heard() == ("text",)

    async def test_may_have_exactly_the_allowed_number_of_fragments(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(BINARY, b"x", last=False), frame(0, b"x", last=False) * (limits.MESSAGE_FRAGMENTS_MAX - 2))
        client.send(frame(0, b"x"))
        assert await endpoint.heard() == ("message", b"x" * limits.MESSAGE_FRAGMENTS_MAX)

    async def test_may_have_exactly_the_allowed_size(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(BINARY, b"x" * MAX), frame(BINARY, b"y" * (MAX - 1), last=False), frame(0, b"z"))
        assert await endpoint.heard() == ("message", b"x" * MAX)
        assert await endpoint.heard() == ("message", b"y" * (MAX - 1) + b"z")

    @pytest.mark.parametrize(
        "frames",
        [
            frame(BINARY, b"x" * (MAX + 1)),
            frame(BINARY, b"x" * MAX, last=False) + frame(0, b"y"),
            frame(TEXT, b"x" * MAX, last=False) + frame(0, b"y", last=False),
            frame(BINARY, b"only the header of a GiB", length=2**30),
            frame(BINARY, length=2**62),
        ],
        ids=["frame", "fragments", "text", "GiB", "EiB"],
    )
    async def test_beyond_it_end_the_connection_with_1009(self, site: Site, frames: bytes) -> None:
        client, endpoint = await opened(site)
        client.send(frames)
        assert await client.close_code() == 1009
        assert await client.is_at_end()
        client.finish()
        assert await endpoint.heard() == ("closed", 1009)

    async def test_that_precede_a_violation_in_the_same_packet_arrive(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(BINARY, b"good"), frame(0x3, b"bad"), frame(BINARY, b"unheard"))
        assert await client.close_code() == 1002
        client.finish()
        assert [await endpoint.heard(), await endpoint.heard()] == [("message", b"good"), ("closed", 1002)]

    async def test_that_precede_a_close_in_the_same_packet_arrive(self, site: Site) -> None:
        client, endpoint = await opened(site, message=echo)
        client.send(frame(BINARY, b"last words"), close_frame(1000))
        assert [await endpoint.heard(), await endpoint.heard()] == [("message", b"last words"), ("closed", 1000)]


class TestViolations:
    FRAMES: ClassVar = {
        "unmasked": (frame(BINARY, b"x", masked=False), 1002),
        "reserved bit 1": (frame(BINARY, b"x", reserved=4), 1002),
        "reserved bit 2": (frame(BINARY, b"x", reserved=2), 1002),
        "reserved bit 3": (frame(TEXT, b"x", reserved=1), 1002),
        "reserved bit of a ping": (frame(PING, b"x", reserved=4), 1002),
        "reserved opcode of data": (frame(0x3, b"x"), 1002),
        "reserved opcode of control": (frame(0xB, b"x"), 1002),
        "fragmented ping": (frame(PING, b"x", last=False), 1002),
        "long ping": (frame(PING, b"x" * 126), 1002),
        "long pong": (frame(PONG, b"x" * 126), 1002),
        "continuation of nothing": (frame(0, b"x"), 1002),
        "message within a message": (frame(BINARY, b"x", last=False) + frame(BINARY, b"y"), 1002),
        "too many fragments": (frame(BINARY, last=False) + frame(0, last=False) * limits.MESSAGE_FRAGMENTS_MAX, 1002),
        "close within a message": (frame(BINARY, b"x", last=False) + close_frame(1000), 1002),
        "close of one byte": (frame(CLOSE, b"x"), 1002),
        "long close": (close_frame(1000, b"x" * 124), 1002),
        "close reason not UTF-8": (close_frame(1000, b"\xff"), 1007),
        "text not UTF-8": (frame(TEXT, b"\xff"), 1007),
        "text ends within a character": (frame(TEXT, b"\xc3", last=False) + frame(0, b""), 1007),
        "text with a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    }

    @pytest.mark.parametrize("violation", FRAMES)
    async def test_end_the_connection(self, site: Site, violation: str) -> None:
        frames, code = self.FRAMES[violation]
        client, endpoint = await opened(site)
        client.send(frames, frame(BINARY, b"unheard"))
        assert await client.close_code() == code
        assert await client.is_at_end()
        client.finish()
        assert await endpoint.heard() == ("closed", code)
        assert endpoint.heard_nothing_more()

    @pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535])
    async def test_include_close_codes_that_may_not_be_sent(self, site: Site, code: int) -> None:
        client, endpoint = await opened(site)
        client.send(close_frame(code))
        assert await client.close_code() == 1002
        client.finish()
        assert await endpoint.heard() == ("closed", 1002)

    async def test_by_a_peer_that_stays_are_cut(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(0x3, b"bad"))
        assert await client.close_code() == 1002
        assert await endpoint.heard() == ("closed", 1002)

    async def test_by_a_flood_of_empty_fragments_cost_no_more_than_one(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(BINARY, last=False))
        client.send(frame(0, last=False) * 1_000_000)
        assert await client.close_code() == 1002
        assert await endpoint.heard() == ("closed", 1002)


class TestPings:
    async def test_are_answered_with_their_payload(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(PING, b"x" * 125), frame(PING))
        assert [await client.frame(), await client.frame()] == [(PONG, b"x" * 125), (PONG, b"")]
        assert [await endpoint.heard(), await endpoint.heard()] == [("alive",), ("alive",)]

    async def test_reach_the_client_and_its_answer_the_endpoint(self, site: Site) -> None:
        client, endpoint = await opened(site)
        endpoint.wire.ping()
        assert await client.frame() == (PING, b"")
        client.send(frame(PONG))
        assert await endpoint.heard() == ("alive",)

    async def test_of_a_peer_that_does_not_read_are_not_answered_for_ever(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.stop_reading()
        endpoint.wire.send(b"x" * 8_000_000)
        waiting_bytes = endpoint.wire.buffered_bytes()
        assert waiting_bytes > limits.PONG_BACKLOG_BYTES_MAX
        assert await endpoint.heard() == ("choked",)
        client.send(frame(PING, b"x" * 125) * 1000)
        for _ in range(1000):
            assert await endpoint.heard() == ("alive",)
        assert endpoint.wire.buffered_bytes() <= waiting_bytes


class TestSlowReaders:
    async def test_are_noticed_once_too_much_waits_and_when_they_have_read(self, site: Site) -> None:
        client, endpoint = await opened(site)
        frame_bytes = 1_000
        for _ in range(2):
            client.stop_reading()
            sent_bytes = 0
            while endpoint.heard_nothing_more():
                endpoint.wire.send(b"x" * frame_bytes)
                sent_bytes += frame_bytes
                await asyncio.sleep(0)
            assert await endpoint.heard() == ("choked",)
            assert limits.LAG_BYTES < endpoint.wire.buffered_bytes() < limits.LAG_BYTES + 3 * frame_bytes
            assert sent_bytes < limits.LAG_BYTES + 8 * limits.KERNEL_SEND_BYTES, "the kernel takes little"
            client.read_on()
            for _ in range(sent_bytes // frame_bytes):
                assert await client.frame() == (BINARY, b"x" * frame_bytes)
            assert await endpoint.heard() == ("drained",)
            assert endpoint.wire.buffered_bytes() <= limits.CAUGHT_UP_BYTES

    async def test_get_messages_of_any_size_as_they_were(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.stop_reading()
        sizes = [0, 1, 125, 126, 8_192, 8_193, 65_535, 65_536, 300_000] * 5
        messages = [bytes((number,)) * size for number, size in enumerate(sizes)]
        for message in messages:
            endpoint.wire.send(message)
            await asyncio.sleep(0)
        client.read_on()
        for message in messages:
            assert await client.frame() == (BINARY, message)

    async def test_are_not_told_of_in_the_midst_of_a_send(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.stop_reading()
        endpoint.wire.send(b"x" * 8_000_000)
        assert endpoint.heard_nothing_more()
        assert await endpoint.heard() == ("choked",)

    async def test_that_the_server_gave_up_are_told_of_no_more_and_cut(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.stop_reading()
        endpoint.wire.send(b"x" * 8_000_000)
        endpoint.wire.close(4507)
        assert await endpoint.heard() == ("closed", 4507)


class TestClosing:
    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 1014, 3000, 4000, 4999])
    async def test_by_the_client_is_echoed(self, site: Site, code: int) -> None:
        client, endpoint = await opened(site)
        client.send(close_frame(code, "tschüß".encode()))
        assert await client.frame() == (CLOSE, code.to_bytes(2) + "tschüß".encode())
        assert await client.is_at_end()
        assert await endpoint.heard() == ("closed", code)

    async def test_by_the_client_may_have_no_code(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.send(frame(CLOSE))
        assert await client.frame() == (CLOSE, b"")
        assert await client.is_at_end()
        assert await endpoint.heard() == ("closed", 1005)

    async def test_by_the_server_waits_for_the_answer(self, site: Site) -> None:
        client, endpoint = await opened(site, message=close_4000)
        client.send(frame(BINARY, b"bye"), frame(BINARY, b"unheard"), frame(TEXT, b"unheard"))
        assert await endpoint.heard() == ("message", b"bye")
        assert await client.frame() == (CLOSE, (4000).to_bytes(2) + b"consented")
        endpoint.wire.send(b"dropped")
        endpoint.wire.ping()
        endpoint.wire.close(4001)
        client.send(close_frame(4000))
        while not await client.is_at_end():
            pass
        assert await endpoint.heard() == ("closed", 4000)
        assert endpoint.heard_nothing_more()

    async def test_by_the_server_cuts_who_does_not_answer(self, site: Site) -> None:
        client, endpoint = await opened(site)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        endpoint.wire.close(4505)
        assert await client.close_code() == 4505
        assert await endpoint.heard() == ("closed", 4505)
        assert 0.9 * limits.CLOSE_S < loop.time() - began_s < limits.CLOSE_S + 1

    async def test_by_the_server_cuts_who_goes_on_sending(self, site: Site) -> None:
        client, endpoint = await opened(site)
        began_s = asyncio.get_running_loop().time()
        endpoint.wire.close(4505)
        client.send(frame(BINARY, b"x" * 1000) * (2 * limits.LATE_BYTES_MAX // 1000))
        assert await endpoint.heard() == ("closed", 4505)
        assert asyncio.get_running_loop().time() - began_s < 0.5 * limits.CLOSE_S

    async def test_from_within_opened_still_tells_the_client(self, site: Site) -> None:
        client, endpoint = await opened(site, opened=close_4000)
        assert await client.close_code() == 4000
        client.send(close_frame(4000))
        assert await endpoint.heard() == ("closed", 4000)

    async def test_sends_as_much_of_a_reason_as_fits(self, site: Site) -> None:
        client, endpoint = await opened(site)
        endpoint.wire.close(4002, "\ud800" + "ü" * 100)
        assert await client.frame() == (CLOSE, (4002).to_bytes(2) + b"?" + "ü".encode() * 61)

    async def test_comes_after_what_was_sent_before(self, site: Site) -> None:
        client, endpoint = await opened(site)
        endpoint.wire.send(b"x" * 300_000)
        endpoint.wire.close(4000)
        assert await client.frame() == (BINARY, b"x" * 300_000)
        assert await client.close_code() == 4000

    async def test_may_be_skipped(self, site: Site) -> None:
        client, endpoint = await opened(site)
        endpoint.wire.abort()
        endpoint.wire.send(b"dropped")
        endpoint.wire.close(4000)
        endpoint.wire.abort()
        assert await client.is_at_end()
        assert await endpoint.heard() == ("closed", 1006)
        endpoint.wire.send(b"dropped")
        endpoint.wire.ping()
        endpoint.wire.close(4000)
        endpoint.wire.abort()
        assert endpoint.wire.buffered_bytes() == 0

    @pytest.mark.parametrize("leaving", ["reset", "finish"])
    async def test_is_1006_when_the_peer_just_goes(self, site: Site, leaving: str) -> None:
        client, endpoint = await opened(site)
        client.send(frame(BINARY, b"half a message", length=100))
        getattr(client, leaving)()
        assert await endpoint.heard() == ("closed", 1006)

    async def test_ends_uvicorns_count_of_the_connection(self, site: Site) -> None:
        client, endpoint = await opened(site)
        assert len(site.server.sockets) == 1
        client.reset()
        assert await endpoint.heard() == ("closed", 1006)
        assert site.server.sockets == set()


class TestEndpoints:
    @pytest.mark.parametrize(
        ("step", "frames"),
        [("opened", b""), ("message", frame(BINARY)), ("text", frame(TEXT)), ("alive", frame(PONG))],
        ids=["opened", "message", "text", "alive"],
    )
    async def test_that_raise_end_their_connection_only(self, site: Site, step: str, frames: bytes) -> None:
        other, _ = await opened(site, message=echo)
        with structlog.testing.capture_logs() as logs:
            client, _ = await opened(site, **{step: fail})
            client.send(frames)
            assert await client.close_code() == 1011
        assert [entry["event"] for entry in logs] == ["endpoint_raised"]
        client.send(close_frame(1011))
        assert await client.is_at_end()
        other.send(frame(BINARY, b"unharmed"))
        assert await other.frame() == (BINARY, b"unharmed")

    async def test_that_raise_at_the_end_are_only_logged(self, site: Site) -> None:
        client, endpoint = await opened(site, closed=fail)
        with structlog.testing.capture_logs() as logs:
            client.reset()
            assert await endpoint.heard() == ("closed", 1006)
            await until(lambda: bool(logs))
        assert [entry["event"] for entry in logs] == ["endpoint_raised"]

    async def test_are_not_held_up_by_a_slow_reader_and_see_what_it_costs(self, site: Site) -> None:
        client, endpoint = await opened(site)
        client.stop_reading()
        for _ in range(1000):
            endpoint.wire.send(b"x" * 10_000)
        assert 2_000_000 < endpoint.wire.buffered_bytes() < 10_100_000
        endpoint.wire.abort()
        assert await endpoint.heard() == ("closed", 1006)


@pytest.mark.parametrize("transport", ["picows", "websockets"])
async def test_a_server_that_stops_tells_its_clients_to_come_back(transport: str) -> None:
    endpoint = Recorder()
    async with (
        running(transport, lambda _: endpoint) as server,
        websockets.asyncio.client.connect(server.url) as client,
    ):
        server.uvicorn.should_exit = True
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            await client.recv()
    assert client.close_code == 1001
    assert [await endpoint.heard(), await endpoint.heard()] == [("opened",), ("closed", 1001)]
