"""
Embedded: PostgreSQL and Valkey for one data folder, without an installation, a daemon or root.

The programs come from two wheels; the wheels' own Python servers are not used (they open parent folders as root, share
one lock among all users, die of the terminal's Ctrl-C). Here they are children in a session of their own, so a Ctrl-C
reaches the server alone, which drains first and stops its databases last.

    .holdfast/
      lock             held (flock) by the living process that uses the folder; its pid as text
      home             a uuid made once: the folder's name to PostgreSQL
      databases.json   the URLs, for verbs such as `holdfast log`; there while the databases run
      postgres/        cluster/ (PGDATA), password, log/ (24 hourly files, overwritten in turn)
      valkey/          dump.rdb (at most a minute old; nothing there is the only copy)

    (a killed server's databases) --ended--> start: made if new -> both side by side -> databases.json -> stop

Why loopback TCP and not Unix sockets: a socket's path may have 107 bytes and data folders are often deeper, no stale
socket file can be in the way, and a proxy can sit in between. Both want a random password (PostgreSQL's by SCRAM), so
another user of the machine reaches a port but no data.

A start never reuses what a killed server left running: it ends it, then starts afresh. That is one path instead of two,
costs a fraction of a second, and cuts every connection the dead server may still have had. Which processes those are is
read from the kernel (`processes.py`), never from a pid file.

As root: PostgreSQL refuses to run as root, so both run as the owner of the data folder, or as `nobody` (`account.py`).

A database that dies while its server lives is started again at its port (`Embedded.watch`, `database.py`).

What this doesn't do: replace an operator's own PostgreSQL and Redis in production.
"""

from server.embedded.account import EmbeddedFailed
from server.embedded.database import Database
from server.embedded.folder import DataFolder, DataFolderInUse, Urls
from server.embedded.pair import Embedded, borrow_databases, read_running, start_embedded

__all__ = [
    "DataFolder",
    "DataFolderInUse",
    "Database",
    "Embedded",
    "EmbeddedFailed",
    "Urls",
    "borrow_databases",
    "read_running",
    "start_embedded",
]
