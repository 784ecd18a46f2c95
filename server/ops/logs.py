"""
Logs: one event per line on stderr (stdout carries only data), as JSON or for a terminal, secrets cut out.

    structlog.get_logger(service="storage") --.
                                              +--> scope, level, time --> redact --> one line
    logging (uvicorn, asyncio, ...) ----------'

Every module takes its own `structlog.get_logger(service=...)`; a room or session adds itself for everything
logged inside, libraries too, with `structlog.contextvars.bound_contextvars(room=..., session=...)`. Events are
named by what happened (`room.activated`), facts travel as fields and never in the event's name.

Not on the hot path: an event costs about a tenth of a millisecond. Nothing is logged per intent.
"""

import contextlib
import io
import json
import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from server.ops.redaction import redacted

PROBE_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

#: Their info level repeats ours, or (uvicorn) writes URLs whole, and the SDK puts its tokens into URLs.
_QUIET = ("asyncio", "picows", "uvicorn", "uvicorn.access", "uvicorn.asgi", "uvicorn.error", "websockets")
#: C0 and C1 controls, and the line separators of Unicode: none may forge a line or steer a terminal.
_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}


def configure_logs(
    log_format: Literal["auto", "json", "console"], log_level: Literal["debug", "info", "warning", "error"], out: TextIO
) -> None:
    """
    Sends all of structlog and logging to `out`; the whole process', so call it once, first thing.

    `auto` is `console` where `out` is a terminal, else `json`. A JSON line has `event`, `level`, `timestamp`
    (RFC 3339, UTC), the scope (`service`, `room`, `session`) and `exception`, the traceback as one string.
    """
    is_console = log_format == "console" or (log_format == "auto" and out.isatty())
    structlog.configure(
        processors=[*_scope(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(log_level),
    )
    handler = _LineHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_scope(), structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(_traceback),
                structlog.processors.StackInfoRenderer(),
                _redact,
                *(_console(out.isatty()) if is_console else [_json]),
            ],
        )
    )
    _take_over_logging(handler, log_level.upper())


def log_access(method: str, target: str, status: int, duration_s: float, peer: str) -> None:
    """One answered HTTP request. `target` may carry its query; the log does not. Probes, and whoever asks too often,
    are for debugging only."""
    path = target.partition("?")[0]
    level = logging.DEBUG if path in PROBE_PATHS or status == 429 else logging.INFO
    structlog.get_logger(service="http").log(
        level,
        "http.answered",
        method=method,
        path=path,
        status=status,
        duration_ms=round(duration_s * 1e3, 1),
        peer=peer,
    )


class _LineHandler(logging.StreamHandler[TextIO]):
    """A stream handler whose own failures obey the rules: one line, and not the arguments that could not be shown."""

    def handleError(self, record: logging.LogRecord) -> None:
        kind = getattr(sys.exc_info()[0], "__name__", "")
        line = {"event": "log.unwritable", "level": "error", "logger": record.name, "error": kind}
        with contextlib.suppress(OSError, ValueError):  # the stream is gone; there is nowhere left to say so
            self.stream.write(json.dumps(line) + "\n")


def _take_over_logging(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in _QUIET:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)


def _scope() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    """The standard traceback, without local variables: they hold tokens."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    return text.getvalue().strip("\n")


def _redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    shown = redacted(event)
    assert isinstance(shown, dict)
    return shown


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    # ASCII only, so that no reader's idea of a line break (U+2028, U+0085) splits an event.
    return json.dumps(event, separators=(",", ":"))


def _console(has_colours: bool) -> list[Processor]:
    return [
        _one_line,
        structlog.dev.ConsoleRenderer(colors=has_colours, exception_formatter=structlog.dev.plain_traceback),
    ]


def _one_line(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Controls escaped; only a traceback keeps its lines, each indented so that none can pass for an event."""
    shown: EventDict = {}
    for key, value in event.items():
        if key in ("exception", "stack") and isinstance(value, str):
            value = "\n".join(f"    {line.translate(_CONTROLS)}" for line in value.split("\n"))
        elif isinstance(value, str):
            value = value.translate(_CONTROLS)
        shown[key.translate(_CONTROLS)] = value
    return shown
