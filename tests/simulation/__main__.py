"""
Simulate for long: `python -m tests.simulation --seed 1 --runs 10000`.

Prints the runs a minute; a failure with its seed and a minimal script, which end it with status 1.
"""

import argparse
import sys
import time

from tests.simulation.scripts import broken_by, report, script_of

TOLD_EVERY = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="that of the first run; each next has the next")
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--failures", type=int, default=1, help="how many to find before it ends")
    arguments = parser.parse_args()
    began, done, failed = time.perf_counter(), 0, 0
    while done < arguments.runs and failed < arguments.failures:
        seed = arguments.seed + done
        script = script_of(seed)
        if broken_by(script):
            failed += 1
            print(report(seed, script), flush=True)
        done += 1
        if done % TOLD_EVERY == 0 or done == arguments.runs or failed == arguments.failures:
            print(f"{done} runs, {done / (time.perf_counter() - began) * 60:.0f} a minute, {failed} failed", flush=True)
    return 1 if failed else 0


sys.exit(main())
