"""The report as a page."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import msgspec
import pytest

from server.tools.bots.html import render
from server.tools.bots.result import Asserted, Result, Spread
from tests.bots.runs import MACHINE, PLAN, run

HOSTILE = "</script></pre></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\x00\x1b[31m"
VOID = {"meta"}


class Page(HTMLParser):
    """What a browser would make of it; wrong nesting is a failure."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: dict[str, str] = {}
        self.feed(html)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        inmost = self.open[-1] if self.open else ""
        self.texts[inmost] = self.texts.get(inmost, "") + data


RUNS = {
    "good": run(),
    "one second": run(length_s=1),
    "an hour": run(length_s=3_600),
    "nothing": run(
        sent=9,
        problem_count=1,
        acked=0,
        ack_ms=Spread(),
        seen_ms=Spread(),
        late_ms=Spread(),
        server=None,
        timeline=[],
        seconds=0.0,
    ),
    "hostile": run(
        plan=msgspec.structs.replace(PLAN, room=HOSTILE, url=HOSTILE),
        server={HOSTILE: HOSTILE, "name": HOSTILE, "deep": {"x": [HOSTILE]}},
        machine=msgspec.structs.replace(MACHINE, cpu=HOSTILE, versions={HOSTILE: HOSTILE}, fsync_ms=None),
        rejected={HOSTILE: 1},
        errors={HOSTILE: 2},
        problems=[HOSTILE],
        problem_count=3,
        assertions=[Asserted(HOSTILE, 1.0, False)],
    ),
}


@pytest.mark.parametrize("result", RUNS.values(), ids=RUNS)
def test_the_page_is_well_formed_and_names_nothing_outside_itself(result: Result) -> None:
    html = render(result)
    page = Page(html)
    assert {"html", "head", "body", "style", "script"} <= set(page.tags)
    names = {name for name, _ in page.attributes}
    assert set() == names & {"src", "href", "xlink:href", "srcset", "action", "data", "style", "xmlns"}
    assert not re.search(r"url\(|@import|https?:|fetch|import", page.texts["style"] + page.texts["script"])


@pytest.mark.parametrize("result", RUNS.values(), ids=RUNS)
def test_the_whole_run_can_be_read_back_from_the_page(result: Result) -> None:
    told = Page(render(result)).texts["pre"]
    assert result == msgspec.json.decode(told, type=Result)


def test_words_from_outside_stay_words() -> None:
    page = Page(render(RUNS["hostile"]))
    assert 1 == page.tags.count("script")
    assert "img" not in page.tags
    assert [] == [name for name, _ in page.attributes if name.startswith("on")]
    assert HOSTILE.partition("\x00")[0] in page.texts["li"]
    assert "\\u0000\\u001b[31m" in page.texts["li"]


def test_only_our_own_style_and_script_may_run() -> None:
    page = Page(render(run()))
    policy = next(value for _, value in page.attributes if value.startswith("default-src"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for part in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.texts[part].encode()).digest()).decode()
        assert f"{part}-src 'sha256-{digest}'" in policy


def test_the_figures_are_on_the_page() -> None:
    page = Page(render(run(rejected={"degraded": 1_234}, errors={"closed 1006": 7})))
    for figure in ("7,500", "6.87 ms", "28.9 ms", "71.8 ms", "450,000", "1,234", "9.60 kB/s", "1.90 ms"):
        assert figure in page.texts["dd"]
    for figure in ("46.2", "81.3", "22,050,000", "1,234", "7"):
        assert figure in page.texts["td"]
    assert "Both assertions held" == page.texts["h1"]
    assert "AMD EPYC 7763 64-Core Processor" in page.texts["dd"]
    assert "p50 0.412, p99 2.19 ms" in page.texts["dd"]


def test_a_failure_leads_the_page() -> None:
    page = Page(render(run(lost=3, assertions=[Asserted("lost==0", 3.0, False)])))
    assert "1 of 1 assertion failed" == page.texts["h1"]
    assert ("class", "broken") in page.attributes
    assert "3 acked intents lost." in page.texts["p"]


def test_a_run_without_acks_claims_nothing() -> None:
    page = Page(render(RUNS["nothing"]))
    assert "Nothing was acked" == page.texts["h1"]
    assert ("class", "held") not in page.attributes[: page.attributes.index(("class", "checks"))]
    assert "0 ms" not in page.texts["dd"]


def test_the_page_says_how_time_was_counted_in_each_model() -> None:
    opened, closed = (render(run(plan=msgspec.structs.replace(PLAN, model=model))) for model in ("open", "closed"))
    assert "not from when it could be sent" in opened
    assert "Each bot had one intent open at a time" not in opened
    assert "Each bot had one intent open at a time" in closed


def test_a_second_that_was_no_second_long_is_drawn_as_a_rate() -> None:
    whole, short = run(length_s=2).timeline
    short = msgspec.structs.replace(short, at_s=1.5, sent=whole.sent // 2, acked=whole.acked // 2)
    told = [
        json.loads(value)
        for name, value in Page(render(run(timeline=[whole, short]))).attributes
        if name == "data-plot"
    ]
    sent = [words for _, _, words, _ in told[1]["places"]]
    assert ["7,500", "7,500"] == sent
