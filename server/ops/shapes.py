"""Shapes: what the text of a setting must look like beyond being text."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec


class Shape(msgspec.Struct, frozen=True):
    """What a text must look like beyond being text: in words, and as a check of one item (`ValueError` is a no)."""

    words: str
    fits: Callable[[str], bool]


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc or parts.path)


def _is_origin(text: str) -> bool:
    scheme, separator, host = text.removesuffix(":*").partition("://")
    return (
        bool(separator)
        and _is_url(text.removesuffix(":*"), scheme)
        and scheme.isalpha()
        and not set(host) & set("/?#@*")
    )


def _is_address(text: str) -> bool:
    return "://" not in text and not set(text) & set("?#@ ") and _is_url(f"ws://{text}", "ws")


POSTGRES = Shape("a postgresql:// URL", lambda text: _is_url(text, "postgresql", "postgres"))
REDIS = Shape("a redis://, rediss:// or unix:// URL", lambda text: _is_url(text, "redis", "rediss", "unix"))
ORIGIN = Shape("origins (scheme://host, with :port or :* if any) between commas", _is_origin)
ADDRESS = Shape("host, host:port or host:port/path, without a scheme", _is_address)
SECRET = Shape("text of at least 32 bytes", lambda text: len(text.encode()) >= 32)
READABLE = Shape("the path of a readable file", lambda text: Path(text).is_file())
TEXT = Shape("text", lambda text: True)
