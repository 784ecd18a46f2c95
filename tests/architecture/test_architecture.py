"""
The shape of the code, as the style asks for it: who may import whom, how long a thing may get, where tasks begin.

Everything is read from the source by `ast`; nothing is imported.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "server", "holdfast")

#: By part: the parts of ours that it may import. A part is the longest prefix of a module's name listed here.
MAY_IMPORT: dict[str, set[str]] = {
    "contracts": set(),
    "server.core": {"contracts"},
    "server.rooms": {"contracts", "server.core"},
    "server.storage": {"contracts", "server.core"},
    "server.presence": {"contracts", "server.core"},
    "server.ops": {"contracts", "server.core"},
    "server.runtime": {"contracts", "server.core", "server.rooms", "server.storage", "server.presence", "server.ops"},
    "server.edge": {
        "contracts",
        "server.core",
        "server.rooms",
        "server.runtime",
        "server.storage",
        "server.presence",
        "server.ops",
        "server.web",
    },
    "server.embedded": {"contracts"},
    "server.compiled": set(),
    "server.settings": {"contracts", "server.ops"},
}
#: What wires the parts together, and what stands outside: these may import anything, and no part imports them.
ABOVE = (
    "server.app",
    "server.composition",
    "server.databases",
    "server.place",
    "server.supervisor",
    "server.cli",
    "server.exit_codes",
    "server.games",
    "server.tools",
    "holdfast",
)

#: The pure parts: no clock, chance, network, threads, files or logs. Types of chance and time are fine.
PURE = ("server.core", "server.rooms")
IMPURE = (
    {"asyncio", "concurrent", "multiprocessing", "select", "signal", "subprocess", "threading"}
    | {"datetime", "random", "secrets", "time", "uuid"}
    | {"logging", "os", "pathlib", "socket", "ssl", "structlog", "sys", "tempfile"}
    | {"asyncpg", "httptools", "jwt", "picows", "prometheus_client", "redis", "starlette", "uvicorn", "uvloop"}
    | {"websockets"}
)

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
#: The one place where a task begins: it names, owns and ends them all.
TASKS = "server/runtime/tasks.py"


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in sources()]


def part_of(module: str) -> str:
    """The part that a module belongs to; itself where it is none of ours or in none."""
    parts = [part for part in (*MAY_IMPORT, *ABOVE) if module == part or module.startswith(part + ".")]
    return max(parts, key=len, default=module)


def imports(source: str, package: str, at_runtime_only: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module of `package` imports, wherever in it."""
    tree = ast.parse(source)
    for_types = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    skipped = {inner for node in for_types for inner in ast.walk(node)} if at_runtime_only else set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from server import core` names a module as well as `import server.core`.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def imports_of(path: Path, at_runtime_only: bool = False) -> Iterator[tuple[int, str]]:
    name = name_of(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return imports(path.read_text(), package, at_runtime_only)


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


@pytest.mark.parametrize("path", MODULES)
def test_the_right_imports_the_left(path: Path) -> None:
    part = part_of(name_of(path))
    if part in ABOVE:
        return
    # What is in no part is `server/__init__.py` alone, which chooses between source and machine code.
    allowed = {part, *MAY_IMPORT.get(part, {"server.compiled"})}
    wrong = [
        f"line {line}: {module}"
        for line, module in imports_of(path)
        if is_ours(module) and part_of(module) not in allowed
    ]
    assert [] == wrong


@pytest.mark.parametrize("path", MODULES)
def test_every_module_belongs_to_a_part(path: Path) -> None:
    name = name_of(path)
    assert name == "server" or part_of(name) in (*MAY_IMPORT, *ABOVE)


@pytest.mark.parametrize("path", [each for each in MODULES if part_of(name_of(each.values[0])) in PURE])
def test_the_pure_parts_import_no_clock_chance_network_or_log(path: Path) -> None:
    used = imports_of(path, at_runtime_only=True)
    assert [] == [f"line {line}: {module}" for line, module in used if module.partition(".")[0] in IMPURE]


@pytest.mark.parametrize("path", MODULES)
def test_modules_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MODULE_LINES_MAX
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {} == {name: length for name, length in lengths.items() if length > FUNCTION_LINES_MAX}


@pytest.mark.parametrize("path", MODULES)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())) or not path.read_text().strip()


@pytest.mark.parametrize("path", MODULES)
def test_nothing_is_left_for_later(path: Path) -> None:
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        if token.type in (tokenize.COMMENT, tokenize.STRING)
    ]
    assert [] == [text for text in comments if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)]


@pytest.mark.parametrize("path", MODULES)
def test_a_task_begins_in_one_place_only(path: Path) -> None:
    if str(path.relative_to(ROOT)) == TASKS:
        return
    starters = {"create_task", "ensure_future", "run_coroutine_threadsafe", "TaskGroup"}
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls]
    assert [] == [name for name in named if name in starters]


@pytest.mark.parametrize("path", MODULES)
def test_settings_are_read_in_one_place_only(path: Path) -> None:
    """Elsewhere the environment is at most handed over as a whole. `compiled` decides before anything is imported."""
    reads = re.findall(r"os\.environ\[|os\.environ\.\w+|getenv", path.read_text())
    assert reads == [] or name_of(path) in ("server.settings", "server.compiled")


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from random import Random
def late():
    import asyncio.tasks
    from server.edge import desk
    from . import near
    from ..above import it
"""
    always = {"typing.TYPE_CHECKING", "asyncio.tasks", "server.edge.desk", "server.core.near", "server.above.it"}
    assert always == {name for _, name in imports(source, "server.core", at_runtime_only=True)}
    assert {*always, "random.Random"} == {name for _, name in imports(source, "server.core")}


def test_a_part_is_the_longest_name_that_fits() -> None:
    assert ["server.core", "server.app", "json"] == [
        part_of(name) for name in ("server.core.state.map", "server.app", "json")
    ]
