"""`holdfast bots`: a load of bots that check all they are told."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from server.cli.endings import note, run
from server.exit_codes import ExitCode

if TYPE_CHECKING:
    from server.tools.bots.result import Ack, Machine, Plan, Progress, Result

STDOUT = "-"


def bots(
    url: Annotated[str, typer.Option(help="the server")] = "http://127.0.0.1:2567",
    room: Annotated[str, typer.Option(help="the rooms' name: game, counter or plaza")] = "game",
    rooms: Annotated[int, typer.Option(min=1, help="rooms that are made")] = 1,
    clients: Annotated[int, typer.Option(min=1, help="bots, in the rooms in turns")] = 50,
    rate: Annotated[float, typer.Option(min=0, max=1000, help="intents a second of each; 0: they only look on")] = 10.0,
    duration: Annotated[str, typer.Option(help="measured time: 30, 30s or 2m")] = "30s",
    warmup: Annotated[str, typer.Option(help="time under load before it")] = "3s",
    model: Annotated[
        Literal["open", "closed"], typer.Option(help="open: sent when due, whatever came before; closed: one at a time")
    ] = "open",
    target: Annotated[
        Literal["holdfast", "colyseus", "socketio"], typer.Option(help="what kind of server it is")
    ] = "holdfast",
    seed: Annotated[int, typer.Option(help="decides all that is left to chance")] = 1,
    claims: Annotated[
        list[str] | None, typer.Option("--assert", help="such as 'ack.p99<50ms' or lost==0; as many as wanted")
    ] = None,
    json_to: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="the result as JSON; - is stdout")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="the result as one page of HTML")] = None,
    acks_to: Annotated[
        Path | None,
        typer.Option("--acks", metavar="FILE", help="every ack as a JSON line: room, roomSeq, session, number"),
    ] = None,
) -> None:
    """Load a server with bots that check all they are told; exit status 1 if something or an assertion is wrong."""
    import msgspec

    from server.tools.bots.assertions import judge, parse
    from server.tools.bots.plan import BadPlan, plan_of

    assertions = [parse(claim) for claim in claims or ()]
    plan = plan_of(
        url=url,
        target=target,
        room=room,
        rooms=rooms,
        clients=clients,
        rate_hz=rate,
        duration=duration,
        warmup=warmup,
        model=model,
        seed=seed,
    )
    for file in (report, acks_to, None if json_to is None or json_to == STDOUT else Path(json_to)):
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            raise BadPlan(f"{file}: there is no folder for such a file")
    acks: list[Ack] | None = None if acks_to is None else []
    result = _measured(plan, acks)
    result = msgspec.structs.replace(result, assertions=[judge(assertion, result) for assertion in assertions])
    _write(result, json_to, report)
    if acks_to is not None and acks is not None:
        acks_to.write_bytes(msgspec.json.Encoder().encode_lines(acks))
    if result.problem_count or not all(asserted.passed for asserted in result.assertions):
        raise typer.Exit(ExitCode.PROBLEM)


def _measured(plan: "Plan", acks: "list[Ack] | None") -> "Result":
    import uvloop

    from server.ops.logs import configure_logs
    from server.tools.bots.machine import facts
    from server.tools.bots.run import NothingMeasured
    from server.tools.bots.table import shown_on

    configure_logs("console", "error", sys.stderr)
    machine = facts()  # before the load: it measures the disk
    try:
        with shown_on(plan) as show:
            return run(_stoppable(plan, machine, show, acks), uvloop.new_event_loop)
    except NothingMeasured:
        raise KeyboardInterrupt from None


async def _stoppable(
    plan: "Plan", machine: "Machine", show: "Callable[[Progress], None]", acks: "list[Ack] | None"
) -> "Result":
    """Ctrl-C ends the load, and what was measured counts; a second one ends the run."""
    from server.tools.bots.dialects import dialect_of
    from server.tools.bots.run import run as run_bots

    is_over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        note("· ending: what was measured is checked and told; Ctrl-C once more ends at once")
        is_over.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    return await run_bots(plan, dialect_of(plan), machine, show, is_over, acks)


def _write(result: "Result", json_to: str | None, report: Path | None) -> None:
    """stdout gets the figures, or with `--json -` the JSON; then the figures go to stderr."""
    import msgspec

    from server.tools.bots.html import render
    from server.tools.bots.table import told

    encoded = msgspec.json.encode(result)
    stream = sys.stderr if json_to == STDOUT else sys.stdout
    stream.write(told(result))
    if json_to == STDOUT:
        sys.stdout.write(f"{encoded.decode()}\n")
    elif json_to is not None:
        Path(json_to).write_bytes(encoded + b"\n")
    if report is not None:
        report.write_text(render(result))
        note(f"report: {report}")
