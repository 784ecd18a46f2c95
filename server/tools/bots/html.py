"""
The report: a run as one page that needs nothing else, neither the network nor a script.

What to look at comes first: whether the promises held, then figures, then how they came about, then all that was kept.
Whatever came from outside is text in a tree (`markup`), and a policy in the page lets nothing run but its own script.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import msgspec

from server.tools.bots import figures, plots
from server.tools.bots.markup import Child, document, element
from server.tools.bots.plots import Line
from server.tools.bots.result import Asserted, Machine, Result, Spread
from server.tools.bots.verdict import found_by, verdict

_STYLE = Path(__file__).with_name("report.css")
_SCRIPT = Path(__file__).with_name("report.js")

_DUE = {
    "open": (
        "An intent counts from when it was due by the plan, not from when it could be sent: a server that stalls is"
        " charged for all who wait (no coordinated omission). How late the bots themselves were is part of that, and"
        " told apart."
    ),
    "closed": (
        "Each bot had one intent open at a time. A turn that came before the last answer waited for it, and its"
        " latency counts from when it was due all the same: a server that stalls is charged for all who wait (no"
        " coordinated omission), though it has fewer to answer at once than in the open model."
    ),
}
_HOW = {
    "ack": "until the bot had its intent's ack.",
    "seen by others": "until another bot of the room had applied the change that shows it, the wait for the next patch"
    " included.",
    "counts and percentiles": "of the measured time alone, without joining, warm-up and what came after; a percentile"
    " is by nearest rank, at most 0.6 % too high. What was lost, doubled, missed or diverged counts whenever it was.",
    "lost": "acked, yet not in the state at the end, or never covered by it.",
    "doubled": "two outcomes of one intent, or two intents at one place of the room's sequence.",
    "gaps": "a delta that did not begin where the bot was, or an ack out of order.",
    "diverged": "a bot whose state at the end was not the server's.",
}


def render(result: Result) -> str:
    """The whole page, as HTML."""
    return page(
        f"{result.plan.clients:,} bots in {result.plan.room}: {verdict(result).headline}",
        _head(result),
        _tiles(result),
        _assertions(result.assertions),
        section("Latency", _latency_plot(result), _latency_table(result)),
        _over_time(result),
        _refused(result),
        _problems(result),
        section(
            "What was run, and on what",
            element("div", *_plan(result), class_="columns"),
        ),
        section("How it was counted", *_how(result), class_="how"),
        _raw(result),
    )


def page(title: str, *parts: Child) -> str:
    """A page in the report's style, of parts made of `markup`; all it loads is in it."""
    style, script = _STYLE.read_text(), _SCRIPT.read_text()
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    return document(
        element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", http_equiv="Content-Security-Policy", content=policy),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("meta", name="color-scheme", content="light dark"),
                element("title", title),
                element("style", style),
            ),
            element("body", element("main", *parts), element("script", script)),
            lang="en",
        )
    )


def section(title: str, *parts: Child, class_: str | None = None) -> Element:
    return element("section", element("h2", title), *parts, class_=class_)


def table(columns: Sequence[str], rows: Iterable[Sequence[Child]], class_: str | None = None) -> Element:
    """The first column names its row; the others are numbers."""
    head = element("tr", *(element("th", name, scope="col") for name in columns))
    body = (
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    )
    whole = element("table", element("thead", head), element("tbody", *body), class_=class_)
    return element("div", whole, class_="scrolled")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _head(result: Result) -> Element:
    plan, found = result.plan, verdict(result)
    server = result.server or {}
    told = " ".join(str(server[key]) for key in ("name", "version") if key in server) or plan.target
    return element(
        "header",
        element("p", "holdfast bots", element("time", figures.moment(result.started_at)), class_="over"),
        element("h1", found.headline, class_="held" if found.held else "broken"),
        element("p", f"{found.promises}.", class_="promises"),
        element(
            "p",
            f"{figures.counted(plan.clients, 'client')} in {figures.counted(plan.rooms, 'room')} of ",
            element("b", plan.room),
            f", {figures.plain(plan.rate_hz)} intents a second each, for {figures.duration(result.seconds)}, against ",
            element("b", told),
            " at ",
            element("b", plan.url),
            ".",
            class_="lead",
        ),
        element("ul", *(element("li", words) for words in found.cautions), class_="cautions")
        if found.cautions
        else None,
    )


def _tiles(result: Result) -> Element:
    ack, seen = result.ack_ms, result.seen_ms
    asked = result.plan.clients * result.plan.rate_hz
    tiles = (
        ("Acked a second", figures.number(result.acked_per_s), f"of {figures.plain(asked)} asked for"),
        ("Ack, median", _ms(ack, ack.p50), f"mean {_ms(ack, ack.mean)}"),
        ("Ack, p99", _ms(ack, ack.p99), f"p99.9 {_ms(ack, ack.p999)}"),
        ("Seen by others, p99", _ms(seen, seen.p99), f"median {_ms(seen, seen.p50)}"),
        ("Acked", f"{result.acked:,}", f"of {result.sent:,} sent"),
        (
            "Refused",
            f"{sum(result.rejected.values()):,}",
            f"{sum(result.errors.values()):,} errors, {result.unanswered:,} unanswered",
        ),
        (
            "Received by a client",
            f"{figures.size(result.bytes_in_per_client_s)}/s",
            f"{figures.size(result.bytes_in)} in all",
        ),
        ("Bots late, p99", _ms(result.late_ms, result.late_ms.p99), f"{_cores(result)} of a core used"),
    )
    checks = (("lost", result.lost), ("doubled", result.doubled), ("gaps", result.gaps), ("diverged", result.diverged))
    return element(
        "section",
        element(
            "dl",
            *(
                element("div", element("dt", name), element("dd", figure), element("dd", note, class_="note"))
                for name, figure, note in tiles
            ),
            class_="tiles",
        ),
        element(
            "ul",
            *(
                element(
                    "li",
                    element("b", f"{count:,}"),
                    f" {name}",
                    class_="broken" if count else "held" if result.acked else None,
                )
                for name, count in checks
            ),
            element("li", element("b", f"{result.duplicates:,}"), " duplicates"),
            element("li", element("b", f"{result.reconnects:,}"), " reconnects"),
            class_="checks",
        ),
    )


def _assertions(assertions: Sequence[Asserted]) -> Element | None:
    if not assertions:
        return None
    rows = (
        (
            element("code", each.text),
            found_by(each),
            element("span", "held" if each.passed else "failed", class_="held" if each.passed else "broken"),
        )
        for each in assertions
    )
    return section("Assertions", table(("asserted", "found", ""), rows, "narrow"))


def _latency_plot(result: Result) -> Element:
    spreads = [("ack", "ack", result.ack_ms), ("seen by others", "seen", result.seen_ms)]
    return plots.percentiles("Latency by percentile", spreads)


def _latency_table(result: Result) -> Element:
    rows = (
        (name, *(_in_ms(of, value) for value in (of.p50, of.p90, of.p99, of.p999, of.max, of.mean)), f"{of.count:,}")
        for name, of in (("ack", result.ack_ms), ("seen by others", result.seen_ms), ("bots late", result.late_ms))
    )
    return table(("ms", "p50", "p90", "p99", "p99.9", "max", "mean", "count"), rows)


def _over_time(result: Result) -> Element | None:
    """None where there is no course to see."""
    if len(result.timeline) < 2:
        return None
    per_step = plots.points_per_step(len(result.timeline))
    note = f"Each point stands for {per_step} s: the line is their mean, the band spans their lowest to their highest."
    return section("Over time", *_timelines(result), element("p", note, class_="note") if per_step > 1 else None)


def _timelines(result: Result) -> list[Element]:
    seconds = result.timeline
    length_s = max(result.seconds, seconds[-1].at_s)

    def line(name: str, tone: str, values: Iterable[float | None]) -> Line:
        return Line(name, tone, [(second.at_s, value) for second, value in zip(seconds, values, strict=True)])

    # A second is as long as the timer let it be, and the last one of a run that was ended is short.
    lengths = [after - before for before, after in pairwise((0.0, *(each.at_s for each in seconds)))]

    def rate(name: str, tone: str, counts: Iterable[int]) -> Line:
        return line(
            name, tone, (count / took if took > 0 else None for count, took in zip(counts, lengths, strict=True))
        )

    refused = [rate("refused", "refused", (each.rejected for each in seconds))] if result.rejected else []
    return [
        plots.timeline(
            "Intents a second",
            [
                rate("sent", "sent", (each.sent for each in seconds)),
                rate("acked", "ack", (each.acked for each in seconds)),
                *refused,
            ],
            plots.amounts,
            length_s,
        ),
        plots.timeline(
            "Latency, by the second",
            [
                line("ack p50", "median", (each.ack_p50_ms or None for each in seconds)),
                line("ack p99", "ack", (each.ack_p99_ms or None for each in seconds)),
                line("seen p99", "seen", (each.seen_p99_ms or None for each in seconds)),
            ],
            plots.latencies,
            length_s,
        ),
        plots.timeline(
            "Received a second, all clients",
            [rate("bytes in", "bytes", (each.bytes_in for each in seconds))],
            plots.sizes,
            length_s,
        ),
    ]


def _refused(result: Result) -> Element | None:
    if not result.rejected and not result.errors:
        return None

    def counts(title: str, of: Mapping[str, int]) -> Element | None:
        ranked = sorted(of.items(), key=lambda each: (-each[1], each[0]))
        return (
            table((title, "count"), ((element("code", what), f"{count:,}") for what, count in ranked), "words")
            if of
            else None
        )

    parts = (counts("refused with", result.rejected), counts("errors", result.errors))
    return section("Refusals and errors", element("div", *parts, class_="columns"))


def _problems(result: Result) -> Element | None:
    if not result.problem_count:
        return None
    more = result.problem_count - len(result.problems)
    return section(
        "Problems",
        element("ol", *(element("li", words) for words in result.problems), class_="problems"),
        element("p", f"And {more:,} more.") if more > 0 else None,
    )


def _plan(result: Result) -> list[Element]:
    plan = result.plan
    asked = {
        "Target": plan.target,
        "URL": plan.url,
        "Room": plan.room,
        "Rooms": f"{plan.rooms:,}",
        "Clients": f"{plan.clients:,}",
        "Rate of each": f"{figures.plain(plan.rate_hz)} /s",
        "Model": plan.model,
        "Warm-up": figures.duration(plan.warmup_s),
        "Measured": f"{figures.duration(result.seconds)} of {figures.duration(plan.duration_s)}",
        "Seed": str(plan.seed),
    }
    server = {
        str(key): value if isinstance(value, str) else _json(value) for key, value in (result.server or {}).items()
    }
    return [
        fact_list("The plan", asked),
        fact_list("The bots' machine", machine_facts(result.machine)),
        fact_list("The server, by its own words", server)
        if server
        else fact_list("The server", {"": "It said nothing."}),
    ]


def machine_facts(machine: Machine) -> dict[str, str]:
    """For `fact_list`."""
    fsync = machine.fsync_ms
    return {
        "Processor": machine.cpu,
        "Cores": str(machine.cores),
        "Memory": figures.memory(machine.memory_bytes),
        "System": machine.kernel,
        "Python": machine.python,
        "Disk, fsync": f"p50 {figures.number(fsync.p50)}, p99 {figures.milliseconds(fsync.p99)}"
        if fsync
        else figures.NOTHING,
        "Load average": ", ".join(f"{load:.2f}" for load in machine.load_average),
        **machine.versions,
    }


def fact_list(title: str, facts: Mapping[str, str]) -> Element:
    rows = (element("div", element("dt", name), element("dd", value)) for name, value in facts.items())
    return element("div", element("h3", title), element("dl", *rows, class_="facts"))


def _how(result: Result) -> list[Element]:
    meanings = (element("p", element("b", name), f": {meaning}") for name, meaning in _HOW.items())
    return [element("p", _DUE[result.plan.model]), *meanings]


def _raw(result: Result) -> Element:
    told = msgspec.json.format(msgspec.json.encode(result), indent=1).decode()
    return section(
        "The data", element("details", element("summary", "The run as JSON"), element("pre", told, id="result"))
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _ms(of: Spread, value: float) -> str:
    return figures.milliseconds(value) if of.count else figures.NOTHING


def _in_ms(of: Spread, value: float) -> str:
    return figures.number(value) if of.count else figures.NOTHING


def _cores(result: Result) -> str:
    return f"{result.bots_cpu_s / result.seconds * 100:.0f} %" if result.seconds else figures.NOTHING
