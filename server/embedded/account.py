"""
Account: the user the databases run as, and how a program is started as that user.

A server that isn't root runs them as itself. PostgreSQL refuses root; a root server therefore hands them to the owner
of the data folder, and if that is root too, to `nobody`. `nobody` often can't enter the folders above (a checkout in
/root or in `mktemp -d`). Opening those folders to everybody is not ours to do, and data kept elsewhere would be lost to
whoever copies or deletes the folder, so there, and only there, the databases keep one right of root's: to pass file
permissions (CAP_DAC_OVERRIDE). They gain nothing that the server itself doesn't have.
"""

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import msgspec
import psutil

#: The uid that is "nobody" where the user database has no such name.
_NOBODY = 65534


class EmbeddedFailed(Exception):
    """The embedded databases can't start; the text is a sentence for the person who started the server."""


class _User(TypedDict, total=False):
    """Popen's arguments for another user."""

    user: int
    group: int
    extra_groups: Sequence[int]


class Account(msgspec.Struct, frozen=True):
    """A user of the machine; with our own uid it changes nothing, any other takes root."""

    uid: int
    gid: int
    #: Keeps root's right to pass file permissions, for want of another way to the programs or the folder.
    passes_permissions: bool = False

    @property
    def is_named(self) -> bool:
        """False in containers that run with a bare number, which the user database doesn't list."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return False
        return True

    def adopt(self, folder: Path) -> None:
        """Make `folder` if need be, this account's own and closed to others. Idempotent.

        A folder that root owns with all in it (restored by `cp -r`) is given to the account."""
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.stat().st_uid
        if owner != self.uid:
            if os.geteuid() != 0:
                raise EmbeddedFailed(f"{folder} belongs to the user with uid {owner}: start the server as that user")
            for inside, folders, files in os.walk(folder):
                for name in ("", *folders, *files):
                    os.chown(os.path.join(inside, name), self.uid, self.gid, follow_symlinks=False)
        folder.chmod(0o700)

    def write_secret(self, path: Path, text: str) -> None:
        """Write a new file that this account alone can read, durably."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if os.geteuid() != self.uid:
                os.fchown(file.fileno(), self.uid, self.gid)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        log: Path,
        stdin: int = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program in `folder`, in its own session, with nothing of our environment but what `env` says.

        Its output replaces `log`. Nobody's PGDATA, PGOPTIONS or locale in our environment may steer a database."""
        command, user = self._become(argv)
        try:
            with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as output:
                return subprocess.Popen(
                    command,
                    cwd=folder,
                    env={"LC_ALL": "C", "TZ": "UTC", **(env or {})},
                    stdin=stdin,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    **user,
                )
        except OSError as error:
            raise EmbeddedFailed(f"{argv[0]} can't be run as uid {self.uid}: {error.strerror}") from error

    def working_directories(self, pids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Device and inode of the working directory of each of these processes that is this account's.

        The kernel tells that to the same user with the same rights alone; root in a container is not told either. So
        where the account is another user, a program is run as that user to look."""
        if os.geteuid() == self.uid:
            return {pid: place for pid in pids if (place := _place(pid)) is not None}
        command, user = self._become(["stat", "-L", "-c", "%n %d %i", *(f"/proc/{pid}/cwd" for pid in pids)])
        seen = subprocess.run(command, capture_output=True, check=False, **user).stdout.decode()
        rows = [line.split() for line in seen.splitlines()]
        return {int(name.split("/")[2]): (int(device), int(inode)) for name, device, inode in rows}

    def _become(self, argv: Sequence[str]) -> tuple[list[str], _User]:
        """The command and the arguments of Popen with which `argv` runs as this account."""
        if os.geteuid() == self.uid:
            return list(argv), {}
        if not self.passes_permissions:
            return list(argv), {"user": self.uid, "group": self.gid, "extra_groups": ()}
        program = shutil.which("setpriv")
        if program is None:
            raise EmbeddedFailed(
                "PostgreSQL doesn't run as root, and no other user may enter this folder: start the server as an "
                "ordinary user, keep the project where others may enter, or install setpriv (package util-linux)"
            )
        who = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        kept = "-all,+dac_override"
        # Without the securebit access(2) leaves the capability out (capabilities(7)), and PostgreSQL's programs ask it
        # whether they may run each other.
        rights = ["--securebits=+no_setuid_fixup", f"--inh-caps={kept}", f"--ambient-caps={kept}"]
        return [program, *who, *rights, *argv], {}


def choose_account(folders: Sequence[Path], programs: Sequence[Path]) -> Account:
    """Who runs `programs` for `folders`, of which not all need exist.

    Ourselves, or as root the owner of the first folder that isn't root's, or `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    owners = (folder.stat() for folder in folders if folder.exists())
    uid, gid = next(((owner.st_uid, owner.st_gid) for owner in owners if owner.st_uid != 0), _nobody())
    ways = [*programs, *(folder.parent for folder in folders)]
    return Account(uid, gid, passes_permissions=not all(_may_enter(way, uid, gid) for way in ways))


def _nobody() -> tuple[int, int]:
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return nobody.pw_uid, nobody.pw_gid


def _may_enter(folder: Path, uid: int, gid: int) -> bool:
    """Whether plain mode bits let this user walk down to `folder`, as far as it exists."""
    for step in (folder, *folder.parents):
        if step.exists():
            facts = step.stat()
            owns, shares = facts.st_uid == uid, facts.st_gid == gid
            needed = stat.S_IXUSR if owns else stat.S_IXGRP if shares else stat.S_IXOTH
            if not facts.st_mode & needed:
                return False
    return True


def _place(pid: int) -> tuple[int, int] | None:
    link = Path(f"/proc/{pid}/cwd")  # leads to the folder itself, whatever it is called over there
    try:
        facts = (link if link.is_symlink() else Path(psutil.Process(pid).cwd())).stat()
    except (OSError, psutil.Error):
        return None
    return facts.st_dev, facts.st_ino
