"""
Compiled: what runs is what is written, whether it was built before or not.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.compiled import choose

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / "server" / "compiled.json"
needs_extensions = pytest.mark.skipif(not MANIFEST.exists(), reason="nothing was compiled here: no C compiler")


def of_the_room(root: Path, **environ: str) -> tuple[bool, str]:
    """Whether a new process takes itself for compiled, and from what kind of file it has the room."""
    say = "import json, server, server.core.room as r; print(json.dumps([server.is_compiled, r.__file__]))"
    environment = {name: value for name, value in os.environ.items() if name != "HOLDFAST_COMPILED"} | environ
    said = subprocess.run([sys.executable, "-c", say], cwd=root, env=environment, capture_output=True, check=True)
    is_compiled, file = json.loads(said.stdout)
    return is_compiled, Path(file).suffix


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the packages, to be changed."""
    for package in ("contracts", "server"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "web"))
    return tmp_path


@needs_extensions
def test_extensions_of_these_sources_are_used(checkout: Path) -> None:
    assert (True, ".so") == of_the_room(checkout)


@needs_extensions
@pytest.mark.parametrize("word", ["false", "0", " False "])
def test_they_can_be_turned_off(checkout: Path, word: str) -> None:
    assert (False, ".py") == of_the_room(checkout, HOLDFAST_COMPILED=word)


@needs_extensions
def test_after_any_change_of_one_source_all_sources_run(checkout: Path) -> None:
    gate = checkout / "server" / "core" / "gate.py"
    gate.write_text(gate.read_text() + "\n")
    assert (False, ".py") == of_the_room(checkout)


@needs_extensions
def test_those_of_another_python_are_no_extensions(checkout: Path) -> None:
    manifest = checkout / "server" / "compiled.json"
    manifest.write_text(manifest.read_text().replace("cpython-3", "cpython-2"))
    for extension in (checkout / "server").rglob("*.so"):
        extension.unlink()
    assert (False, ".py") == of_the_room(checkout)


def test_without_extensions_the_sources_run(checkout: Path) -> None:
    (checkout / "server" / "compiled.json").unlink(missing_ok=True)
    for extension in (checkout / "server").rglob("*.so"):
        extension.unlink()
    assert (False, ".py") == of_the_room(checkout)


def test_this_process_has_chosen_as_it_would_again() -> None:
    import server

    before = list(sys.meta_path)
    try:
        assert server.is_compiled == choose()
    finally:
        sys.meta_path[:] = before
