"""The README's room is a real one: it is run here as it stands there."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from server.core.state import plain
from tests.rooms.table import set_table

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The code block as a module: annotations are looked up in it."""
    code = README.read_text().split("```python\n")[1].split("```")[0]
    module = ModuleType("readme_room")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(README), "exec"), module.__dict__)  # noqa: S102  (the README is ours)
    return module


def test_the_room_in_the_readme_counts(module: ModuleType) -> None:
    table = set_table(module.Counter())
    table.create()
    ann = table.join("ann", "Ann")
    assert ann.ask("intent.add", amount=3) is None
    assert plain(table.state) == {"total": 3, "added": {"ann": 3}}
    ann.leave()
    assert plain(table.state) == {"total": 3, "added": {}}
