"""
Counting: what a piece of Python work does, as numbers that are the same on every machine and at every run.

    instructions   bytecode instructions executed, in all Python code that the work reaches
    calls          those of them that hand over to code which may take any time: calls, of C as well as of Python,
                   and the copying of whole dicts, lists and sets (`{**it}`, `[*it]`)

Wall time on a shared machine varies by half; these do not vary at all. They do not see how long a call into C takes:
that a needless one was added shows, that an old one has more to do does not; for that there are ratios of times.

The interpreter is asked to tell of each instruction, which makes the work a hundred times slower and changes nothing.
"""

import dis
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec

from tests.micro.workloads import Work

_COUNTED_AS_CALLS = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "DICT_UPDATE", "DICT_MERGE", "LIST_EXTEND", "SET_UPDATE"}
_CALLS = frozenset(code for name, code in dis.opmap.items() if name in _COUNTED_AS_CALLS)


class Counts(msgspec.Struct, frozen=True):
    instructions: int
    calls: int
    #: By function, for whoever looks where they are spent: (instructions, calls).
    by_function: dict[str, tuple[int, int]]


def counted(work: Work, within: Path | None = None) -> Counts:
    """The counts of a run that is not the first: what is made once has been made."""
    work.prepare()
    work.run()
    work.prepare()
    return count(work.run, within)


def count(run: Callable[[], object], within: Path | None = None) -> Counts:
    """What `run` does in this thread; only in code of files below `within`, if that is given."""
    instructions: Counter[CodeType] = Counter()
    calls: Counter[CodeType] = Counter()
    bytecode: dict[CodeType, bytes] = {}
    root = "" if within is None else f"{within}/"

    def on_event(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if event == "opcode":
            instructions[code] += 1
            if bytecode[code][frame.f_lasti] in _CALLS:
                calls[code] += 1
        elif code not in bytecode:
            if not code.co_filename.startswith(root):
                return None
            bytecode[code] = code.co_code
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return on_event

    before = sys.gettrace()
    sys.settrace(on_event)
    try:
        run()
    finally:
        sys.settrace(before)
    spent = {_name_of(code): (number, calls[code]) for code, number in instructions.most_common()}
    return Counts(sum(instructions.values()), sum(calls.values()), spent)


def _name_of(code: CodeType) -> str:
    return f"{Path(code.co_filename).stem}.{code.co_qualname}:{code.co_firstlineno}"
