"""The page about chaos lists the scenarios there are."""

import re
from pathlib import Path

from server.tools.chaos.scenarios import SCENARIOS

PAGE = Path(__file__).parents[2] / "docs" / "chaos.md"


def test_the_page_has_every_scenario_and_says_what_it_does() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (yes)? ?\| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert [(each.name, "yes" if each.is_fast else "", each.about) for each in SCENARIOS.values()] == rows


def test_every_scenario_says_what_is_done_and_what_must_hold() -> None:
    assert [] == [each.name for each in SCENARIOS.values() if len(each.about) < 60]
