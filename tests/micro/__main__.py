"""
The bounds of the guards as the code is now, or where the work of some of them is.

    python -m tests.micro                the counts of one unit of each workload
    python -m tests.micro --write        replaces tests/micro/bounds.py by them
    python -m tests.micro --json         for the guards
    python -m tests.micro step tick      instructions and calls of one unit, by function

Where the hot path is compiled there is no bytecode to be counted: this process then begins anew on the sources.
"""

import asyncio
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

import server
from server.embedded import start_embedded
from tests.micro import bounds
from tests.micro.counting import Counts, counted
from tests.micro.flushes import SERVER, FlushBench
from tests.micro.workloads import WORKLOADS

FLUSHES = {f"flush of {rows}": rows for rows in (20, 100)}
ALL = (*WORKLOADS, *FLUSHES)


def main(given: Sequence[str]) -> int:
    if sys.version_info[:2] != bounds.COUNTED_ON:
        print("the bounds count the bytecode of Python {}.{}".format(*bounds.COUNTED_ON), file=sys.stderr)
        return 1
    if server.is_compiled:
        command = [sys.executable, "-m", "tests.micro", *given]
        os.execve(sys.executable, command, {**os.environ, "HOLDFAST_COMPILED": "false"})
    names = [name for name in given if not name.startswith("--")]
    if names:
        for name, (counts, units) in _counts(names).items():
            print(_spent(name, counts, units))
        return 0
    each = {name: (counts.instructions / units, counts.calls / units) for name, (counts, units) in _counts(ALL).items()}
    if "--json" in given:
        print(msgspec.json.encode(each).decode())
    elif "--write" in given:
        _write(each)
    else:
        print("\n".join(f"{name:14} {instructions:9.1f} {calls:8.1f}" for name, (instructions, calls) in each.items()))
    return 0


def _counts(names: Sequence[str]) -> dict[str, tuple[Counts, int]]:
    """By workload: its counts, and of how many units."""
    works = {name: WORKLOADS[name]() for name in names if name in WORKLOADS}
    found = {name: (counted(work), work.units) for name, work in works.items()}
    if set(names) & set(FLUSHES):
        with _database() as url, FlushBench(url) as bench:
            found |= {
                name: (counted(bench.work(rows), SERVER), rows) for name, rows in FLUSHES.items() if name in names
            }
    return found


@contextmanager
def _database() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="holdfast-micro-") as folder:
        pair = asyncio.run(start_embedded(Path(folder), lambda line: None, is_durable=False))
        try:
            yield pair.database_url
        finally:
            asyncio.run(pair.stop())


def _write(each: dict[str, tuple[float, float]]) -> None:
    path = Path(bounds.__file__)
    head, _, _ = path.read_text().partition("{\n")
    lines = [f'    "{name}": ({_up(instructions)}, {_up(calls)}),' for name, (instructions, calls) in each.items()]
    path.write_text("\n".join([head + "{", *lines, "}", ""]))


def _up(number: float) -> float:
    """To a tenth, upwards: a bound is never below what it was taken from."""
    return math.ceil(number * 10) / 10


def _spent(name: str, counts: Counts, units: int) -> str:
    lines = [f"{name}: instructions and calls of one unit", ""]
    for function, (instructions, calls) in counts.by_function.items():
        lines.append(f"{instructions / units:9.1f} {calls / units:8.1f}   {function}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
