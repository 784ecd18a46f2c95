"""
`make bench`: Holdfast beside its peers, measured here and now.

    python -m bench                      all parts against all peers
    python -m bench load rate --runs 5   some parts
    python -m bench --quick              one short pair each
    python -m bench load --peers none    ours alone

The exit status is 1 if a promise was broken or a step came to nothing. Slowness is told, and is no failure.
"""

import argparse
import math
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench import tables
from bench.comparison import Comparison
from bench.databases import Databases
from bench.parts.base import SPOILED, Options, Part, Stage
from bench.parts.commit import CommitPart
from bench.parts.load import LoadPart
from bench.parts.memory import MemoryPart
from bench.parts.rate import RatePart
from bench.parts.recovery import RecoveryPart
from bench.parts.scaling import ScalingPart
from bench.places import choose
from bench.progress import Progress, minutes
from bench.report import render
from bench.subjects import OURS, SUBJECTS, NotInstalled, Subject, require
from server import is_compiled
from server.embedded import EmbeddedFailed
from server.exit_codes import ExitCode
from server.tools.bots import machine

PARTS = ("load", "rate", "memory", "recovery", "commit", "scaling")
QUICK = Options(runs=1, seconds=3, warmup_s=1.5)


def main() -> int:
    given = arguments(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(ExitCode.TERMINATED))
    try:
        peers = peers_of(given.peers)
        require(peers)
        found, is_whole = compare(PARTS if "all" in given.parts else given.parts, peers, options_of(given))
    except (NotInstalled, EmbeddedFailed, ValueError) as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return ExitCode.USAGE
    except KeyboardInterrupt:
        print("\nbench: ended before anything was found", file=sys.stderr)
        return ExitCode.INTERRUPTED
    tables.show(found)
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    if given.report:
        given.report.write_text(render(found))
    if not is_whole:
        return ExitCode.INTERRUPTED
    return ExitCode.PROBLEM if found.problems else ExitCode.OK


def compare(names: Sequence[str], peers: Sequence[Subject], options: Options) -> tuple[Comparison, bool]:
    """Do these parts, and tell of them on stderr; False if a Ctrl-C ended it before all was done.

    Raises EmbeddedFailed, and what no step expects."""
    places = choose()
    found = Comparison(options=options, machine=machine.facts(), places=str(places), is_compiled=is_compiled)
    begun = time.monotonic()
    with Databases(places.databases) as databases:
        parts = _parts(names, Stage(options, databases, places), peers, found)
        steps = [(name, step) for name, part in parts for step in part.steps()]
        takes_s = sum(step.takes_s for _, step in steps)
        print(f"{len(steps)} steps, about {minutes(takes_s)}; {places}; Ctrl-C stops all", file=sys.stderr)
        progress = Progress(len(steps), takes_s)
        done = 0
        try:
            for name, step in steps:
                progress.begin(f"{name}: {step.text}")
                try:
                    outcome = step.act()
                except SPOILED as problem:
                    outcome = "FAILED"
                    found.problems.append(f"{name}: {step.text}: {problem}")
                progress.end(outcome, step.takes_s)
                done += 1
        except KeyboardInterrupt:
            print("\nbench: ended; this is what was found by then", file=sys.stderr)
            found.problems.append(f"ended after {done} of {len(steps)} steps")
    found.seconds = round(time.monotonic() - begun, 1)
    found.problems += [f"{run.subject}, {run.load}: {problem}" for run in found.runs() for problem in run.problems]
    return found, done == len(steps)


def _parts(names: Sequence[str], stage: Stage, peers: Sequence[Subject], found: Comparison) -> list[tuple[str, Part]]:
    """In the order of PARTS; each puts what it finds into `found`."""
    make: dict[str, Callable[[], Part]] = {
        "load": lambda: LoadPart(stage, peers, found.pairs, found.alone),
        "rate": lambda: RatePart(stage, peers, found.rate),
        "memory": lambda: MemoryPart(stage, peers, found.memory),
        "recovery": lambda: RecoveryPart(stage, peers, found.recovery),
        "commit": lambda: CommitPart(stage, found.commit),
        "scaling": lambda: ScalingPart(stage, found.by_rooms, found.by_rate),
    }
    return [(name, make[name]()) for name in PARTS if name in names]


def options_of(given: argparse.Namespace) -> Options:
    changed = {name: value for name in Options.__struct_fields__ if (value := getattr(given, name)) is not None}
    return msgspec.structs.replace(QUICK if given.quick else Options(), **changed)


def peers_of(names: str) -> list[Subject]:
    """Raises ValueError for one that there is not."""
    if names == "none":
        return []
    if names == "all":
        return [subject for subject in SUBJECTS.values() if subject is not OURS]
    strange = [name for name in names.split(",") if name not in SUBJECTS or name == OURS.name]
    if strange:
        known = ", ".join(name for name in SUBJECTS if name != OURS.name)
        raise ValueError(f"there is no peer {', '.join(strange)}; there are {known}")
    return [SUBJECTS[name] for name in names.split(",")]


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Holdfast beside its peers, on this machine.", allow_abbrev=False
    )
    default = Options()
    add = parser.add_argument
    add("parts", nargs="*", choices=[*PARTS, "all"], default="all", help="what is measured (default: all)")
    add("--peers", default="all", help="`none`, or some of them with commas between (default: all)")
    add("--quick", action="store_true", help="one short pair each; for a look, not for a number")
    add("--runs", type=_count, help=f"of each pair and series (default: {default.runs})")
    add("--clients", type=_count, help=f"(default: {default.clients})")
    add("--rooms", type=_count, help=f"they are in (default: {default.rooms})")
    add("--rate", type=_amount, dest="rate_hz", help=f"intents a second of each (default: {default.rate_hz:g})")
    add("--seconds", type=_amount, help=f"measured in each run (default: {default.seconds:g})")
    add("--warmup", type=_amount, dest="warmup_s", help=f"seconds before (default: {default.warmup_s:g})")
    add("--json", type=Path, metavar="FILE", help="everything that was found")
    add("--report", type=Path, metavar="FILE", help="the same as one page for a browser")
    given = parser.parse_args(words)
    given.parts = [given.parts] if isinstance(given.parts, str) else given.parts
    return given


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected at least 1")
    return value


def _amount(text: str) -> float:
    if not 0 < (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected more than 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
