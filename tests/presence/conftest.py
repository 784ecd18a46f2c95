"""
What the tests of presence share: a real Valkey, emptied for each test, and one that a test may hurt.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from server.presence import Store
from tests.presence.valkey import Valkey


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    valkey = Valkey(tmp_path_factory.mktemp("valkey"))
    yield valkey
    valkey.kill()


@pytest.fixture
def valkey(shared_valkey: Valkey) -> Valkey:
    """A healthy Valkey, empty."""
    shared_valkey.run("FLUSHALL")
    return shared_valkey


@pytest.fixture
async def store(valkey: Valkey) -> AsyncIterator[Store]:
    store = Store(valkey.url)
    yield store
    await store.aclose()


@pytest.fixture
def frail_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey of the test's own, to be frozen, filled and killed."""
    valkey = Valkey(tmp_path)
    yield valkey
    valkey.kill()


@pytest.fixture
async def frail_store(frail_valkey: Valkey) -> AsyncIterator[Store]:
    store = Store(frail_valkey.url)
    yield store
    await store.aclose()
