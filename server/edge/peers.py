"""
Peers: how often one address may ask, for HTTP and for sockets alike.

A peer is an IPv4 address, or the /64 network of an IPv6 one, which is what a single household or machine is given. Its
bucket is made when it first asks. Of the peers remembered, whoever has been silent for longest is forgotten first, and
begins again with a full bucket: the table has a bound, and an attacker with that many addresses is none that a limit
by address can stop. Loopback is spared unless the settings say otherwise.
"""

import math
from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address, ip_address

import structlog

from contracts import limits
from server.core.rate import Bucket
from server.runtime.clock import Clock

_log = structlog.get_logger(service="edge")

_NETWORK_BITS = 64


class PeerRate:
    """One rate for all peers, each with a bucket of its own. A rate of 0 limits nobody."""

    def __init__(self, name: str, rate_per_s: float, burst: int, clock: Clock, *, limits_loopback: bool) -> None:
        self._name = name
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._clock = clock
        self._limits_loopback = limits_loopback
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._told: set[str] = set()

    def retry_after_s(self, peer: str) -> int | None:
        """Count one attempt of the address: None if it may go on, else when the next one may."""
        if not self._rate_per_s or (network := self._network(peer)) is None:
            return None
        if self._bucket(network).take(self._clock()):
            return None
        if network not in self._told:
            self._told.add(network)
            _log.warning("peer.limited", peer=peer, limit=self._name)
        return math.ceil(1 / self._rate_per_s)

    def _bucket(self, network: str) -> Bucket:
        bucket = self._buckets.get(network)
        if bucket is None:
            if len(self._buckets) >= limits.PEERS_MAX:
                forgotten, _ = self._buckets.popitem(last=False)
                self._told.discard(forgotten)
            bucket = self._buckets[network] = Bucket(self._rate_per_s, self._burst, self._clock())
        self._buckets.move_to_end(network)
        return bucket

    def _network(self, peer: str) -> str | None:
        """Under what a peer is counted; None for one that is spared."""
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return peer
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if address.is_loopback and not self._limits_loopback:
            return None
        if isinstance(address, IPv4Address):
            return str(address)
        return f"{int(address) >> (128 - _NETWORK_BITS):x}::/{_NETWORK_BITS}"
