"""
Compiled: whether the hot path runs as machine code.

Where a C compiler was at hand, some modules have an extension beside them (`setup.py`), which Python imports instead of
the source without ever comparing the two. Here they are compared: after any change of a source all of them
run as Python, until the extensions are built again (`make` does). So what runs is what is written.

    no extensions -----------------------------------> Python
    extensions of these sources ---------------------> compiled
    extensions of others, or HOLDFAST_COMPILED=false --> Python

This is the one setting that is read outside `settings`: at import, before there are any.
"""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_MANIFEST: Final = Path(__file__).with_name("compiled.json")


class _Sources:
    """A finder that passes extensions by."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = {path.removesuffix(".py").replace("/", "."): _ROOT / path for path in paths}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        source = self._paths.get(name)
        return None if source is None else spec_from_file_location(name, source)


def choose() -> bool:
    """Whether the extensions are to be used; else the sources will be. To be called before any of them is imported."""
    try:
        built = json.loads(_MANIFEST.read_bytes())
    except FileNotFoundError:
        return False
    if built["suffix"] not in EXTENSION_SUFFIXES:
        return False  # of another Python, which will not look for them
    built_from: dict[str, str] = built["sources"]
    may_be_used = os.environ.get("HOLDFAST_COMPILED", "").strip().lower() not in ("false", "0")
    if may_be_used and all(_digest(_ROOT / path) == digest for path, digest in built_from.items()):
        return True
    sys.meta_path.insert(0, _Sources(list(built_from)))
    return False


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""
