"""
Doctor: what a bug report has to say of an installation, its databases and its machine.

    versions, settings, databases, machine     each examined, whatever is wrong with the others

A finding with a problem is one that an operator should act on. No secret is among them: settings are masked as
`holdfast config env` masks them, and what others answer is redacted.
"""

import http.client
import json
import os
import platform
import re
import resource
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from time import time
from typing import Any

import asyncpg
import msgspec

from contracts import PROTOCOL_VERSION
from contracts.version import schema_hash
from server import is_compiled
from server.core.faults import Fault
from server.embedded import EmbeddedFailed, Urls
from server.ops.redaction import redacted_text
from server.presence.store import Store
from server.settings import BadSetting, Settings, effective, load
from server.storage import migrations
from server.tools.databases import NoData, find_running, has_data, reach

#: Until a database, a port or a program answers.
ANSWER_S = 3.0
DISK_FREE_BYTES_MIN = 1_000_000_000
#: Between our clock and PostgreSQL's: leases and times of rooms are told by both.
SKEW_MS_MAX = 1_000
#: Open files beside connections: databases, logs, the listener.
OTHER_FILES_MAX = 200
NODE_MAJOR_MIN = 20

#: Without these PostgreSQL calls durable what a power cut can undo.
_MUST_BE_ON = ("fsync", "full_page_writes", "synchronous_commit")
_POSTGRES = """
    SELECT
        current_setting('server_version') AS version,
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms,
        pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS is_read_only,
        current_setting('max_connections') AS max_connections,
        current_setting('fsync') AS fsync,
        current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit
"""


class Finding(msgspec.Struct, frozen=True):
    """One fact; `problem` says what is wrong with it, empty if nothing is."""

    about: str
    what: str
    found: str
    problem: str = ""


async def examine(environ: Mapping[str, str], flags: Mapping[str, object], say: Callable[[str], None]) -> list[Finding]:
    """Everything there is to say. `environ` and `flags` as for `settings.load`; databases of a stopped server are
    started for the while, and a data folder that is not there is not made."""
    settings, findings = _settings(environ, flags)
    databases = [finding async for finding in _databases(settings, say)]
    return [*_versions(), *findings, *databases, *_machine(settings)]


def _versions() -> Iterator[Finding]:
    def found(what: str, words: str, problem: str = "") -> Finding:
        return Finding("versions", what, words, problem)

    yield found("holdfast", version("holdfast"))
    yield found("protocol", PROTOCOL_VERSION)
    yield found("schema", schema_hash())
    yield found("python", f"{platform.python_implementation()} {platform.python_version()}")
    yield found(
        "hot path", "compiled" if is_compiled else "as Python (no C compiler at its build, changed since, or unwanted)"
    )
    yield found("platform", f"{platform.platform()}, {' '.join(platform.libc_ver())}")
    for requirement in requires("holdfast") or []:
        name, _, condition = requirement.partition(";")
        if not any(extra in condition for extra in ("build", "dev")):
            yield _package(re.split(r"[^\w.-]", name)[0], is_needed=not condition)
    yield found("node", *_node())


def _package(name: str, *, is_needed: bool) -> Finding:
    try:
        return Finding("versions", name, version(name))
    except PackageNotFoundError:
        return Finding("versions", name, "not installed", "is needed" if is_needed else "")


def _node() -> tuple[str, str]:
    """Node.js is needed only where the page and the types are built."""
    program = shutil.which("node")
    if program is None:
        return "none on the PATH", ""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, timeout=ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return program, f"does not answer ({type(error).__name__})"
    words = said.stdout.decode(errors="replace").strip()
    major = re.match(r"v(\d+)", words)
    is_old = major is None or int(major[1]) < NODE_MAJOR_MIN
    return f"{words} {program}", f"is older than {NODE_MAJOR_MIN}" if is_old else ""


def _settings(environ: Mapping[str, str], flags: Mapping[str, object]) -> tuple[Settings, list[Finding]]:
    """The settings, those that are wrong left out, and what there is to say of each that is given."""
    problems: list[Finding] = []
    try:
        settings = load(environ, flags, is_to_serve=True)
    except BadSetting as bad:
        problems = [Finding("settings", each.variable, "wrong", each.problem) for each in bad.problems]
        wrong = {each.variable for each in bad.problems}
        environ = {name: text for name, text in environ.items() if name not in wrong}
        flags = {name: value for name, value in flags.items() if f"--{name.replace('_', '-')}" not in wrong}
        try:
            settings = load(environ, flags)
        except BadSetting:
            return Settings(), problems
    given = [value for value in effective(settings, environ, flags) if value.source != "default"]
    return settings, problems + [Finding("settings", each.variable, f"{each.value} ({each.source})") for each in given]


async def _databases(settings: Settings, say: Callable[[str], None]) -> AsyncIterator[Finding]:
    try:
        yield Finding("databases", "from", _where(settings))
        async with reach(settings, say) as urls:
            for finding in [*await _postgres(urls), *await _migrations(urls), *await _redis(urls)]:
                yield finding
    except NoData:
        return
    except EmbeddedFailed as error:
        yield Finding("databases", "embedded", "not running", redacted_text(str(error)))


def _where(settings: Settings) -> str:
    if settings.database_url:
        return "an operator"
    folder = Path(settings.data_dir)
    if not has_data(folder):
        return f"{folder.resolve()}: nothing yet, the first start makes it"
    return f"{folder.resolve()}: {'stopped' if find_running(settings) is None else 'running'}"


async def _postgres(urls: Urls) -> list[Finding]:
    try:
        connection = await asyncpg.connect(urls.database_url, timeout=ANSWER_S, command_timeout=ANSWER_S)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [Finding("databases", "postgresql", "not reached", _words_of(error))]
    try:
        asked_ms = time() * 1000
        row = await connection.fetchrow(_POSTGRES)
        answered_ms = time() * 1000
    finally:
        connection.terminate()
    skew_ms = round(row["now_ms"] - (asked_ms + answered_ms) / 2)
    return [
        Finding("databases", "postgresql", row["version"], "is read-only" if row["is_read_only"] else ""),
        Finding("databases", "answers within", f"{answered_ms - asked_ms:.1f} ms"),
        Finding("databases", "clock", f"{skew_ms:+} ms to ours", "runs apart" if abs(skew_ms) > SKEW_MS_MAX else ""),
        Finding("databases", "max_connections", row["max_connections"]),
        *(
            Finding("databases", name, row[name], "a power cut may undo what was acked" if row[name] == "off" else "")
            for name in _MUST_BE_ON
        ),
    ]


async def _migrations(urls: Urls) -> list[Finding]:
    try:
        status = await migrations.status(urls.database_url)
    except Fault as fault:
        return [Finding("databases", "migrations", "unknown", str(fault))]
    found = f"{len(status.applied)} applied, {len(status.pending)} pending"
    if status.breaking:
        return [Finding("databases", "migrations", found, "the tables are newer than this version: run a newer one")]
    return [Finding("databases", "migrations", found, "run `holdfast migrate up`" if status.pending else "")]


async def _redis(urls: Urls) -> list[Finding]:
    if not urls.redis_url:
        return [Finding("databases", "redis", "not given")]
    store = Store(urls.redis_url)
    try:
        [answer] = await store.read(("INFO",))
        refusal = await store.probe()
    except Fault as fault:
        return [Finding("databases", "redis", "not reached", _words_of(fault.__cause__ or fault))]
    finally:
        await store.aclose()
    facts = dict(line.split(":", 1) for line in answer.decode().splitlines() if ":" in line)
    name = "valkey" if "valkey_version" in facts else "redis"
    policy = facts.get("maxmemory_policy", "?")
    evicts = "may drop seats and sessions: noeviction is right" if policy not in ("noeviction", "?") else ""
    return [
        Finding("databases", name, facts.get(f"{name}_version", "?"), f"refuses writes: {refusal}" if refusal else ""),
        Finding("databases", "maxmemory_policy", policy, evicts),
    ]


def _machine(settings: Settings) -> Iterator[Finding]:
    def found(what: str, words: str, problem: str = "") -> Finding:
        return Finding("machine", what, words, problem)

    yield found("port", *_port(settings.host, settings.port))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.connections_max + OTHER_FILES_MAX
    is_short = hard != resource.RLIM_INFINITY and hard < needed
    yield found("open files", str(hard), f"too few for {settings.connections_max} connections" if is_short else "")
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield found("processors", str(os.cpu_count()))
    yield found("memory", _gigabytes(memory_bytes))
    free_bytes = shutil.disk_usage(_existing(Path(settings.data_dir).resolve())).free
    yield found("disk free", _gigabytes(free_bytes), "nearly full" if free_bytes < DISK_FREE_BYTES_MIN else "")
    yield found("user", f"uid {os.getuid()}")
    yield found("clock", datetime.now(UTC).isoformat(timespec="milliseconds"))


def _port(host: str, port: int) -> tuple[str, str]:
    """Whether the server could listen there, or who does."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        who = _who_listens(host, port)
        return (f"{host}:{port}: {who}", "") if who else (f"{host}:{port}", error.strerror or type(error).__name__)
    return f"{host}:{port}: free", ""


def _who_listens(host: str, port: int) -> str:
    """A Holdfast with its version, or nothing that we know."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/version")
        answer: Any = json.loads(connection.getresponse().read())
        return f"{answer['name']} {answer['version']} listens"
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
        return ""
    finally:
        connection.close()


def _existing(folder: Path) -> Path:
    return next(step for step in (folder, *folder.parents) if step.exists())


def _gigabytes(count_bytes: int) -> str:
    return f"{count_bytes / 1e9:.1f} GB"


def _words_of(error: BaseException) -> str:
    return redacted_text(str(error)) or type(error).__name__
