"""What `python -m bench` is told, what it refuses, and how it says how long it takes."""

import subprocess
import sys

import pytest

from bench.__main__ import arguments, options_of, peers_of
from bench.progress import minutes, remaining_s
from bench.ratios import Middle
from bench.tables import middle, number


def test_without_arguments_all_is_measured_against_all() -> None:
    given = arguments([])
    assert ["all"] == given.parts
    assert 5 == len(peers_of(given.peers))
    assert (3, 500, 10, 15) == (
        (options := options_of(given)).runs,
        options.clients,
        options.rooms,
        options.rate_hz,
    )


def test_some_parts_against_some_peers() -> None:
    given = arguments(["load", "memory", "--peers", "socketio-memory,colyseus-insert", "--rate", "20"])
    assert ["load", "memory"] == given.parts
    assert ["socketio-memory", "colyseus-insert"] == [peer.name for peer in peers_of(given.peers)]
    assert 20 == options_of(given).rate_hz


def test_quick_is_one_short_run_and_what_is_said_wins_over_it() -> None:
    assert 1 == options_of(arguments(["--quick"])).runs
    assert 2 == options_of(arguments(["--quick", "--runs", "2"])).runs


def test_ours_alone() -> None:
    assert [] == peers_of("none")


@pytest.mark.parametrize("name", ["nakama", "holdfast", "colyseus-memory,nakama", ""])
def test_a_peer_that_there_is_not_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="there is no peer"):
        peers_of(name)


@pytest.mark.parametrize(
    "words", [["loads"], ["--runs", "0"], ["--clients", "-1"], ["--seconds", "0"], ["--rooms", "x"]]
)
def test_what_makes_no_sense_is_refused(words: list[str]) -> None:
    said = subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, check=False, text=True)
    assert 2 == said.returncode
    assert words[-1] in said.stderr
    assert "Traceback" not in said.stderr


def test_the_time_left_follows_the_pace() -> None:
    assert 100 == remaining_s(takes_s=100, done_s=0, elapsed_s=0)
    assert 60 == remaining_s(takes_s=100, done_s=50, elapsed_s=60)
    assert 0 == remaining_s(takes_s=100, done_s=100, elapsed_s=130)


def test_a_first_step_that_was_slow_does_not_spoil_the_estimate() -> None:
    assert 99 == remaining_s(takes_s=100, done_s=1, elapsed_s=30)


def test_times_are_told_roughly() -> None:
    assert ["0 s", "89 s", "2 min", "15 min"] == [minutes(seconds) for seconds in (0.2, 89, 100, 920)]


def test_numbers_have_three_figures() -> None:
    assert ["0.82", "12.3", "7,512"] == [number(value) for value in (0.8213, 12.34, 7512.4)]
    assert "0.82 (0.80-0.91)" == middle(Middle(0.82, 0.8, 0.91, 3))
    assert "0.82" == middle(Middle(0.82, 0.82, 0.82, 1))
