"""
Metrics: the numbers of one node, under names that stay.

One object with its own registry, made by the composition root and handed to whoever counts. No room,
player or session is a label, and a label's value that a client could choose (an intent's type, a close
code) is counted under a fixed name unless it is one we know: the number of series is bounded.

The SLO thresholds, acks within 0.25 s and state no staler than 0.1 s, are bucket bounds, so both are exact.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from server.ops.series import Distribution, Tally

ACK_SLO_S = 0.25
STALENESS_SLO_S = 0.1
UNKNOWN_TYPE = "unknown"
OTHER_CODE = "other"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, STALENESS_SLO_S, ACK_SLO_S, 0.5, 1.0, 2.5, 5.0, 10.0)
_ACTIONS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Metrics:
    """
    A node's metrics. `intent_types` and `close_codes` are those that get a series of their own.

    Not thread-safe: all counting happens on the event loop's thread.
    """

    def __init__(
        self,
        intent_types: Iterable[str],
        close_codes: Iterable[int],
        version: str,
        protocol_version: str,
        schema_hash: str,
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._intent_types = frozenset(intent_types)
        self._close_codes = frozenset(close_codes)

        self._intents = self._tally("holdfast_intents", "Intents by their one outcome", "type", "outcome")
        self.ack_seconds = self._distribution(
            "holdfast_ack_seconds", "From an intent's arrival to its ack's release", _SECONDS
        )
        self.commit_seconds = self._distribution(
            "holdfast_commit_seconds", "Duration of a flush to PostgreSQL", _SECONDS
        )
        self.commit_actions = self._distribution("holdfast_commit_actions", "Actions in a flush", _ACTIONS)
        self.pending_actions = self._gauge("holdfast_pending_actions", "Actions that wait to be durable")
        self.staleness_seconds = self._distribution(
            "holdfast_staleness_seconds", "From a change's being durable to its being sent", _SECONDS
        )
        self.rooms = self._gauge("holdfast_rooms", "Rooms on this node", "name", "status")
        self.connections = self._gauge("holdfast_connections", "Open WebSocket connections")
        self.connects = self._tally("holdfast_connects", "First connections of sessions", "outcome")
        self.reconnects = self._tally(
            "holdfast_reconnects", "Returns of dropped sessions: delta, snapshot, failed", "outcome"
        )
        self._disconnects = self._tally("holdfast_disconnects", "Ended WebSocket connections by close code", "code")
        self.freshness = self._tally("holdfast_freshness", "Deltas sent early because a change had waited too long")
        self.rollbacks = self._tally(
            "holdfast_rollbacks", "Rooms set back to what is durable because it could not be written in time"
        )
        self.conflations = self._tally(
            "holdfast_conflations", "Times a slow client was caught up by one merged delta, or a snapshot"
        )
        self.fenced = self._tally("holdfast_fenced", "Times PostgreSQL refused this node as fenced")
        self.dependency_up = self._gauge(
            "holdfast_dependency_up", "1 while the dependency is not unavailable", "dependency"
        )
        self.loop_lag_seconds = self._distribution(
            "holdfast_loop_lag_seconds", "Lateness of a timer of the event loop", _SECONDS
        )

        build = self._gauge(
            "holdfast_build_info", "What runs, as labels; always 1", "version", "protocol_version", "schema_hash"
        )
        build.labels(version, protocol_version, schema_hash).set(1)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def intent_counted(self, intent_type: str, outcome: str) -> None:
        """One intent has its outcome (`applied`, `duplicate`, or its reject's code), of whatever type."""
        self._intents.inc(intent_type if intent_type in self._intent_types else UNKNOWN_TYPE, outcome)

    def disconnect_counted(self, code: int) -> None:
        """One connection has ended with this close code, whoever chose it."""
        self._disconnects.inc(str(code) if code in self._close_codes else OTHER_CODE)

    def render(self) -> tuple[bytes, str]:
        """The exposition (Prometheus text format) and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def _tally(self, name: str, meaning: str, *labels: str) -> Tally:
        tally = Tally(name, meaning, labels)
        self._register(tally)
        return tally

    def _distribution(self, name: str, meaning: str, bounds: tuple[float, ...]) -> Distribution:
        distribution = Distribution(name, meaning, bounds)
        self._register(distribution)
        return distribution

    def _register(self, series: Tally | Distribution) -> None:
        self._registry.register(series)  # all it asks of a collector is `collect`

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self._registry)
