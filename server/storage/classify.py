"""
Classify: what a failed call to PostgreSQL means for what it was to do.

By exception type and SQLSTATE, never by the text, which is localised and changes. An error that the server answers with
has undone its transaction; a cut, a timeout of our own or a server going down says nothing about one that was sent.
"""

import asyncpg

from server.core.faults import Fault, OutcomeUnknown, Poisoned, Reason, TookTooLong, Unavailable

#: What asyncpg raises when a call fails. OSError has TimeoutError among its subclasses; RuntimeError is uvloop's for a
#: write to a socket that has just been reset.
VendorError = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, RuntimeError)

#: Connection exceptions, a server going down, "statement completion unknown".
_CUT = ("08", "57P0", "40003")
#: Data exceptions, violated constraints, program limits exceeded.
_POISON = ("22", "23", "54")
#: The statement's timeout or somebody's cancel; a lock that was not to be had.
_GIVEN_UP = ("57014", "55P03")
_REASONS: tuple[tuple[str, Reason], ...] = (
    ("25006", "read_only"),
    ("53100", "disk_full"),
    ("53200", "out_of_memory"),
    ("53", "refused"),
    ("08", "refused"),
    ("57P0", "refused"),
    ("57014", "timeout"),
    ("55P03", "timeout"),
)
_OTHER: Reason = "error"


def classify(error: BaseException, *, sent: bool) -> Fault:
    """The fault that `error`, one of `VendorError`, stands for; raise it `from` the error.

    `sent` says that a writing statement may have reached the server."""
    if isinstance(error, TimeoutError):
        return _of(OutcomeUnknown if sent else Unavailable, "PostgreSQL didn't answer in time", "timeout")
    if isinstance(error, asyncpg.PostgresError):
        return _from_sqlstate(error.sqlstate or "", sent)
    if isinstance(error, asyncpg.InterfaceError):
        # asyncpg refuses before it sends, as on a connection that it knows is closed.
        return Unavailable("not connected to PostgreSQL", "refused")
    return _of(OutcomeUnknown if sent else Unavailable, "the connection to PostgreSQL failed", "refused")


def _from_sqlstate(sqlstate: str, sent: bool) -> Fault:
    reason: Reason = next((reason for prefix, reason in _REASONS if sqlstate.startswith(prefix)), _OTHER)
    if sqlstate.startswith(_POISON):
        return Poisoned(f"PostgreSQL refuses a value: SQLSTATE {sqlstate}", reason)
    if sqlstate in _GIVEN_UP:
        return TookTooLong(f"PostgreSQL says SQLSTATE {sqlstate}", reason)
    is_unknown = sent and sqlstate.startswith(_CUT)
    return _of(OutcomeUnknown if is_unknown else Unavailable, f"PostgreSQL says SQLSTATE {sqlstate}", reason)


def _of(kind: type[Fault], message: str, reason: Reason) -> Fault:
    return kind(message, reason)
