"""
Place: where a node stands on its machine. Its listening socket, the address others reach it at, and its home.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path

import msgspec

#: Addresses to route to, of RFC 5737 and RFC 3849; nothing is sent there.
_OUTSIDE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_LOOPBACK = "127.0.0.1"


class CannotListen(OSError):
    """The address is taken or not ours to have; the text names it."""


class Place(msgspec.Struct, frozen=True):
    """What a supervisor gives a worker beside its settings. Its stdin is a pipe that ends with the supervisor."""

    #: From 0.
    worker: int
    #: The worker's name to PostgreSQL: who starts there knows that whoever was there before is dead.
    home: str
    #: The descriptor of its listening socket, which stays open while the worker is restarted.
    listener: int


def listen(host: str, port: int) -> socket.socket:
    """The listening socket; port 0 is any. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048, reuse_port=False)
    except OSError as error:
        # Python's text repeats the address; but a host that is not found has no number of the system's.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise CannotListen(f"cannot listen on {host}:{port}: {why}") from error


def address_of(listener: socket.socket) -> str:
    """`host:port` as other nodes dial it: of a socket that listens everywhere, the machine's own address."""
    host, port = listener.getsockname()[:2]
    host = _own_address() if is_wildcard(host) else host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def standing_of(listener: socket.socket) -> str | None:
    """
    A home without a data folder: where this socket listens. Whoever listened there before is dead.

    The kernel gives a port to one at a time within its network, so the name holds both, and the boot. None where the
    system is not one that names them (Linux).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        network = Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return None
    return f"{boot}/{network}/{socket.gethostname()}/{address_of(listener)}"


def is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::", "")


def next_ports(address: str, by: int) -> str:
    """The same address with a port (`host:port`, `host:port/path`), so many ports on."""
    dialled, slash, path = address.partition("/")
    host, _, port = dialled.rpartition(":")
    return f"{host}:{int(port) + by}{slash}{path}"


def _own_address() -> str:
    """Where a connection to the outside would come from; loopback on a machine that has no way there."""
    for family, outside in _OUTSIDE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((outside, 9))
            address: str = probe.getsockname()[0]
            return address
    return _LOOPBACK
