"""A run in the terminal."""

import io

import pytest
from rich.console import Console

from server.tools.bots.result import Asserted
from server.tools.bots.table import LINE_EVERY_S, drawn, line, shown_on, told
from tests.bots.runs import PLAN, progress, run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def picture(**changes: object) -> str:
    """The live table with its colours."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=120, highlight=False)
    with console.capture() as captured:
        console.print(drawn(progress(**changes), PLAN))
    return captured.get()


def test_a_pipe_gets_a_line_at_each_change_of_phase_and_every_few_seconds() -> None:
    stream, now = io.StringIO(), [100.0]
    with shown_on(PLAN, stream, lambda: now[0]) as show:
        for phase in ("joining", "joining", "measuring", "measuring"):
            show(progress(phase=phase))
        now[0] += LINE_EVERY_S
        show(progress(elapsed_s=17.0))
    lines = stream.getvalue().splitlines()
    assert ["joining 12 s of 60 s", "measuring 12 s of 60 s", "measuring 17 s of 60 s"] == [
        each.partition(";")[0] for each in lines
    ]
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_table_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with shown_on(PLAN, stream) as show:
        show(progress())
        assert "7,496 acked" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("\x1b[2K")


def test_a_line_tells_what_the_table_tells() -> None:
    words = line(progress(errors={"closed 1006": 3}), PLAN)
    for part in ("500 of 500", "7,500 asked", "7,496 acked", "p50 6.87 ms, p99 28.9 ms", "0 lost", "3 closed 1006"):
        assert part in words
        assert part in picture(errors={"closed 1006": 3})


def test_what_must_not_be_is_red_and_only_then() -> None:
    red = "\x1b[1;31m"
    assert red not in picture()
    for name in ("lost", "doubled", "gaps"):
        assert f"{red}2 {name}" in picture(**{name: 2})


def test_a_second_without_acks_has_no_latency() -> None:
    assert "ack p50 –, p99 –" in line(progress(ack_p50_ms=0.0, ack_p99_ms=0.0), PLAN)


def test_rare_errors_are_summed() -> None:
    errors = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}
    assert line(progress(errors=errors), PLAN).endswith("errors 6 f, 5 e, 4 d, 3 c, 3 others")


def test_controls_from_outside_do_not_reach_the_terminal() -> None:
    hostile = "\x1b[2J\nnext"
    assert "\x1b[2J" not in picture(errors={hostile: 1}, problem=hostile)
    assert 1 == len(line(progress(errors={hostile: 1}), PLAN).splitlines())
    words = told(run(errors={hostile: 1}, problems=[hostile], problem_count=1, server={"name": hostile}))
    assert "\x1b" not in words
    assert "\nnext" not in words


def test_the_end_tells_every_figure() -> None:
    words = told(
        run(
            lost=2,
            rejected={"degraded": 3, "rate_limited": 4},
            problems=["session x: lost"],
            problem_count=9,
            assertions=[Asserted("lost==0", 2.0, False), Asserted("ack.p99<50ms", 28.9, True)],
        )
    )
    assert words.startswith("✗ 1 of 2 assertions failed. 2 acked intents lost.\n")
    for part in (
        "ack           6.87      12.4      28.9      46.2      81.3      8.14       450,000",
        "450,000 of 450,000 sent, 7,500 a second of 7,500 asked for",
        "refused    4 rate_limited, 3 degraded",
        "checked    2 lost, 0 doubled, 0 gaps, 0 diverged",
        "FAILED     lost==0   (found 2)",
        "held       ack.p99<50ms   (found 28.9 ms)",
        "problem    session x: lost\n           and 8 more",
        "fsync p50 0.412 p99 2.19 ms",
    ):
        assert part in words
