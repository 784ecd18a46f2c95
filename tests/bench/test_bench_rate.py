"""The search for the highest rate that is held, on servers that hold what is known."""

import pytest
from msgspec import structs

from bench.parts.rate import FIRST_HZ, HALVINGS, LAST_HZ, TRIES, is_held, search
from bench.run import Figures
from server.tools.bots.result import Spread
from tests.bench.figures import figures


class Server:
    """Acks all in time up to a rate, and a tenth of a second late above it."""

    def __init__(self, holds_hz: float) -> None:
        self.holds_hz = holds_hz
        self.asked: list[float] = []

    def __call__(self, rate_hz: float) -> Figures:
        self.asked.append(rate_hz)
        load = structs.replace(figures().load, rate_hz=rate_hz)
        return figures(p99_ms=10 if rate_hz <= self.holds_hz else 100, load=load, acked_per_s=500 * rate_hz)


@pytest.mark.parametrize(("holds_hz", "found_hz"), [(8, 8), (15, 14), (27, 24), (28, 28), (100, 96), (127, 112)])
def test_the_highest_rate_is_found_to_a_quarter_of_its_octave(holds_hz: float, found_hz: float) -> None:
    found = search(Server(holds_hz))
    assert found.held is not None
    assert found_hz == found.held.load.rate_hz <= holds_hz


def test_a_server_that_holds_all_is_asked_no_further_than_the_last_rate() -> None:
    server = Server(10_000)
    found = search(server)
    assert (LAST_HZ, None) == (found.held and found.held.load.rate_hz, found.first_not_held)
    assert max(server.asked) == LAST_HZ


def test_a_server_that_does_not_hold_the_first_rate_holds_none() -> None:
    server = Server(1)
    assert search(server).held is None
    assert [FIRST_HZ] * TRIES == server.asked


def test_the_search_is_bounded() -> None:
    for holds_hz in range(8, 140, 3):
        server = Server(holds_hz)
        search(server)
        assert len(server.asked) <= 5 + TRIES * (1 + HALVINGS)


def test_where_the_load_was_the_limit_the_server_is_not_blamed() -> None:
    assert figures(load_core=0.9, server_core=0.5).is_limited_by_load
    assert not figures(load_core=0.9, server_core=0.9).is_limited_by_load
    assert not figures(load_core=0.5, server_core=0.5).is_limited_by_load


def test_one_bad_second_is_no_limit() -> None:
    tried: list[float] = []

    def stumbles(rate_hz: float) -> Figures:
        tried.append(rate_hz)
        return Server(0 if tried.count(rate_hz) == 1 else 10_000)(rate_hz)

    assert search(stumbles).first_not_held is None


@pytest.mark.parametrize(
    "broken",
    [{"ack_ms": Spread(p99=50.0)}, {"acked_per_s": 7_349.0}, {"unanswered": 1}],
    ids=["late", "too few", "unanswered"],
)
def test_a_rate_is_not_held(broken: dict[str, object]) -> None:
    assert is_held(figures())
    assert not is_held(figures(**broken))
