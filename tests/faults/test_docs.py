"""The page about chaos lists the scenarios there are."""

import re
from fnmatch import fnmatch
from pathlib import Path

from server.tools.chaos.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "chaos.md"
GUARANTEES = ROOT / "docs" / "guarantees.md"


def test_the_page_has_every_scenario_and_says_what_it_does() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (yes)? ?\| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert [(each.name, "yes" if each.is_fast else "", each.about) for each in SCENARIOS.values()] == rows


def test_every_scenario_says_what_is_done_and_what_must_hold() -> None:
    assert [] == [each.name for each in SCENARIOS.values() if len(each.about) < 60]


def test_what_proves_a_guarantee_is_there() -> None:
    tables = "\n".join(line for line in GUARANTEES.read_text().splitlines() if line.startswith("| "))
    named = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9*]+)+)`", tables))
    assert len(named) > 15
    assert [] == [name for name in named if not any(fnmatch(scenario, name) for scenario in SCENARIOS)]
    tests = set(re.findall(r"`(tests/[a-z_/]+\.py)`", tables))
    assert [] == [path for path in tests if not (ROOT / path).exists()]
