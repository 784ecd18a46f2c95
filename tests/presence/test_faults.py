"""What Redis does to us is told in our own words, soon, and nothing is done twice."""

import asyncio
import socket
import struct
import time
from contextlib import suppress

import pytest
import uvloop

from server.core.faults import Fault, OutcomeUnknown, Reason, Unavailable
from server.presence import Directory, Reservations, Revocations, Sessions, Store
from server.presence.store import TURN_S
from tests.presence.samples import listing, record, reservation
from tests.presence.valkey import Trouble, Valkey, fill_up, freeze, refuse, turn_read_only

#: The deadline of 0.5 s, and what a busy machine adds.
SOON_S = 1.5


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(refuse, "refused"), (turn_read_only, "read_only"), (fill_up, "out_of_memory"), (freeze, "timeout")],
)
@pytest.mark.parametrize("is_connected", [True, False])
async def test_a_probe_tells_soon_why_a_write_would_fail(
    frail_valkey: Valkey, frail_store: Store, trouble: Trouble, reason: Reason, is_connected: bool
) -> None:
    if is_connected:
        assert await frail_store.probe() is None
    trouble(frail_valkey)
    started_s = time.monotonic()
    assert await frail_store.probe() == reason
    assert time.monotonic() - started_s < SOON_S


@pytest.mark.parametrize(
    ("trouble", "reason"), [(turn_read_only, "read_only"), (fill_up, "out_of_memory"), (refuse, "refused")]
)
async def test_every_write_that_surely_failed_is_unavailable(
    frail_valkey: Valkey, trouble: Trouble, reason: Reason
) -> None:
    trouble(frail_valkey)
    store = Store(frail_valkey.url)
    directory = Directory(store, ["game"])
    writes = [
        directory.publish(listing()),
        directory.refresh("node-1"),
        Sessions(store).put([record()]),
        Revocations(store).revoke("jti", 4_000_000_000),
        store.write(("SET", "key", "value")),
    ]
    for fault in await asyncio.gather(*writes, return_exceptions=True):
        assert isinstance(fault, Unavailable)
        assert reason == fault.reason
    await store.aclose()


async def test_placing_in_a_full_redis_places_nobody(frail_valkey: Valkey, frail_store: Store) -> None:
    directory, reservations = Directory(frail_store, ["game"]), Reservations(frail_store)
    await directory.refresh("node-1")
    await directory.publish(listing())
    fill_up(frail_valkey)
    with pytest.raises(Unavailable):
        await reservations.place("game", None, {}, reservation(), 60_000)
    assert frail_valkey.run("EXISTS", "holdfast:{game}:seats:room-1") == 0
    assert await directory.listings() == [listing()]


async def test_a_frozen_redis_holds_nobody_and_leaves_what_was_sent_unknown(
    frail_valkey: Valkey, frail_store: Store
) -> None:
    reservations, sessions = Reservations(frail_store), Sessions(frail_store)
    await frail_store.probe()
    frail_valkey.freeze()
    started_s = time.monotonic()
    with pytest.raises(OutcomeUnknown) as sent:
        await reservations.place("game", None, {}, reservation(), 60_000)
    assert time.monotonic() - started_s < SOON_S
    assert sent.value.reason == "timeout"
    started_s = time.monotonic()
    with pytest.raises(Unavailable):
        await reservations.place("game", None, {}, reservation(), 60_000)
    with pytest.raises(Unavailable):
        await sessions.get("session-1")
    assert time.monotonic() - started_s < 2 * SOON_S


async def test_the_last_of_many_callers_of_a_frozen_redis_is_not_held_much_longer(
    frail_valkey: Valkey, frail_store: Store
) -> None:
    frail_valkey.freeze()
    started_s = time.monotonic()
    outcomes = await asyncio.gather(*(frail_store.read(("GET", "key")) for _ in range(1000)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert time.monotonic() - started_s < TURN_S + 2 * SOON_S


async def test_a_thawed_redis_serves_at_once(frail_valkey: Valkey, frail_store: Store) -> None:
    await frail_store.probe()
    frail_valkey.freeze()
    assert await frail_store.probe() == "timeout"
    frail_valkey.thaw()
    assert await frail_store.probe() is None


async def test_a_restarted_redis_serves_the_next_call(frail_valkey: Valkey, frail_store: Store) -> None:
    await frail_store.probe()
    await asyncio.to_thread(frail_valkey.restart)
    assert await frail_store.probe() is None


def test_idle_connections_that_were_reset_are_opened_anew_on_the_servers_loop(valkey: Valkey) -> None:
    async def call_reset_and_call() -> None:
        proxy = Resetting(valkey.port)
        async with await asyncio.start_server(proxy.relay, "127.0.0.1", 0) as server:
            store = Store(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
            await asyncio.gather(*[store.probe() for _ in range(3)])
            await proxy.reset()
            reasons = await asyncio.gather(*[store.probe() for _ in range(3)], return_exceptions=True)
            await store.aclose()
            await proxy.reset()
        assert [None] * 3 == reasons

    # uvloop answers a write to such a socket with RuntimeError, asyncio's own loop does not.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(call_reset_and_call())


async def test_a_write_whose_reply_is_lost_is_unknown_and_done_once(valkey: Valkey) -> None:
    async with await asyncio.start_server(cutting(valkey.port, b"XADD"), "127.0.0.1", 0) as proxy:
        store = Store(f"redis://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/0")
        with pytest.raises(OutcomeUnknown):
            await store.write(("XADD", "stream", "*", "field", "value"))
        await store.aclose()
    assert valkey.run("XLEN", "stream") == 1


async def test_a_read_whose_reply_is_lost_is_unavailable(valkey: Valkey) -> None:
    async with await asyncio.start_server(cutting(valkey.port, b"GET"), "127.0.0.1", 0) as proxy:
        store = Store(f"redis://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/0")
        with pytest.raises(Unavailable):
            await store.read(("GET", "key"))
        await store.aclose()


async def test_a_cancelled_call_ends_so_at_every_point_and_spoils_no_other(valkey: Valkey, store: Store) -> None:
    valkey.run("SET", "mine", "mine")
    for turns in range(30):
        call = asyncio.create_task(store.read(*[("GET", "other")] * 3))
        for _ in range(turns):
            await asyncio.sleep(0)
        is_cut_short = call.cancel()
        await asyncio.wait({call})
        assert call.cancelled() == is_cut_short
        assert await store.read(("GET", "mine")) == [b"mine"]


async def test_a_fault_names_no_secret_of_the_url() -> None:
    store = Store("redis://:canary-secret@127.0.0.1:1/0")
    with pytest.raises(Fault) as fault:
        await store.read(("GET", "key"))
    assert "canary-secret" not in f"{fault.value!r} {fault.value} {fault.value.__cause__} {store!r}"
    await store.aclose()


async def test_a_wrong_password_is_a_refusal(frail_valkey: Valkey) -> None:
    frail_valkey.run("CONFIG", "SET", "requirepass", "right")
    store = Store(frail_valkey.url)
    assert await store.probe() == "refused"
    await store.aclose()


def cutting(port: int, command: bytes):  # type: ignore[no-untyped-def]
    """A connection to Valkey that is cut, once Valkey has answered this command, before the answer is passed on."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        while asked := await reader.read(65536):
            up_writer.write(asked)
            answer = await up_reader.read(65536)
            if b"\r\n" + command + b"\r\n" in asked:
                break
            writer.write(answer)
        up_writer.close()
        writer.close()

    return relay


class Resetting:
    """Connections to Valkey that can be closed with RST in place of FIN."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._relays: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._relays[writer] = asyncio.current_task()
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        with suppress(OSError):
            while asked := await reader.read(65536):
                up_writer.write(asked)
                writer.write(await up_reader.read(65536))
        for end in (up_writer, writer):
            end.close()
            with suppress(OSError):
                await end.wait_closed()

    async def reset(self) -> None:
        for writer in self._relays:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.transport.abort()
        await asyncio.wait([relay for relay in self._relays.values() if relay is not None])
        self._relays.clear()
