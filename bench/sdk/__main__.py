"""
`python -m bench.sdk`: real SDK clients on a server, what they were told against its journal, and `holdfast bots` with
the same plan beside them.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from bench.sdk import bots, clients, journal, table
from bench.sdk.bots import BotsFailed
from bench.sdk.clients import ClientsFailed, Found
from bench.sdk.stage import OwnStage, Stage, own_stage
from server.cli.endings import note, run
from server.exit_codes import ExitCode
from server.tools import http
from server.tools.bots import html, machine
from server.tools.bots.assertions import Assertion, BadAssertion, judge, parse
from server.tools.bots.result import Plan, Result
from server.tools.bots.table import told
from server.tools.chaos.node import NodeFailed


def main() -> int:
    """The exit status: 1 if a promise was broken or an assertion failed, 2 if the command was wrong."""
    given = _arguments()
    try:
        return run(_run(given))
    except (BotsFailed, ClientsFailed, NodeFailed, OSError) as failed:
        note(str(failed))
        return ExitCode.PROBLEM
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except asyncio.CancelledError:
        return ExitCode.TERMINATED


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.sdk", description="Clients of the official SDK under load, checked, beside holdfast bots."
    )
    parser.add_argument("--url", help="of a server; without it, one is started on databases of its own")
    parser.add_argument("--database-url", help="of the PostgreSQL behind --url, to compare acks with the journal")
    parser.add_argument("--target", choices=("holdfast", "colyseus"), default="holdfast", help="what --url is")
    parser.add_argument("--room", choices=("game", "counter"), default="game", help="(default: %(default)s)")
    parser.add_argument("--rooms", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--clients", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, default=10, help="intents/s of each (default: %(default)s)")
    parser.add_argument("--duration", type=float, default=15, help="measured seconds (default: %(default)s)")
    parser.add_argument("--warmup", type=float, default=3, help="seconds before (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="decides all that is left to chance (default: %(default)s)")
    parser.add_argument(
        "--assert", action="append", default=[], type=_assertion, dest="assertions", metavar="ASSERTION"
    )
    parser.add_argument("--kill-every", type=float, metavar="S", help="kill -9 the own server so often; without bots")
    parser.add_argument("--alone", action="store_true", help="without bots")
    parser.add_argument("--json", type=Path, metavar="FILE", help="for the SDK clients' result")
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="for the same as a page")
    given = parser.parse_args()
    if given.kill_every is not None and given.url is not None:
        parser.error("--kill-every needs a server of its own: leave --url out")
    if given.target != "holdfast" and given.url is None:
        parser.error("--target needs --url")
    if min(given.rate, given.duration, 1 if given.kill_every is None else given.kill_every) <= 0 or given.warmup < 0:
        parser.error("--rate, --duration, --kill-every: more than 0; --warmup: not less")
    if not 1 <= given.rooms <= given.clients:
        parser.error("--rooms: at least one client for each room")
    return given


def _assertion(text: str) -> Assertion:
    try:
        return parse(text)
    except BadAssertion as bad:
        raise argparse.ArgumentTypeError(str(bad)) from None


async def _run(given: argparse.Namespace) -> int:
    async with _stage(given) as stage:
        plan = Plan(
            url=stage.url,
            target=given.target,
            room=given.room,
            rooms=given.rooms,
            clients=given.clients,
            rate_hz=given.rate,
            duration_s=given.duration,
            warmup_s=given.warmup,
            model="open",
            seed=given.seed,
        )
        result = await _checked(stage, await _play(stage, plan, given.kill_every))
        result = msgspec.structs.replace(result, assertions=[judge(each, result) for each in given.assertions])
        if given.json is not None:
            given.json.write_bytes(msgspec.json.encode(result))
        if given.report is not None:
            given.report.write_text(html.render(result))
        print(told(result), flush=True)
        witnesses = [("SDK clients", result)]
        if not given.alone and given.kill_every is None:
            note("· bots")
            witnesses.append(("bots", await bots.play(plan)))
            table.show(witnesses)
    return ExitCode.OK if all(_holds(each) for _, each in witnesses) else ExitCode.PROBLEM


@asynccontextmanager
async def _stage(given: argparse.Namespace) -> AsyncIterator[Stage]:
    if given.url is not None:
        yield Stage(given.url.rstrip("/"), given.database_url)
        return
    async with own_stage() as stage:
        yield stage


async def _play(stage: Stage, plan: Plan, kill_every_s: float | None) -> Found:
    # Before the load, which it would measure as well.
    facts = machine.facts()
    about = (await http.get(f"{plan.url}/version")).body if plan.target == "holdfast" else None
    killing: list[asyncio.Task[None]] = []

    def on_phase(phase: str) -> None:
        note(f"· SDK clients: {phase}")
        if phase == "measuring" and kill_every_s is not None:
            assert isinstance(stage, OwnStage)
            killing.append(asyncio.create_task(stage.kill(kill_every_s, plan.duration_s)))

    try:
        found = await clients.play(plan, facts, about, on_phase)
        await asyncio.gather(*killing)
    finally:
        for task in killing:
            task.cancel()
    return found


async def _checked(stage: Stage, found: Found) -> Result:
    if stage.database_url is None:
        return found.result
    durable = await journal.rows(stage.database_url, {ack.room_id for ack in found.acks})
    result = journal.compared(found, durable)
    note(
        f"· journal: {len(durable & set(found.acks)):,} of {len(found.acks):,} acks are in PostgreSQL at their roomSeq"
    )
    return result


def _holds(result: Result) -> bool:
    """Every promise, and every assertion."""
    broken = result.lost + result.doubled + result.gaps + result.diverged + result.unanswered + result.problem_count
    return result.acked > 0 and broken == 0 and all(each.passed for each in result.assertions)


if __name__ == "__main__":
    sys.exit(main())
