"""
Settings: every choice an operator has, read once at the start and frozen.

A field of `Settings` is the whole declaration of one setting: its type, default, bounds,
meaning, unit, example and whether it is secret. `describe` (config doc), `effective`
(config env) and the checks of `load` all read that one declaration.

A setting `lease_s` is the variable `HOLDFAST_LEASE_S` and the flag `--lease-s`; a secret may
also be a file named by `HOLDFAST_X_FILE`. Flags win over variables, and a variable that is
empty counts as not given. No behaviour depends on an environment's name; nothing else reads the environment.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from contracts import limits
from server.ops.declared import Declared, about, as_text, declared
from server.ops.shapes import ADDRESS, ORIGIN, POSTGRES, READABLE, REDIS, SECRET

PREFIX = "HOLDFAST_"
LOCAL_ORIGINS = tuple(
    f"{scheme}://{host}:*" for host in ("localhost", "127.0.0.1", "[::1]") for scheme in ("http", "https")
)

Source = Literal["default", "env", "file", "flag"]


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with one variable or flag, in words; never a secret's value."""

    variable: str
    problem: str
    example: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.problem}" + (f" (example: {self.example})" if self.example else "")


class BadSetting(Exception):
    """The start is refused; `problems` names everything wrong at once, so that one restart can mend it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """
    The settings of one node. Build it with `load`, which checks; its `repr` masks secrets.

    Optional texts are empty when not given. Bounds keep a typing error from becoming an outage.
    """

    host: Annotated[str, about("address to listen on", "0.0.0.0")] = "127.0.0.1"
    port: Annotated[
        int, about("TCP port of HTTP and WebSocket; worker k listens on port + k", 2567, ge=0, le=65535)
    ] = 2567
    workers: Annotated[
        int, about("node processes on this machine, beside one another on as many ports", 4, "processes", ge=1, le=32)
    ] = 1
    database_url: Annotated[
        str,
        about(
            "PostgreSQL to use; empty: the embedded one",
            "postgresql://holdfast:PASSWORD@db.example:5432/holdfast",
            shape=POSTGRES,
            is_secret=True,
        ),
    ] = ""
    redis_url: Annotated[
        str,
        about(
            "Redis or Valkey to use; empty: the embedded one",
            "redis://:PASSWORD@cache.example:6379/0",
            shape=REDIS,
            is_secret=True,
        ),
    ] = ""
    data_dir: Annotated[str, about("folder of the embedded databases", "/var/lib/holdfast")] = ".holdfast"
    transport: Annotated[
        Literal["picows", "websockets"],
        about("WebSocket implementation; websockets where picows has no wheel", "websockets"),
    ] = "picows"
    allowed_origins: Annotated[
        tuple[str, ...],
        about(
            "browser origins that may use CORS and the WebSocket, beside the server's own; port * is any or none",
            "https://game.example,https://staging.example:8443",
            shape=ORIGIN,
        ),
    ] = LOCAL_ORIGINS
    jwt_secret: Annotated[
        str,
        about(
            "key of HS256 access tokens; empty: made at the first start and kept in PostgreSQL",
            "the output of: openssl rand -base64 48",
            shape=SECRET,
            is_secret=True,
        ),
    ] = ""
    jwt_jwks_file: Annotated[
        str,
        about(
            "JWKS file with the public keys of RS256 or EdDSA access tokens", "/etc/holdfast/jwks.json", shape=READABLE
        ),
    ] = ""
    jwt_audience: Annotated[str, about("aud that access tokens must carry", "holdfast")] = "holdfast"
    jwt_issuer: Annotated[str, about("iss that access tokens must carry; empty: any", "https://id.example")] = ""
    access_token_s: Annotated[
        int, about("life of an access token that this server signs", 3600, "s", ge=1, le=limits.ACCESS_TOKEN_S_MAX)
    ] = 86_400
    guests: Annotated[bool, about("whether anyone may get a guest's access token", "false")] = True
    intent_rate: Annotated[float, about("intents a session may send", 20, "1/s", ge=0.1, le=10_000)] = float(
        limits.INTENT_RATE
    )
    intent_burst: Annotated[
        int, about("intents a session may send at once; 0: twice the rate", 40, "intents", ge=0, le=100_000)
    ] = 0
    patch_rate_ms: Annotated[
        int, about("time between merged deltas; 0: one at each commit", 50, "ms", ge=0, le=10_000)
    ] = limits.PATCH_RATE_MS
    freshness_ms: Annotated[
        int, about("longest time a durable change may wait to be sent", 100, "ms", ge=1, le=60_000)
    ] = limits.FRESHNESS_MS
    public_address: Annotated[
        str,
        about(
            "address clients dial for rooms of this node; empty: the one they asked",
            "n1.game.example:443",
            shape=ADDRESS,
        ),
    ] = ""
    lease_s: Annotated[float, about("life of a node's claim on its rooms", 10, "s", ge=0.1, le=3600)] = limits.LEASE_S
    lease_renew_s: Annotated[float, about("time between renewals of the lease", 3, "s", ge=0.02, le=1800)] = (
        limits.LEASE_RENEW_S
    )
    idle_s: Annotated[
        float, about("time without a message after which a session is ended", 600, "s", ge=0.1, le=86_400)
    ] = limits.IDLE_S
    hold_s: Annotated[
        float, about("time a dropped session's seat is held for its return", 60, "s", ge=0.1, le=86_400)
    ] = limits.HOLD_S
    seat_reservation_s: Annotated[
        float, about("time a reserved seat waits for its connection", 15, "s", ge=0.1, le=3600)
    ] = limits.SEAT_RESERVATION_S
    snapshot_every: Annotated[int, about("actions between a room's snapshots", 500, "actions", ge=1, le=1_000_000)] = (
        limits.SNAPSHOT_EVERY
    )
    durability_budget_s: Annotated[
        float, about("time an action may wait for PostgreSQL before it is rejected", 5, "s", ge=0.1, le=600)
    ] = limits.DURABILITY_BUDGET_S
    pending_actions_max: Annotated[
        int, about("actions of a node that may wait for PostgreSQL", 10_000, "actions", ge=1, le=1_000_000)
    ] = limits.PENDING_ACTIONS_MAX
    rooms_max: Annotated[int, about("active rooms of a node", 1000, "rooms", ge=1, le=1_000_000)] = limits.ROOMS_MAX
    sessions_max: Annotated[
        int, about("sessions in the rooms of a node, connected or held", 20_000, "sessions", ge=1, le=1_000_000)
    ] = limits.SESSIONS_MAX
    connections_max: Annotated[
        int, about("WebSocket connections of a node", 12_000, "connections", ge=1, le=1_000_000)
    ] = limits.CONNECTIONS_MAX
    http_rate: Annotated[
        float, about("HTTP requests of one address, probes aside; 0: no limit", 100, "1/s", ge=0, le=100_000)
    ] = float(limits.HTTP_RATE)
    http_burst: Annotated[
        int, about("HTTP requests of one address that may come at once", 1000, "requests", ge=1, le=1_000_000)
    ] = limits.HTTP_BURST
    connect_rate: Annotated[float, about("new WebSockets of one address; 0: no limit", 50, "1/s", ge=0, le=100_000)] = (
        float(limits.CONNECT_RATE)
    )
    connect_burst: Annotated[
        int, about("new WebSockets of one address that may come at once", 500, "connections", ge=1, le=1_000_000)
    ] = limits.CONNECT_BURST
    limit_loopback: Annotated[bool, about("whether these limits hold for this machine's own addresses", "true")] = False
    #: Read by `server.compiled` when the server is imported, before there are settings; here for whoever looks it up.
    compiled: Annotated[bool, about("whether the hot path may run as machine code, where that was built", "false")] = (
        True
    )
    log_format: Annotated[
        Literal["auto", "json", "console"], about("form of the log; auto: console on a terminal, else json", "json")
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], about("least serious events that are logged", "debug")
    ] = "info"

    @property
    def intent_burst_max(self) -> int:
        """The burst in force: `intent_burst`, or twice the rate (at least 1) where that is 0."""
        return self.intent_burst or max(1, round(limits.INTENT_BURST_FACTOR * self.intent_rate))

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{field.name}={field.shown(self)!r}' for field in declared(Settings))})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(field.name, field.shown(self)) for field in declared(Settings)]


class SettingDoc(msgspec.Struct, frozen=True):
    """One setting as documented: `kind` says in words which values are taken; `default` is as one would write it."""

    variable: str
    default: str
    kind: str
    unit: str
    meaning: str
    example: str
    is_secret: bool


class SettingValue(msgspec.Struct, frozen=True):
    """One setting as in force, secrets masked, and where it came from."""

    variable: str
    value: str
    source: Source


def load(
    environ: Mapping[str, str], overrides: Mapping[str, object] | None = None, *, is_to_serve: bool = False
) -> Settings:
    """
    The checked settings. `overrides` are flags by field name (`{"port": 3000}`), `None` where not given.

    Raises `BadSetting` with every problem found: bad values, unknown `HOLDFAST_*` variables, unreadable
    secret files, and settings that contradict each other; those of a server also where only one database is named.
    """
    problems = list(_strangers(environ))
    values: dict[str, Any] = {}
    for setting in declared(Settings):
        text, source, found = _given(setting, environ, overrides or {})
        problems += found
        if text:
            try:
                values[setting.name] = setting.parsed(text)
            except ValueError as error:
                problems.append(Problem(_label(setting, source), str(error), setting.example))
    settings = Settings(**values)
    problems += _contradictions(settings)
    if is_to_serve:
        problems += _half_a_pair(settings)
    if problems:
        raise BadSetting(problems)
    return settings


def describe() -> list[SettingDoc]:
    """Every setting, in the order declared."""
    return [
        SettingDoc(_variable(s), as_text(s.default), s.kind, s.unit, s.meaning, s.example, s.is_secret)
        for s in declared(Settings)
    ]


def effective(
    settings: Settings, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> list[SettingValue]:
    """Every setting's value in force and its source; `environ` and `overrides` as given to `load`."""
    return [
        SettingValue(_variable(setting), as_text(setting.shown(settings)), _given(setting, environ, overrides or {})[1])
        for setting in declared(Settings)
    ]


def environment_of(environ: Mapping[str, str], overrides: Mapping[str, object]) -> dict[str, str]:
    """The environment of a child for which these settings count, by field name, and else those of `environ`."""
    variables = {f"{PREFIX}{name.upper()}": as_text(value) for name, value in overrides.items()}
    files = {f"{variable}_FILE" for variable in variables}
    return {name: text for name, text in environ.items() if name not in files} | variables


def _variable(setting: Declared) -> str:
    return PREFIX + setting.name.upper()


def _label(setting: Declared, source: Source) -> str:
    """The name to complain about: the one the operator wrote."""
    if source == "flag":
        return f"--{setting.name.replace('_', '-')}"
    return _variable(setting) + ("_FILE" if source == "file" else "")


def _given(
    setting: Declared, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[str, Source, list[Problem]]:
    """The setting's text ("" if not given), where it came from, and what is wrong with the way it was given."""
    if overrides.get(setting.name) is not None:
        return as_text(overrides[setting.name]), "flag", []
    variable = _variable(setting)
    text = environ.get(variable, "").strip()
    file = environ.get(f"{variable}_FILE", "") if setting.is_secret else ""
    if not file:
        return text, "env" if text else "default", []
    if text:
        return text, "env", [Problem(variable, f"given twice, also by {variable}_FILE; keep one", "")]
    try:
        return Path(file).read_text().strip(), "file", []
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read as text ({type(error).__name__}): {file!r}"
        return "", "file", [Problem(f"{variable}_FILE", problem, f"/run/secrets/{setting.name}")]


def _strangers(environ: Mapping[str, str]) -> Iterator[Problem]:
    settings = declared(Settings)
    known = [_variable(s) for s in settings] + [f"{_variable(s)}_FILE" for s in settings if s.is_secret]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            yield Problem(name, "is no setting; " + (f"{near[0]} is" if near else "see: holdfast config doc"), "")


def _contradictions(settings: Settings) -> Iterator[Problem]:
    if settings.lease_renew_s * 2 > settings.lease_s:
        why = f"must be at most half of {PREFIX}LEASE_S ({settings.lease_s:g}), so that one renewal may fail"
        yield Problem(f"{PREFIX}LEASE_RENEW_S", why, f"{settings.lease_s * 0.3:g}")
    if settings.hold_s <= settings.seat_reservation_s:
        why = f"must be above {PREFIX}SEAT_RESERVATION_S ({settings.seat_reservation_s:g}), or a return comes too late"
        yield Problem(f"{PREFIX}HOLD_S", why, f"{settings.seat_reservation_s * 4:g}")

    if settings.port and settings.port + settings.workers - 1 > 65535:
        why = f"is too high for {settings.workers} workers: each has a port of its own"
        yield Problem(f"{PREFIX}PORT", why, f"{65536 - settings.workers}")
    if settings.workers > 1 and settings.public_address and not urlsplit(f"//{settings.public_address}").port:
        why = "must name a port where there is more than one worker: clients dial worker k at port + k"
        yield Problem(f"{PREFIX}PUBLIC_ADDRESS", why, f"{settings.public_address.partition('/')[0]}:2567")


def _half_a_pair(settings: Settings) -> Iterator[Problem]:
    """A server takes both databases of an operator's, or runs both itself; what only reads needs no Redis."""
    if bool(settings.database_url) != bool(settings.redis_url):
        names = [f"{PREFIX}DATABASE_URL", f"{PREFIX}REDIS_URL"]
        given, missing = names if settings.database_url else reversed(names)
        example = next(setting.example for setting in declared(Settings) if _variable(setting) == missing)
        yield Problem(missing, f"is missing, though {given} is given; give both, or neither for embedded ones", example)
