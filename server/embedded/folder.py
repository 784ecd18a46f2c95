"""
Data folder: one living process at a time, one name for ever, and a note of where its databases listen.

The claim is a kernel lock (flock), so it ends with the process, however that ends; the pid in the file is only there to
be told to a person. Files that others keep in the folder are never touched.
"""

import fcntl
import os
import uuid
from pathlib import Path

import msgspec

from server.embedded.account import EmbeddedFailed


class DataFolderInUse(EmbeddedFailed):
    """A living process holds the folder."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"the data folder {path} is in use by {holder}: stop it, or name another with --data-dir")
        self.pid = pid


class Urls(msgspec.Struct, frozen=True):
    """How to reach the databases of a folder. Both hold a password."""

    database_url: str
    redis_url: str


class DataFolder:
    """A data folder, made if need be and held until `close` or the end of the process.

    Raises DataFolderInUse while another process holds it, EmbeddedFailed if it can't be used."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.path)
            self.home_id = self._read_or_make_home_id()
        except OSError as error:
            self.close()
            raise EmbeddedFailed(f"the data folder {self.path} can't be used: {error}") from error

    @property
    def is_held(self) -> bool:
        return self._lock is not None

    def close(self) -> None:
        """Let go of the folder. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write_urls(self, urls: Urls) -> None:
        _replace(self.path / "databases.json", msgspec.json.encode(urls), mode=0o600)

    def forget_urls(self) -> None:
        (self.path / "databases.json").unlink(missing_ok=True)

    def _read_or_make_home_id(self) -> str:
        home = self.path / "home"
        if not home.exists():
            _replace(home, f"{uuid.uuid4()}\n".encode(), mode=0o644)
        try:
            return str(uuid.UUID(home.read_text().strip()))
        except ValueError as error:
            # A new id would hide from the node that starts here whom it has to fence.
            raise EmbeddedFailed(f"{home} should hold the folder's uuid and doesn't: restore it") from error


def read_urls(path: Path) -> Urls | None:
    """The note of the process that last used the folder, or None. It may be a dead process's."""
    try:
        return msgspec.json.decode((path / "databases.json").read_bytes(), type=Urls)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    except OSError as error:
        raise EmbeddedFailed(f"the data folder {path} can't be read: {error}") from error


def _lock(folder: Path) -> int:
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(file, 32, 0).strip()
        os.close(file)
        raise DataFolderInUse(folder, int(pid) if pid.isdigit() else None) from None
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    _give_to_owner(file, folder)
    return file


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    """Write a whole file, durably, or leave the old one."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        _give_to_owner(file.fileno(), path.parent)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames within `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give_to_owner(file: int, folder: Path) -> None:
    """A root server in somebody's folder leaves nothing there that its owner can't use afterwards."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
