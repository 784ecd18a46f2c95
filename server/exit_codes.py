"""Exit codes: how the command `holdfast` can end. The numbers follow BSD's sysexits(3) where one of those fits."""

from enum import IntEnum


class ExitCode(IntEnum):
    """One table for all verbs; `docs/commands.md` repeats it."""

    #: Done. For `serve`: a signal ended it, in order. A reader that closed its pipe early (`| head`) counts as done.
    OK = 0
    #: `doctor` or `bots` found a problem, or a scenario of `chaos run` or an assertion of `bots` failed.
    PROBLEM = 1
    #: The command line is not of the verb's form.
    USAGE = 2
    #: The tables in PostgreSQL and this version don't fit, or a migration failed.
    SCHEMA = 65
    #: No such room, no such roomSeq yet, or no data in the data folder.
    NOT_FOUND = 66
    #: The server that `bots` was to load is not there, or does not let them in.
    SERVER = 68
    #: The databases could not be started or reached.
    DATABASES = 69
    #: `serve` was fenced, for another node may have its rooms, or one of its tasks crashed: start it again.
    RESTART = 70
    #: The address can't be listened on: mostly another process has the port.
    ADDRESS = 71
    #: The verb needs a checkout with Node.js, and this is none.
    CHECKOUT = 72
    #: The journal contradicts itself: a roomSeq is missing.
    JOURNAL = 74
    #: A living process holds the data folder.
    IN_USE = 75
    #: A setting is wrong.
    SETTINGS = 78
    #: Ctrl-C, before the verb was done.
    INTERRUPTED = 130
    #: SIGTERM, before the verb was done.
    TERMINATED = 143
