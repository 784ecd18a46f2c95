"""How often one address may ask: past it 429 over HTTP, and no upgrade; others, probes and loopback are spared."""

import pytest
from websockets.exceptions import InvalidStatus

from contracts import limits
from server.edge.peers import PeerRate
from tests.serving import Servers
from tests.wire import Client, Clients, Refused


class Peers:
    """A rate of one a second and two at once, on a clock that stands still."""

    def __init__(self, rate_per_s: float = 1, *, limits_loopback: bool = False) -> None:
        self.now_ms = 0
        self.rate = PeerRate("requests", rate_per_s, 2, lambda: self.now_ms, limits_loopback=limits_loopback)

    def admits(self, peer: str) -> bool:
        return self.rate.retry_after_s(peer) is None


def test_a_peer_has_its_burst_and_then_its_rate() -> None:
    peers = Peers()
    assert [True, True, False] == [peers.admits("203.0.113.1") for _ in range(3)]
    peers.now_ms = 1000
    assert [True, False] == [peers.admits("203.0.113.1") for _ in range(2)]


def test_it_is_told_when_to_come_back() -> None:
    for rate_per_s, retry_after_s in ((0.1, 10), (1, 1), (50, 1)):
        peers = Peers(rate_per_s)
        assert [None, None, retry_after_s] == [peers.rate.retry_after_s("203.0.113.1") for _ in range(3)]


def test_one_peers_hurry_is_no_other_peers() -> None:
    peers = Peers()
    assert [False] == [peers.admits("203.0.113.1") for _ in range(3)][2:]
    assert peers.admits("203.0.113.2")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("no address", "no address", True),
    ],
)
def test_the_addresses_of_one_network_are_one_peer(one: str, other: str, is_same: bool) -> None:
    peers = Peers()
    for _ in range(2):
        assert peers.admits(one)
    assert is_same is not peers.admits(other)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_spared_unless_it_is_to_be_limited(peer: str) -> None:
    for limits_loopback, third in ((False, True), (True, False)):
        peers = Peers(limits_loopback=limits_loopback)
        assert [True, True, third] == [peers.admits(peer) for _ in range(3)]


def test_a_rate_of_zero_limits_nobody() -> None:
    peers = Peers(0)
    assert [True] * 9 == [peers.admits("203.0.113.1") for _ in range(9)]


def test_of_too_many_peers_the_silent_are_forgotten_and_the_busy_stay_limited() -> None:
    peers = Peers()
    silent, busy = "203.0.113.1", "203.0.113.2"
    assert [True, True, False] == [peers.admits(silent) for _ in range(3)]
    for number in range(limits.PEERS_MAX):
        peers.admits(busy)
        peers.admits(f"10.0.{number >> 8}.{number & 255}")
    assert [False, True] == [peers.admits(busy), peers.admits(silent)]


async def test_who_asks_too_often_gets_429_and_when_to_come_back(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(limit_loopback="true", http_rate=0.01, http_burst=3))
    player = await client.join("counter")
    assert (await client.http.get("/version")).status_code == 200
    assert (await client.http.get("/", headers={"Origin": "http://localhost"})).status_code == 200
    refused = await client.http.get("/version", headers={"Origin": "http://localhost"})
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (429, "rate_limited", "100")
    assert refused.headers["access-control-allow-origin"] == "http://localhost", "a page may read why"
    with pytest.raises(Refused) as problem:
        await client.matchmake("create", "counter")
    assert (problem.value.status, problem.value.body["code"]) == (429, 429)
    assert [200, 200, 200] == [(await probe(client, path)) for path in ("/healthz", "/readyz", "/metrics")]
    assert await player.added(1), "who is in plays on"


async def test_who_dials_too_often_is_refused_before_the_upgrade(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(limit_loopback="true", connect_rate=0.5, connect_burst=2))
    players = [await client.join("counter", "joinOrCreate") for _ in range(2)]
    seat = await client.matchmake("joinOrCreate", "counter")
    with pytest.raises(InvalidStatus) as refused:
        await client.dial(seat)
    response = refused.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (429, "2")
    assert [await player.added(1) for player in players]


async def probe(client: Client, path: str) -> int:
    return (await client.http.get(path)).status_code
