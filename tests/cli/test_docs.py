"""The page about commands says what the command does."""

import re

from server.exit_codes import ExitCode
from tests.cli.command import ROOT


def test_the_page_has_every_exit_code_under_its_name() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \|", page, re.MULTILINE)
    assert [(str(code.value), code.name.lower().replace("_", " ")) for code in ExitCode] == rows
