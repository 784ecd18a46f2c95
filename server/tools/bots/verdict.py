"""
Verdict: what a run says in a sentence, and what its reader must know before believing its numbers.
"""

import re

import msgspec

from server.tools.bots import figures
from server.tools.bots.figures import counted, duration, listed, milliseconds
from server.tools.bots.result import Asserted, Result

#: The bots' own lateness, as a share of the ack's p99, from which on the reader is told.
LATE_SHARE_MAX = 0.5
#: Of a core, used by the bots' process, from which on they may be what is measured.
BOTS_CORE_MAX = 0.85


class Verdict(msgspec.Struct, frozen=True):
    """`held` is the colour: what the exit status says, and that something was acked if anything was sent."""

    held: bool
    headline: str
    #: What was checked of the promises, in words.
    promises: str
    #: Each a sentence; none of them is a failure.
    cautions: list[str]


def verdict(result: Result) -> Verdict:
    failed = sum(not asserted.passed for asserted in result.assertions)
    broken = _broken(result)
    if not result.acked:
        headline = "Nothing was acked" if result.sent else "Nothing was asked for"
    elif failed:
        headline = f"{failed} of {counted(len(result.assertions), 'assertion')} failed"
    elif broken:
        headline = "A promise was broken"
    elif result.problem_count:
        headline = "Not all could be checked"
    elif result.assertions:
        held = len(result.assertions)
        headline = {1: "The assertion held", 2: "Both assertions held"}.get(held, f"All {held} assertions held")
    else:
        headline = "Every promise held"
    promises = listed(broken) or (
        "Nothing lost, doubled, missed or diverged" if result.acked else "So nothing could be lost"
    )
    return Verdict(
        held=not failed and not broken and not result.problem_count and bool(result.acked or not result.sent),
        headline=headline,
        promises=promises,
        cautions=list(_cautions(result)),
    )


def _broken(result: Result) -> list[str]:
    found = (
        (result.lost, counted(result.lost, "acked intent") + " lost"),
        (result.doubled, counted(result.doubled, "outcome") + " doubled"),
        (result.gaps, counted(result.gaps, "gap") + " in what was told"),
        (result.diverged, counted(result.diverged, "bot") + " diverged"),
    )
    return [words for count, words in found if count]


def _cautions(result: Result) -> list[str]:
    late, ack = result.late_ms, result.ack_ms
    cores = result.bots_cpu_s / result.seconds if result.seconds else 0.0
    found = (
        (
            result.seconds < result.plan.duration_s * 0.99,
            f"The run ended early: {duration(result.seconds)} of {duration(result.plan.duration_s)} were measured.",
        ),
        (
            ack.count and late.p99 > ack.p99 * LATE_SHARE_MAX,
            f"The bots were late themselves, p99 {milliseconds(late.p99)}: that much of the latencies is theirs.",
        ),
        (
            cores > BOTS_CORE_MAX,
            f"The bots took {cores * 100:.0f} % of a core: they may be the limit, not the server.",
        ),
        (result.unanswered, f"{counted(result.unanswered, 'intent')} of {result.sent:,} got no answer."),
        (
            result.rejected,
            f"{counted(sum(result.rejected.values()), 'intent')} refused: latencies are of the acked ones alone.",
        ),
        (result.errors, f"{counted(sum(result.errors.values()), 'error')}; their kinds are listed."),
    )
    return [words for is_so, words in found if is_so]


def found_by(asserted: Asserted) -> str:
    """What an assertion found, in the unit it was written in; "nothing" where nothing was counted."""
    unit = re.search(r"(?<=\d)\s*(ms|s|%)$", asserted.text.strip())
    if asserted.value is None:
        return "nothing"
    is_whole = float(asserted.value).is_integer()
    value = figures.plain(asserted.value) if is_whole else figures.number(asserted.value)
    return f"{value} {unit[1]}" if unit else value
