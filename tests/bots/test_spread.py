"""Distributions in bounded memory, against the exact ones."""

from random import Random

import numpy as np
import pytest

from server.tools.bots.result import Spread
from server.tools.bots.spread import Histogram, percentile


def test_percentiles_are_exact_to_less_than_one_percent() -> None:
    random = Random(1)
    values = [random.lognormvariate(1, 2) for _ in range(20_000)]
    histogram = Histogram()
    for begin in range(0, len(values), 777):
        histogram.add(values[begin : begin + 777])
    spread = histogram.spread()
    exact = np.percentile(values, [50, 90, 99, 99.9], method="inverted_cdf")
    assert exact == pytest.approx([spread.p50, spread.p90, spread.p99, spread.p999], rel=0.006)
    assert (len(values), max(values)) == (spread.count, spread.max)
    assert np.mean(values) == pytest.approx(spread.mean)


def test_no_percentile_is_above_the_largest_or_below_what_was_counted() -> None:
    histogram = Histogram()
    histogram.add([7.0])
    assert Spread(count=1, mean=7.0, p50=7.0, p90=7.0, p99=7.0, p999=7.0, max=7.0) == histogram.spread()


def test_what_is_tiny_or_huge_is_counted() -> None:
    histogram = Histogram()
    histogram.add([0.0, -1.0, 1e300])
    assert (3, 1e300) == (histogram.spread().count, histogram.spread().max)


def test_nothing_is_a_spread_of_zeros() -> None:
    histogram = Histogram()
    histogram.add([])
    assert Spread() == histogram.spread()


def test_a_percentile_is_the_nearest_rank() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [3.0, 5.0, 1.0, 0.0] == [
        percentile(values, 0.5),
        percentile(values, 0.99),
        percentile(values, 0.01),
        percentile([], 0.5),
    ]
