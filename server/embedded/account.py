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

import msgspec

#: The uid that is "nobody" where the user database has no such name.
_NOBODY = 65534


class EmbeddedFailed(Exception):
    """The embedded databases can't start; the text is a sentence for the person who started the server."""


class Account(msgspec.Struct, frozen=True):
    """A user of the machine; with our own uid it changes nothing, any other takes root."""

    uid: int
    gid: int

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
        environment = {"LC_ALL": "C", "TZ": "UTC", **(env or {})}
        is_other = os.geteuid() != self.uid
        is_closed = is_other and not (self._may_enter(Path(argv[0]).parent) and self._may_enter(folder))
        command = [*self._passing_permissions(), *argv] if is_closed else list(argv)
        changes_here = is_other and not is_closed
        try:
            with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as output:
                return subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=stdin,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    user=self.uid if changes_here else None,
                    group=self.gid if changes_here else None,
                    extra_groups=() if changes_here else None,
                )
        except OSError as error:
            raise EmbeddedFailed(f"{argv[0]} can't be run as uid {self.uid}: {error.strerror}") from error

    def _may_enter(self, folder: Path) -> bool:
        """Whether plain mode bits let this account walk down to `folder`."""
        for step in (folder, *folder.parents):
            facts = step.stat()
            if facts.st_uid == self.uid:
                needed = stat.S_IXUSR
            elif facts.st_gid == self.gid:
                needed = stat.S_IXGRP
            else:
                needed = stat.S_IXOTH
            if not facts.st_mode & needed:
                return False
        return True

    def _passing_permissions(self) -> list[str]:
        """The command that becomes this account and keeps CAP_DAC_OVERRIDE across the exec, and nothing else."""
        program = shutil.which("setpriv")
        if program is None:
            raise EmbeddedFailed(
                "PostgreSQL doesn't run as root, and no other user may enter this folder: start the server as an "
                "ordinary user, keep the project where others may enter, or install setpriv (package util-linux)"
            )
        kept = "-all,+dac_override"
        who = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        return [program, *who, f"--inh-caps={kept}", f"--ambient-caps={kept}", f"--bounding-set={kept}"]


def choose_account(data_folder: Path, cluster_folder: Path) -> Account:
    """Who runs the databases of `data_folder`: ourselves, or as root the owner of what is there, or `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for folder in (cluster_folder, data_folder):
        if folder.exists() and (owner := folder.stat()).st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(_NOBODY, _NOBODY)
    return Account(nobody.pw_uid, nobody.pw_gid)
