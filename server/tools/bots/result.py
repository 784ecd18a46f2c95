"""
Result: what one run of the bots found, and how far it has come meanwhile.

    Progress, once a second while it goes on -> the live table
    Result, at its end                       -> the table's last page, `--json`, `--report`, and whoever compares runs

Both are plain facts without behaviour. In JSON the names are camelCase; a name carries its unit last. Counts and
distributions are of the measured time, which is what is left without joining, warm-up and settling; what was done wrong
(`lost`, `doubled`, `gaps`, `diverged`, `problems`) counts whenever it happened.
"""

from typing import Any, Literal

import msgspec

Target = Literal["holdfast", "colyseus", "socketio"]
Model = Literal["open", "closed"]
Phase = Literal["joining", "warmup", "measuring", "settling"]

#: Problems kept in words; they are counted beyond it.
PROBLEMS_MAX = 20


class Plan(msgspec.Struct, frozen=True, rename="camel"):
    """One run, as it was asked for."""

    url: str
    target: Target
    room: str
    rooms: int
    clients: int
    #: Intents a second of each client.
    rate_hz: float
    #: Measured time.
    duration_s: float
    #: Under load, before it.
    warmup_s: float
    model: Model
    seed: int


class Fsync(msgspec.Struct, frozen=True):
    """How long the disk takes to make one small write durable, in ms."""

    p50: float
    p99: float


class Machine(msgspec.Struct, frozen=True, rename="camel"):
    """What the bots ran on; the server may be elsewhere."""

    #: The processor's name.
    cpu: str
    #: Logical ones that this process may use.
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    #: Of what the bots are made of: name -> version.
    versions: dict[str, str]
    #: None where it could not be measured.
    fsync_ms: Fsync | None
    #: Over the last 1, 5 and 15 minutes.
    load_average: tuple[float, float, float]


class Spread(msgspec.Struct, frozen=True):
    """How a quantity is distributed. All 0 where nothing was counted."""

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0


class Second(msgspec.Struct, frozen=True, rename="camel"):
    """One second of the measured time; percentiles are 0 where nothing was acked or seen in it."""

    #: Its end, from the begin of the measured time.
    at_s: float
    sent: int
    acked: int
    rejected: int
    ack_p50_ms: float = msgspec.field(name="ackP50Ms")
    ack_p99_ms: float = msgspec.field(name="ackP99Ms")
    seen_p99_ms: float = msgspec.field(name="seenP99Ms")
    bytes_in: int


class Asserted(msgspec.Struct, frozen=True):
    """One `--assert`, and whether it held."""

    text: str
    #: What was found, in the unit of the assertion; None where nothing was counted, and then it did not pass.
    value: float | None
    passed: bool


class Ack(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a bot was told, for `--acks`: this intent of the session is durable there."""

    room_id: str
    room_seq: int
    session_id: str
    seq: int


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """One run."""

    plan: Plan
    machine: Machine
    #: What the server says of itself at `/version`; None where it says nothing.
    server: dict[str, Any] | None
    #: When the measured time began, in ms since the epoch.
    started_at: int
    #: Measured time; below the plan's duration where the run was ended early.
    seconds: float

    #: Intents due in the measured time: sent; acked, the duplicates included; neither acked nor rejected at the end.
    sent: int
    acked: int
    #: Acks that said so: the intent had been sent before, and its first answer was lost with a connection.
    duplicates: int
    unanswered: int
    acked_per_s: float
    rejected: dict[str, int]
    #: By what it was: close codes, joins that failed, what the server said of its databases. Of the whole run.
    errors: dict[str, int]

    #: From when the intent was due to its ack.
    ack_ms: Spread
    #: From when the intent was due until another bot of the room had applied what shows it.
    seen_ms: Spread
    #: How late the bots themselves sent what was due: part of both.
    late_ms: Spread

    #: Acked, yet not in the state at the end, or never covered by it.
    lost: int
    #: Intents with two outcomes, or two intents acked at one roomSeq.
    doubled: int
    #: Deltas that did not begin where the bot was, and acks out of order.
    gaps: int
    #: Bots whose state at the end was not the server's.
    diverged: int
    #: Connections that broke off and came back.
    reconnects: int

    frames_in: int
    bytes_in: int
    bytes_out: int
    bytes_in_per_client_s: float = msgspec.field(name="bytesInPerClientS")
    #: CPU seconds, user and system, of the bots' own process in the measured time.
    bots_cpu_s: float = msgspec.field(name="botsCpuS")

    timeline: list[Second]
    problems: list[str]
    problem_count: int
    assertions: list[Asserted]


class Progress(msgspec.Struct, frozen=True):
    """How far a run has come, handed to `on_second` about once a second and at each change of phase."""

    phase: Phase
    #: Of the phase, and how long it lasts; None where that is not known (joining, settling).
    elapsed_s: float
    total_s: float | None
    #: Clients that have joined, of those planned.
    joined: int
    clients: int
    #: Of the whole run so far.
    sent: int
    acked: int
    rejected: int
    #: In the last second.
    sent_per_s: float
    acked_per_s: float
    bytes_in_per_s: float
    ack_p50_ms: float
    ack_p99_ms: float
    seen_p99_ms: float
    #: Of the whole run so far.
    lost: int
    doubled: int
    gaps: int
    reconnects: int
    errors: dict[str, int]
    #: The newest problem in words.
    problem: str | None = None
