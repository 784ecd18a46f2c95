"""Identities: URL-safe, without ':' (the SDK splits tokens at it) and never in need of escaping."""

import hashlib
from typing import Protocol

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
_ID_CHARS_MAX = 64


class Chance(Protocol):
    """A `random.Random`; for tokens one that nobody can foresee, such as `random.SystemRandom`."""

    def choices(self, population: str, *, k: int) -> list[str]: ...


def new_id(chance: Chance, characters: int = 12) -> str:
    """A room, session, player or node; 6 bits a character. None begins with '-', as an option of a command would."""
    while True:
        made = "".join(chance.choices(_ALPHABET, k=characters))
        if not made.startswith("-"):
            return made


def is_id(text: str) -> bool:
    """Whether `text` has the form of an identity; nothing else is worth asking a database for."""
    return 1 <= len(text) <= _ID_CHARS_MAX and all(character in _ALPHABET for character in text)


def new_token(chance: Chance) -> str:
    """A reconnection token: 144 bits."""
    return new_id(chance, 24)


def token_hash(token: str) -> bytes:
    """What is kept of a token: SHA-256, 32 bytes."""
    return hashlib.sha256(token.encode()).digest()
