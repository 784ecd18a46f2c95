"""Facts about the log: one event per line, from structlog and logging alike, and no secret in any of them."""

import io
import json
import logging
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from server.ops.logs import configure_logs, log_access
from server.ops.loop_watchdog import LoopWatchdog

CANARY = "cAn4rY-9f8e7d6c5b4a"
FORGED = 'fine\n{"event":"forged"}\r\x1b[2J\x85\u2028forged'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Takes logs as JSON, and leaves logging as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs("json", "info", stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def events(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(service="test")
    return logger


def test_an_event_is_one_json_object_with_its_scope(out: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(room="r1", session="s1"):
        log().info("room.activated", room_seq=17)
    (event,) = events(out)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "room.activated",
        "level": "info",
        "service": "test",
        "room": "r1",
        "session": "s1",
        "room_seq": 17,
    }


def test_logging_goes_the_same_way_with_the_scope_of_its_caller(out: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(room="r1"):
        logging.getLogger("somebody.else").warning("%s of %d", "one", 2)
    (event,) = events(out)
    assert tuple(event[k] for k in ("event", "level", "logger", "room")) == (
        "one of 2",
        "warning",
        "somebody.else",
        "r1",
    )


def test_what_is_below_the_level_is_not_written(out: io.StringIO) -> None:
    log().debug("too.small")
    logging.getLogger("somebody.else").debug("too small")
    logging.getLogger("uvicorn.error").info('"WebSocket /p/r?reconnectionToken=x" [accepted]')
    assert events(out) == []


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_value_key_or_name_can_break_a_line(out: io.StringIO, log_format: Any) -> None:
    configure_logs(log_format, "info", out)
    log().info(FORGED, chat=FORGED, deep={"a": [FORGED]}, **{FORGED: 1})
    logging.getLogger("somebody.else").error("said %s", FORGED)
    assert len(out.getvalue().splitlines()) == 2
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_canary_stays_out_of_events_arguments_and_tracebacks(out: io.StringIO, log_format: Any) -> None:
    configure_logs(log_format, "info", out)
    url = f"postgresql://u:{CANARY}@h/d"
    log().info("dialled", url=url, seat={"reconnectionToken": CANARY}, headers=[("authorization", f"Bearer {CANARY}")])
    logging.getLogger("uvicorn.access").warning('%s - "GET %s"', "peer", f"/p/r?reconnectionToken={CANARY}")
    try:
        try:
            raise OSError(f"cannot reach {url}")
        except OSError as error:
            error.add_note(f"with token={CANARY}")
            raise ValueError(f'bad options {{"accessToken": "{CANARY}"}}') from error
    except ValueError:
        log().exception("join.failed")
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    assert CANARY not in out.getvalue()
    assert out.getvalue().count("ValueError: bad options") == 2
    assert out.getvalue().count("OSError: cannot reach") == 2


def test_a_traceback_is_one_field_of_one_line(out: io.StringIO) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        log().exception("room.failed")
    (event,) = events(out)
    assert event["exception"].startswith("Traceback (most recent call last):\n")


def test_on_a_console_only_a_traceback_takes_more_lines_and_they_are_indented(out: io.StringIO) -> None:
    configure_logs("console", "info", out)
    try:
        raise ValueError(FORGED)
    except ValueError:
        log().exception("room.failed")
    first, *rest = out.getvalue().splitlines()
    assert "room.failed" in first
    assert len(rest) > 2
    assert [line for line in rest if not line.startswith("    ")] == []


@pytest.mark.parametrize(("stream", "is_json"), [(io.StringIO(), True), (Terminal(), False)])
def test_auto_is_json_unless_the_stream_is_a_terminal(out: io.StringIO, stream: io.StringIO, is_json: bool) -> None:
    configure_logs("auto", "info", stream)
    log().info("started")
    assert is_json == stream.getvalue().startswith("{")


def test_warnings_are_events_too(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("something is old", stacklevel=1)
    assert "something is old" in events(out)[0]["event"]


def test_a_record_that_cannot_be_written_is_one_line_without_its_arguments(out: io.StringIO) -> None:
    configure_logs("json", "info", out)  # again: pytest has put its own handlers back, and they raise
    logging.getLogger("somebody.else").warning("%d", CANARY)
    (event,) = events(out)
    assert event == {"event": "log.unwritable", "level": "error", "logger": "somebody.else", "error": "TypeError"}


def test_a_closed_stream_costs_only_the_event(out: io.StringIO) -> None:
    stream = io.StringIO()
    configure_logs("json", "info", stream)
    stream.close()
    log().info("unheard")


def test_configuring_again_replaces_what_was(out: io.StringIO) -> None:
    configure_logs("json", "info", out)
    log().info("once")
    assert len(events(out)) == 1


def test_the_access_log_has_no_query(out: io.StringIO) -> None:
    log_access("GET", f"/p/r?sessionId=s1&reconnectionToken={CANARY}", 403, 0.01234, "127.0.0.1")
    (event,) = events(out)
    assert tuple(event[key] for key in ("event", "method", "path", "status", "duration_ms", "peer")) == (
        "http.answered",
        "GET",
        "/p/r",
        403,
        12.3,
        "127.0.0.1",
    )


def test_probes_and_scrapes_are_not_in_the_access_log(out: io.StringIO) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        log_access("GET", path, 200, 0.001, "127.0.0.1")
    assert events(out) == []


def test_the_stack_of_a_blocked_loop_shows_no_secret(out: io.StringIO) -> None:
    """It shows lines of source, and one of them may hold one."""
    with LoopWatchdog(blocked_s=0.05, look_s=0.01):
        deadline_s = time.monotonic() + 10
        while not out.getvalue().endswith("\n") and time.monotonic() < deadline_s:
            time.sleep(0.001 if "token=cAn4rY-9f8e7d6c5b4a" else 0)
    (event,) = events(out)
    assert ("loop.blocked", False) == (event["event"], CANARY in event["stack"])
    assert 'if "token=***' in event["stack"]
