"""What the picows transport relies on beyond picows' documented interface, in the one version that is allowed."""

import gc
import importlib.metadata
import weakref

import picows.picows
import pytest

from contracts import limits
from tests.edge.transport.conftest import Recorder, running, until
from tests.edge.transport.raw_client import BINARY, Client, frame


def test_picows_has_the_version_this_transport_was_written_for() -> None:
    """Another one needs `server/edge/transport/picows.py` read again, with picows' source beside it."""
    assert importlib.metadata.version("picows") == "2.3.1"


def test_its_protocol_class_can_be_subclassed_and_fed_by_hand() -> None:
    protocol = picows.picows.WSProtocol
    assert isinstance(type("Derived", (protocol,), {}), type)
    for name in ("connection_made", "connection_lost", "get_buffer", "buffer_updated", "eof_received"):
        assert callable(getattr(protocol, name))
    for name in ("is_close_frame_sent", "close_handshake"):
        assert hasattr(picows.WSTransport, name)


@pytest.mark.asyncio(loop_scope="module")
async def test_its_read_buffer_stays_small_under_a_flood() -> None:
    endpoint = Recorder()
    async with running("picows", lambda _: endpoint) as server:
        client = await Client.dial(server.port)
        await client.upgrade()
        message = frame(BINARY, b"x" * limits.MESSAGE_BYTES_MAX)
        client.send(message * 500)
        assert await endpoint.heard() == ("opened",)
        for _ in range(500):
            assert (await endpoint.heard())[0] == "message"
        (socket,) = server.sockets
        assert len(picows.picows.WSProtocol.get_buffer(socket, -1)) < 2 * limits.MESSAGE_BYTES_MAX
        client.cut()
        assert await endpoint.heard() == ("closed", 1006)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_socket_that_is_gone_leaves_nothing_to_the_garbage_collector() -> None:
    """Which looks seldom (`runtime/garbage.py`), and whose pauses everybody waits for."""
    endpoint = Recorder()
    async with running("picows", lambda _: endpoint) as server:
        client = await Client.dial(server.port)
        await client.upgrade()
        assert await endpoint.heard() == ("opened",)
        (socket,) = server.sockets
        gone = weakref.ref(socket)
        del socket
        gc.collect()
        gc.disable()
        try:
            client.cut()
            assert await endpoint.heard() == ("closed", 1006)
            del endpoint.wire
            await until(lambda: gone() is None)
        finally:
            gc.enable()
