"""Lines and distributions as SVG."""

import json
from xml.etree.ElementTree import Element

import pytest

from server.tools.bots import plots
from server.tools.bots.plots import Line, Ratio
from server.tools.bots.result import Spread


def paths(figure: Element) -> list[str]:
    return [path.attrib["d"] for path in figure.iter("path")]


def pointed_at(figure: Element) -> dict[str, list[list[object]]]:
    svg = figure.find("svg")
    assert svg is not None
    told: dict[str, list[list[object]]] = json.loads(svg.attrib["data-plot"])
    return told


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (7_500, ["0", "2,000", "4,000", "6,000", "8,000"]),
        (0.9, ["0", "0.5", "1"]),
        (100, ["0", "50", "100"]),
        (1, ["0", "0.5", "1"]),
        (0, ["0", "0.5", "1"]),
    ],
)
def test_an_axis_of_amounts_goes_from_zero_to_a_round_number(most: float, ticks: list[str]) -> None:
    axis = plots.amounts([most / 2, most])
    assert ticks == [name for _, name in axis.ticks]
    assert axis.low == 0
    assert axis.high >= most


def test_an_axis_of_bytes_has_the_unit_that_fits() -> None:
    axis = plots.sizes([4_800_000])
    assert ("MB", "4", 4e6) == (axis.unit, axis.ticks[2][1], axis.ticks[2][0])


def test_latencies_are_logarithmic_only_where_a_few_dwarf_the_rest() -> None:
    assert not plots.latencies([6, 7, 8, 40]).is_log
    axis = plots.latencies([6, 7, 8, 31_000])
    assert axis.is_log
    assert ["1", "10", "100", "1,000", "10,000", "100,000"] == [name for _, name in axis.ticks]
    assert 0.4 == pytest.approx(axis.share(100))
    assert 0 == axis.share(0)


def test_where_nothing_was_measured_a_line_has_a_gap() -> None:
    points = [(1.0, 5.0), (2.0, 6.0), (3.0, None), (4.0, 5.0)]
    (path,) = paths(plots.timeline("t", [Line("acks", "ack", points)], plots.amounts, 4))
    assert 2 == path.count("M")
    assert path.startswith("M250,")


def test_an_hour_is_drawn_in_few_steps_and_still_shows_a_single_bad_second() -> None:
    points = [(float(at), 0.0 if at == 1_777 else 100.0) for at in range(1, 3_601)]
    figure = plots.timeline("t", [Line("acks", "ack", points)], plots.amounts, 3_600)
    band, line = paths(figure)
    assert line.count("L") <= plots.POINTS_MAX
    assert ",1000" in band  # the bottom
    assert ",1000" not in line
    assert ["90.0 (0 to 100)"] == [words for *_, words in pointed_at(figure)["places"] if words != "100"]


def test_ever_rarer_percentiles_stand_at_equal_distances() -> None:
    figure = plots.percentiles("t", [("ack", "ack", Spread(10, 2.0, 1.0, 2.0, 3.0, 4.0, 5.0))])
    places = {name: share for share, name, _ in pointed_at(figure)["places"]}
    assert ["p50", "p90", "p99", "p99.9", "max"] == list(places)
    assert places["p99"] - places["p90"] == pytest.approx(places["p99.9"] - places["p99"], abs=1e-3)
    assert ["1.00 ms", "5.00 ms"] == [
        words for _, name, words in pointed_at(figure)["places"] if name in ("p50", "max")
    ]


def test_what_was_never_measured_is_no_line_at_zero() -> None:
    figure = plots.percentiles("t", [("ack", "ack", Spread(1, 1, 1, 1, 1, 1, 1)), ("seen", "seen", Spread())])
    assert [["ack", "ack"]] == pointed_at(figure)["lines"]
    nothing = plots.percentiles("t", [("ack", "ack", Spread())])
    assert nothing.find("svg") is None
    assert "Nothing was measured." in "".join(nothing.itertext())


def test_ratios_stand_on_doublings_around_one() -> None:
    found = [Ratio("a", 0.5, 0.25, 1.0, "half"), Ratio("b", 3.0, 3.0, 3.0, "thrice")]
    figure = plots.ratios("t", "n", found)
    assert ["1/4", "1/2", "1", "2", "4"] == [text.text for text in figure.iter("text")]
    assert ["25%", "89.624%"] == [circle.attrib["cx"] for circle in figure.iter("circle")]
    (a, b) = (line.attrib for line in figure.iter("line") if "tone-ack" in line.attrib["class"])
    assert ("0%", "50%") == (a["x1"], a["x2"])
    assert b["x1"] == b["x2"]
    assert ["a", "half", "b", "thrice"] == [span.text for span in figure.iter("span") if span.text != "n"]


def test_a_ratio_beyond_the_scale_is_drawn_at_its_edge() -> None:
    figure = plots.ratios("t", "n", [Ratio("a", 1e6, 1e-9, 1e9, "")])
    assert ["100%"] == [circle.attrib["cx"] for circle in figure.iter("circle")]
    assert 13 == len(list(figure.iter("text")))
    assert ["1/2", "1", "2"] == [text.text for text in plots.ratios("t", "n", []).iter("text")]


@pytest.mark.parametrize("length_s", [1, 7, 60, 600, 3_600, 100_000])
def test_time_has_few_and_round_marks(length_s: int) -> None:
    figure = plots.timeline("t", [Line("acks", "ack", [(float(length_s), 1.0)])], plots.amounts, length_s)
    marks = [text.text for text in figure.iter("text") if text.attrib["text-anchor"] == "middle"]
    assert "0" == marks[0]
    assert 2 <= len(marks) <= 7
