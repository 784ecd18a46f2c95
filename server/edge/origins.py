"""
Origins: which web pages may talk to this server.

Without an Origin header it is no browser; an Origin that equals the Host is the server's own
page. Both are always allowed; others only when the settings list them. `:*` stands for any
port, or none.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit


class Origins:
    def __init__(self, allowed: Sequence[str]) -> None:
        self._exact = frozenset(origin for origin in allowed if not origin.endswith(":*"))
        self._any_port = frozenset(origin.removesuffix(":*") for origin in allowed if origin.endswith(":*"))

    def allow(self, origin: str | None, host: str | None) -> bool:
        """Whether a request with these headers may be answered."""
        if origin is None:
            return True
        try:
            parts = urlsplit(origin)
            has_port = parts.port is not None
        except ValueError:
            return False
        if not parts.scheme or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            return False
        if host is not None and parts.netloc.lower() == host.lower():
            return True
        without_port = origin.rsplit(":", 1)[0] if has_port else origin
        return origin in self._exact or without_port in self._any_port
