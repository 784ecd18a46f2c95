"""
Faults: what a call means for what it was to do, when PostgreSQL or the link to it fails.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import psutil
import pytest

from server.core.faults import Fault, OutcomeUnknown, Poisoned, TookTooLong, Unavailable
from server.embedded import Embedded
from server.storage import migrations
from server.storage.classify import classify
from server.storage.database import COMMAND_S, Database
from server.storage.journal import End, Journal
from server.storage.nodes import Nodes
from server.tools.chaos.proxy import Proxy, proxy_before, through
from tests.databases import fresh_database
from tests.storage.parts import LEASE_S, ME, backend, count, end_of, entry

FLUSH_S = 0.4
UNREACHABLE = "postgresql://nobody@127.0.0.1:9/nothing?sslmode=disable"


@pytest.fixture
async def proxy(url: str, nodes: Nodes) -> AsyncIterator[tuple[Proxy, Database]]:
    """The link of a database, to be hurt; ME is registered."""
    async with proxy_before(url) as link, Database(through(url, link), ME) as database:
        yield link, database


@pytest.fixture
async def own_url(embedded: Embedded) -> AsyncIterator[str]:
    """A database of the test's own, whose settings it may change."""
    async with fresh_database(embedded) as url:
        await migrations.up(url)
        yield url


@pytest.mark.parametrize(
    ("error", "sent", "kind", "reason"),
    [
        (asyncpg.QueryCanceledError(""), True, TookTooLong, "timeout"),
        (asyncpg.LockNotAvailableError(""), True, TookTooLong, "timeout"),
        (asyncpg.ReadOnlySQLTransactionError(""), True, Unavailable, "read_only"),
        (asyncpg.DiskFullError(""), True, Unavailable, "disk_full"),
        (asyncpg.OutOfMemoryError(""), True, Unavailable, "out_of_memory"),
        (asyncpg.TooManyConnectionsError(""), False, Unavailable, "refused"),
        (asyncpg.UndefinedTableError(""), True, Unavailable, "error"),
        (asyncpg.DeadlockDetectedError(""), True, Unavailable, "error"),
        (asyncpg.ConnectionDoesNotExistError(""), True, OutcomeUnknown, "refused"),
        (asyncpg.ConnectionDoesNotExistError(""), False, Unavailable, "refused"),
        (asyncpg.AdminShutdownError(""), True, OutcomeUnknown, "refused"),
        (asyncpg.CannotConnectNowError(""), False, Unavailable, "refused"),
        (asyncpg.StatementCompletionUnknownError(""), True, OutcomeUnknown, "error"),
        (asyncpg.InterfaceError("connection is closed"), True, Unavailable, "refused"),
        (asyncpg.InternalClientError(""), True, OutcomeUnknown, "refused"),
        (ConnectionResetError(), True, OutcomeUnknown, "refused"),
        (RuntimeError("uvloop: the handler is closed"), True, OutcomeUnknown, "refused"),
        (ConnectionRefusedError(), False, Unavailable, "refused"),
        (TimeoutError(), True, OutcomeUnknown, "timeout"),
        (TimeoutError(), False, Unavailable, "timeout"),
        (asyncpg.UniqueViolationError(""), True, Poisoned, "error"),
        (asyncpg.UntranslatableCharacterError(""), True, Poisoned, "error"),
        (asyncpg.ProgramLimitExceededError(""), True, Poisoned, "error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_says_whether_it_happened_and_why(
    error: Exception, sent: bool, kind: type[Fault], reason: str
) -> None:
    fault = classify(error, sent=sent)
    assert (kind, reason) == (type(fault), fault.reason)


async def test_a_backend_killed_during_a_flush_leaves_its_outcome_unknown_and_the_next_one_works(
    journal: Journal, operator: asyncpg.Connection, holder: asyncpg.Connection
) -> None:
    async with holder.transaction():
        await holder.fetch("SELECT FROM nodes FOR UPDATE")
        flush = asyncio.create_task(journal.flush(ME, [entry(1)]))
        pid = await backend(operator, application_name=ME, wait_event_type="Lock")
        await operator.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(OutcomeUnknown):
            await flush
    await journal.flush(ME, [entry(1)])


async def test_a_flush_whose_reply_is_lost_has_an_unknown_outcome_though_it_is_durable(
    proxy: tuple[Proxy, Database], operator: asyncpg.Connection
) -> None:
    link, database = proxy
    journal = Journal(database)
    await journal.flush(ME, [entry(1)])
    link.hold_replies()
    flush = asyncio.create_task(journal.flush(ME, [entry(2)]))
    while await count(operator, "actions") < 2:
        await asyncio.sleep(0)
    link.cut()
    with pytest.raises(OutcomeUnknown):
        await flush


async def test_a_flush_that_is_lost_on_its_way_has_an_unknown_outcome_too(
    proxy: tuple[Proxy, Database], operator: asyncpg.Connection
) -> None:
    link, database = proxy
    journal = Journal(database)
    await journal.flush(ME, [entry(1)])
    link.hold_requests()
    flush = asyncio.create_task(journal.flush(ME, [entry(2)]))
    await link.held()
    link.cut()
    with pytest.raises(OutcomeUnknown):
        await flush
    link.let_go()
    await journal.flush(ME, [entry(2)])


async def test_on_a_stalled_link_a_flush_ends_at_its_timeout_with_an_unknown_outcome(
    proxy: tuple[Proxy, Database],
) -> None:
    link, database = proxy
    journal = Journal(database, FLUSH_S)
    await journal.flush(ME, [entry(1)])
    link.stall()
    started_s = time.monotonic()
    with pytest.raises(OutcomeUnknown) as caught:
        await journal.flush(ME, [entry(2)])
    assert "timeout" == caught.value.reason
    # The next one has to connect, so it surely isn't sent.
    with pytest.raises(Unavailable):
        await journal.flush(ME, [entry(2)])
    assert time.monotonic() - started_s < 2 * FLUSH_S + 0.5
    link.cut()
    link.let_go()
    await journal.flush(ME, [entry(2)])


async def test_a_statement_has_only_the_time_that_connecting_has_left_it(
    proxy: tuple[Proxy, Database], holder: asyncpg.Connection
) -> None:
    """By the server's clock it would have 0.75 s of its own."""
    link, database = proxy
    async with holder.transaction():
        await holder.fetch("SELECT FROM nodes FOR UPDATE")
        link.stall()
        patient = database.link(timeout_s=1.0, lock_wait_s=5.0)
        flush = asyncio.create_task(patient.run("flush", ME, [entry(1).row()], writes=True))
        await asyncio.wait([flush], timeout=0.5)
        link.let_go()
        with pytest.raises(OutcomeUnknown):
            await flush


async def test_a_flush_that_waits_too_long_for_a_lock_surely_did_not_happen(
    database: Database, nodes: Nodes, holder: asyncpg.Connection
) -> None:
    journal = Journal(database, FLUSH_S)
    async with holder.transaction():
        await holder.fetch("SELECT FROM nodes FOR UPDATE")
        with pytest.raises(TookTooLong) as caught:
            await journal.flush(ME, [entry(1)])
    assert "timeout" == caught.value.reason
    await journal.flush(ME, [entry(1)])


async def test_a_cancelled_flush_gives_its_connection_up(proxy: tuple[Proxy, Database]) -> None:
    link, database = proxy
    journal = Journal(database)
    await journal.flush(ME, [entry(1)])
    link.stall()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(journal.flush(ME, [entry(2)]), 0.05)
    link.let_go()
    await journal.flush(ME, [entry(3)])


async def test_a_backend_killed_while_idle_costs_nothing(journal: Journal, operator: asyncpg.Connection) -> None:
    await journal.flush(ME, [entry(1)])
    await journal.read("room-a")
    await _end_backends(operator)
    await journal.flush(ME, [entry(2)])
    assert End(2, 1) == await end_of(journal)


async def test_a_read_on_a_stalled_link_can_be_given_up_at_once(proxy: tuple[Proxy, Database]) -> None:
    link, database = proxy
    await end_of(Journal(database))
    link.stall()
    started_s = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(end_of(Journal(database)), 0.05)
    assert time.monotonic() - started_s < 0.5


async def test_a_write_whose_reply_is_lost_has_an_unknown_outcome_and_a_read_has_none(
    proxy: tuple[Proxy, Database], nodes: Nodes
) -> None:
    link, database = proxy
    for call, kind in ((Nodes(database).renew(ME, LEASE_S), OutcomeUnknown), (end_of(Journal(database)), Unavailable)):
        await end_of(Journal(database))
        link.hold_replies()
        task = asyncio.create_task(call)
        await link.held()
        link.cut()
        with pytest.raises(kind):
            await task
        link.let_go()


async def test_a_server_turned_read_only_is_unavailable_for_that_reason_and_then_serves_again(own_url: str) -> None:
    operator = await asyncpg.connect(own_url)
    async with Database(own_url, ME) as database:
        journal, nodes = Journal(database), Nodes(database)
        await nodes.register(ME, None, "", LEASE_S)
        assert await database.probe() is None
        await _set_read_only(operator, "on")
        await _end_backends(operator)
        for call in (journal.flush(ME, [entry(1)]), nodes.renew(ME, LEASE_S)):
            with pytest.raises(Unavailable) as caught:
                await call
            assert "read_only" == caught.value.reason
        assert "read_only" == await database.probe()
        await _set_read_only(operator, "off")
        assert await database.probe() is None
        await journal.flush(ME, [entry(1)])
        await nodes.renew(ME, LEASE_S)
    await operator.close()


async def _set_read_only(operator: asyncpg.Connection, value: str) -> None:
    """For new sessions only, as a failover is known only to new ones."""
    await operator.execute(f"""DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {value}', current_database());
    END $$""")


async def _end_backends(operator: asyncpg.Connection) -> None:
    """End all backends of ME; they are gone, and their ends of the sockets closed, when this returns."""
    query = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
    ended = [row["pid"] for row in await operator.fetch(query, ME)]
    while any(psutil.pid_exists(pid) for pid in ended):
        await asyncio.sleep(0)
    for _ in range(10):
        await operator.execute("SELECT")  # a turn of the loop with I/O, in which the node's connections hear of it


async def test_without_postgresql_everything_is_unavailable() -> None:
    async with Database(UNREACHABLE, ME) as database:
        for call in (Journal(database).flush(ME, [entry(1)]), Journal(database).read("room-a")):
            with pytest.raises(Unavailable) as caught:
                await call
            assert "refused" == caught.value.reason
        assert "refused" == await database.probe()


async def test_a_probe_of_a_stalled_link_ends_by_itself(proxy: tuple[Proxy, Database]) -> None:
    link, database = proxy
    assert await database.probe() is None
    link.stall()
    assert "timeout" == await database.probe()


async def test_on_a_stalled_link_a_write_ends_at_its_timeout_with_an_unknown_outcome(
    proxy: tuple[Proxy, Database],
) -> None:
    link, database = proxy
    await Nodes(database).renew(ME, LEASE_S)
    link.stall()
    started_s = time.monotonic()
    with pytest.raises(OutcomeUnknown) as caught:
        await Nodes(database).renew(ME, LEASE_S)
    assert "timeout" == caught.value.reason
    assert time.monotonic() - started_s < COMMAND_S + 0.5
