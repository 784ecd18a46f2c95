"""
The bounds of the guards as the code is now, or where the work of some of them is.

    python -m tests.micro --write        replaces tests/micro/bounds.py
    python -m tests.micro step tick      instructions and calls of one unit, by function
"""

import asyncio
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from server.embedded import start_embedded
from tests.micro import bounds
from tests.micro.counting import Counts, counted
from tests.micro.flushes import SERVER, FlushBench
from tests.micro.workloads import WORKLOADS

FLUSHES = {f"flush of {rows}": rows for rows in (20, 100)}


def main(given: Sequence[str]) -> int:
    if sys.version_info[:2] != bounds.COUNTED_ON:
        print("the bounds count the bytecode of Python {}.{}".format(*bounds.COUNTED_ON), file=sys.stderr)
        return 1
    names = [name for name in given if name != "--write"] or [*WORKLOADS, *FLUSHES]
    found = _counts(names)
    if "--write" in given:
        _write(found)
    elif len(names) == len(WORKLOADS) + len(FLUSHES):
        print(
            "\n".join(
                f"{name:14} {each.instructions / units:9.1f} {each.calls / units:8.1f}"
                for name, (each, units) in found.items()
            )
        )
    else:
        for name, (each, units) in found.items():
            print(_spent(name, each, units))
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


def _write(found: dict[str, tuple[Counts, int]]) -> None:
    path = Path(bounds.__file__)
    head, _, _ = path.read_text().partition("{\n")
    lines = [
        f'    "{name}": ({_up(each.instructions / units)}, {_up(each.calls / units)}),'
        for name, (each, units) in found.items()
    ]
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
