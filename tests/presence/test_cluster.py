"""Redis Cluster refuses a call whose keys lie in several slots; ours never do."""

from pathlib import Path

from server.presence import Directory, Placed, Reservations, Store
from tests.presence.samples import listing, reservation, until
from tests.presence.valkey import Valkey, free_port


async def test_every_script_stays_in_one_slot(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    valkey.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

    async def is_up() -> bool:
        return b"cluster_state:ok" in valkey.run("CLUSTER", "INFO")

    await until(is_up)
    store = Store(valkey.url)
    directory, reservations = Directory(store, ["game", "battle"]), Reservations(store)
    await directory.refresh("node-1")
    await directory.publish(listing())
    assert await reservations.place("game", None, {}, reservation(), 60_000) == Placed("room-1", "node-1", None)
    assert await reservations.redeem("game", "room-1", "session-1") == reservation()
    assert await directory.listings() == [listing(clients=1)]
    await directory.remove("game", "room-1", 1)
    assert await directory.listings() == []
    await store.aclose()
    valkey.kill()
