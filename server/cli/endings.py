"""
Endings: every way a verb can end, as one line on stderr and one documented exit code.

    with endings():     what is raised inside -> `holdfast: why` and the code of that
    run(main())         a verb's coroutine; Ctrl-C, SIGTERM and a closed terminal cancel it, so that whatever it
                        started (such as the databases of a stopped server) is stopped before the process ends

What is not known here is a bug, and keeps its traceback.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import typer

from server.exit_codes import ExitCode

T = TypeVar("T")


@contextmanager
def endings() -> Iterator[None]:
    """Ends the process' verb with `typer.Exit`, whatever it raises but a bug."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has had enough. What is still buffered must not fail once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.OK) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except asyncio.CancelledError:
        raise typer.Exit(ExitCode.TERMINATED) from None
    except Exception as problem:
        ending = _ending_of(problem)
        if ending is None:
            raise
        code, why = ending
        note(f"holdfast: {why}")
        raise typer.Exit(code) from None


def run(main: Coroutine[Any, Any, T], loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """The coroutine's result. Raises KeyboardInterrupt after Ctrl-C and CancelledError after SIGTERM or SIGHUP, once
    the coroutine has cleaned up; it may handle these signals itself."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_stoppable(main))


def note(words: str) -> None:
    """For the person, not for the program that reads stdout."""
    print(words, file=sys.stderr, flush=True)


async def _stoppable(main: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        # Once: a second signal must not cut short what the first one has begun to stop.
        if not task.cancelling():
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return await main


def _ending_of(problem: Exception) -> tuple[ExitCode, str] | None:
    # Imported here: `holdfast --help` needs none of it.
    from server.core.faults import Fault
    from server.embedded import DataFolderInUse, EmbeddedFailed
    from server.ops.redaction import redacted_text
    from server.settings import BadSetting
    from server.storage.migrations import SchemaRefused
    from server.tools.access import Unsignable
    from server.tools.bots.assertions import BadAssertion
    from server.tools.bots.dialect import NoSuchRoom, Refused
    from server.tools.bots.plan import BadPlan
    from server.tools.databases import NoData
    from server.tools.journal_reader import JournalBroken, NotFound
    from server.tools.types import NodeFailed

    codes: dict[type[Exception], ExitCode] = {
        BadSetting: ExitCode.SETTINGS,
        SchemaRefused: ExitCode.SCHEMA,
        DataFolderInUse: ExitCode.IN_USE,
        EmbeddedFailed: ExitCode.DATABASES,
        Fault: ExitCode.DATABASES,
        NoData: ExitCode.NOT_FOUND,
        NotFound: ExitCode.NOT_FOUND,
        JournalBroken: ExitCode.JOURNAL,
        NodeFailed: ExitCode.CHECKOUT,
        Unsignable: ExitCode.USAGE,
        BadAssertion: ExitCode.USAGE,
        BadPlan: ExitCode.USAGE,
        NoSuchRoom: ExitCode.NOT_FOUND,
        Refused: ExitCode.SERVER,
    }
    code = next((code for kind, code in codes.items() if isinstance(problem, kind)), None)
    if code is None:
        return None
    why = str(problem)
    if isinstance(problem, Fault) and problem.__cause__ is not None:
        why += f" ({redacted_text(str(problem.__cause__) or type(problem.__cause__).__name__)})"
    return code, why
