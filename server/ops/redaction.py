"""
Redaction: what a log may say, without the secrets that came with it.

Two nets, because either alone has holes. By key: the value under a key that names a secret is
gone whatever it looks like. By pattern: a token, `Bearer` header, URL password or `...token=...`
is cut out of any text, at any depth, tracebacks included. When in doubt it cuts too much.

Linear in the text: every repetition that could start at many places is bounded, since clients choose
part of the text. It cannot know a bare secret in a sentence; never write one there.
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache

MASK = "***"
DEPTH_MAX = 6
ITEMS_MAX = 64
TEXT_CHARS_MAX = 16_384
#: Keys whose redaction is remembered, and how long they may be for that.
KEYS_MAX = 256
KEY_CHARS_MAX = 64

_SECRET_WORDS = (
    r"token|secret|passw(?:or)?d|pwd|passphrase|authorization|cookie|credential|dsn|api[_-]?key|private[_-]?key"
)
_SECRET_KEY = re.compile(_SECRET_WORDS, re.IGNORECASE)

#: JWS and JWE (RFC 7515, 7516): the base64url of `{"`, then dotted parts.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*")
_AUTHORIZATION = re.compile(r"\b(bearer|basic|digest)(\s+|%20)[^\s\"',;]+", re.IGNORECASE)
#: RFC 3986 userinfo, up to the last @ of the word: passwords hold unescaped / and @ more often than paths do.
_USERINFO = re.compile(r"://(?:[^\s/?#@]{0,256}@|[^\s/?#@:]{0,128}:\S{0,512}@)")
#: `key=value`, `key: value`, `"key": "value"` (also escaped once more), as in queries, JSON, reprs and DSNs.
_ASSIGNMENT = re.compile(
    rf"(?P<key>(?:{_SECRET_WORDS})[\w.\[\]-]{{0,32}}(?:\\*[\"'])?)"
    r"(?P<is>\s{0,4}(?:=|:|%3d|%3a)\s{0,4})"
    r"(?:(?:bearer|basic|digest)\s+)?"
    r"(?:[bru]{0,2}(?P<quote>\\*[\"'])(?:(?!(?P=quote))\\+.|(?!(?P=quote))[^\\\n])*(?P=quote)?|[^\s&;,)}\]\"']+)",
    re.IGNORECASE,
)
#: What every match of those above has in it: most texts of a log have none of it.
_SUSPICIOUS = re.compile(r"[:=%\s]|eyJ")


def redacted_text(text: str) -> str:
    """The text with every secret it shows replaced by `***`, cut at `TEXT_CHARS_MAX` characters."""
    if _SUSPICIOUS.search(text):
        text = _USERINFO.sub(f"://{MASK}@", text)
        text = _ASSIGNMENT.sub(rf"\g<key>\g<is>{MASK}", text)
        text = _AUTHORIZATION.sub(rf"\1\2{MASK}", text)
        text = _JWT.sub(MASK, text)
    # Cut last: half a secret no longer looks like one.
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]}... ({len(text)} characters)"


def masked(secret: str) -> str:
    """A secret as it may be shown: a URL without user and password, anything else as `***`; empty stays empty."""
    scheme, is_url, rest = secret.partition("://")
    if not is_url:
        return MASK if secret else ""
    # To the last @: a password may itself hold an unescaped / or @, which a URL parser takes for the host's end.
    _, has_userinfo, place = rest.rpartition("@")
    return redacted_text(f"{scheme}://{MASK}@{place}" if has_userinfo else secret)


def redacted(value: object, key: str = "", depth: int = 0) -> object:
    """
    A copy of `value` that is plain JSON (RFC 8259) and shows no secret.

    Anything that is not JSON appears as its redacted `repr`; nesting past `DEPTH_MAX` and items past
    `ITEMS_MAX` are left out, visibly.
    """
    if value is None or isinstance(value, bool):
        return value
    if key and _shown_key(key)[1]:
        return MASK
    match value:
        case str():
            return redacted_text(value)
        case int():
            return value
        case float():
            return value if math.isfinite(value) else repr(value)
        case Mapping() | list() | tuple() | set() | frozenset() if depth >= DEPTH_MAX:
            return "..."
        case Mapping():
            return _redacted_mapping(value, depth)
        case list() | tuple() | set() | frozenset():
            items = [redacted(item, "", depth + 1) for item, _ in zip(value, range(ITEMS_MAX), strict=False)]
            return items + ["..."] * (len(value) > ITEMS_MAX)
        case _:
            return redacted_text(_repr(value))


def _redacted_mapping(mapping: Mapping[object, object], depth: int) -> dict[str, object]:
    shown: dict[str, object] = {}
    for (key, value), _ in zip(mapping.items(), range(ITEMS_MAX), strict=False):
        name = key if isinstance(key, str) else _repr(key)
        shown[_shown_key(name)[0]] = redacted(value, name, depth + 1)
    if len(mapping) > ITEMS_MAX:
        shown["..."] = len(mapping) - ITEMS_MAX
    return shown


def _shown_key(key: str) -> tuple[str, bool]:
    """A key as it is shown, and whether it names a secret. Nearly all are our own, the same few in every line."""
    return _remembered_key(key) if len(key) <= KEY_CHARS_MAX else _judged_key(key)


def _judged_key(key: str) -> tuple[str, bool]:
    return redacted_text(key), bool(_SECRET_KEY.search(key))


_remembered_key = lru_cache(KEYS_MAX)(_judged_key)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # a broken __repr__ must not cost the event that mentions it
        return f"<{type(value).__name__}, repr raised {type(error).__name__}>"
