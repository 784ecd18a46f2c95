"""Identities: URL-safe, without ':' (the SDK splits tokens at it) and never in need of escaping."""

import hashlib
from typing import Protocol

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"


class Chance(Protocol):
    """A `random.Random`; for tokens one that nobody can foresee, such as `random.SystemRandom`."""

    def choices(self, population: str, *, k: int) -> list[str]: ...


def new_id(chance: Chance, characters: int = 12) -> str:
    """A room, session, player or node; 6 bits a character."""
    return "".join(chance.choices(_ALPHABET, k=characters))


def new_token(chance: Chance) -> str:
    """A reconnection token: 144 bits."""
    return new_id(chance, 24)


def token_hash(token: str) -> bytes:
    """What is kept of a token: SHA-256, 32 bytes."""
    return hashlib.sha256(token.encode()).digest()
