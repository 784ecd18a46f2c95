"""
Access tokens: JWTs that say who a player is, in what role, and until when.

Accepted are HS256 by the node's secret, or RS256 and EdDSA by the keys of a JWKS file; which one
is the server's choice, never the token's (no `alg: none`, no HS256 with a public key). `sub`,
`exp` and `aud` are required. A revoked token is known by its `jti`, until its `exp`.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

import jwt
import msgspec

from contracts import limits
from contracts.http import checked_name
from server.core.identifiers import new_id
from server.core.membership import Player
from server.core.permissions import PLAYER

_CHANCE = SystemRandom()
_REQUIRED = ["sub", "exp", "aud"]
_PUBLIC_ALGORITHMS = ["RS256", "EdDSA"]
#: NIST SP 800-131A.
_RSA_BITS_MIN = 2048
#: A subject becomes a player id: in URLs, keys and columns.
_SUBJECT_CHARS_MAX = 64


class BadToken(Exception):
    """The token says nothing that can be trusted; the text is safe to show."""


class Access(msgspec.Struct, frozen=True):
    """What a good token says."""

    player: Player
    #: Its own name and end (seconds since the epoch), for revocation.
    jti: str
    issued_at_s: int
    expires_at_s: int


class Authority:
    """Signs and reads access tokens."""

    def __init__(self, secret: bytes, audience: str, issuer: str = "", keys: jwt.PyJWKSet | None = None) -> None:
        """`secret` has at least 32 bytes. With `keys` (RFC 7517) tokens are read by its keys, and none are signed."""
        assert keys is not None or len(secret) >= 32
        self._secret = secret
        self._audience = audience
        self._issuer = issuer
        self._keys = keys

    @property
    def can_sign(self) -> bool:
        return self._keys is None

    def issue(self, player: Player, lives_s: int, now_s: int | None = None) -> str:
        """A signed token for the player."""
        assert self.can_sign, "tokens of a JWKS are made by their issuer"
        now = int(time.time()) if now_s is None else now_s
        claims: dict[str, Any] = {
            "sub": player.player_id,
            "name": player.name,
            "role": player.role,
            "aud": self._audience,
            "iat": now,
            "exp": now + lives_s,
            "jti": new_id(_CHANCE, 16),
        }
        if self._issuer:
            claims["iss"] = self._issuer
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def read(self, token: str) -> Access:
        """What the token says; raises BadToken for anything forged, expired, early, foreign or malformed."""
        if len(token) > limits.ACCESS_TOKEN_BYTES_MAX:
            raise BadToken("the access token is too long")
        try:
            key, algorithms = self._key_of(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=self._audience,
                issuer=self._issuer or None,
                options={"require": _REQUIRED, "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError:
            raise BadToken("the access token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise BadToken("the access token is not valid") from None
        if int(claims["exp"]) > time.time() + limits.ACCESS_TOKEN_S_MAX:
            raise BadToken("the access token lives for too long")
        return _access(claims, token)

    def _key_of(self, token: str) -> tuple[Any, Sequence[str]]:
        if self._keys is None:
            return self._secret, ["HS256"]
        key_id = jwt.get_unverified_header(token).get("kid")
        for key in self._keys.keys:
            if (key_id is None or key.key_id == key_id) and key.algorithm_name in _PUBLIC_ALGORITHMS:
                return key, [key.algorithm_name]
        raise BadToken("the access token names no known key")


def load_jwks(path: str) -> jwt.PyJWKSet:
    """The keys of a JWKS file (RFC 7517). Raises OSError, or ValueError if no key in it is usable or one is weak."""
    try:
        keys = jwt.PyJWKSet.from_json(Path(path).read_text())
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as problem:
        raise ValueError(f"expected a JSON object with a list of keys ({type(problem).__name__})") from None
    for key in keys.keys:
        if key.algorithm_name == "RS256" and key.key.key_size < _RSA_BITS_MIN:
            raise ValueError(f"the key {key.key_id!r} has {key.key.key_size} bits; expected {_RSA_BITS_MIN} or more")
    return keys


def _access(claims: Mapping[str, Any], token: str) -> Access:
    subject, name, role = claims["sub"], claims.get("name"), claims.get("role", PLAYER)
    if not isinstance(subject, str) or not 1 <= len(subject) <= _SUBJECT_CHARS_MAX or not subject.isprintable():
        raise BadToken("the access token's subject is not usable")
    try:
        name = checked_name(name if isinstance(name, str) else subject[: limits.NAME_CHARS_MAX])
    except ValueError as problem:
        raise BadToken(f"the access token's {problem}") from None
    if not isinstance(role, str) or not 1 <= len(role) <= limits.NAME_CHARS_MAX or not role.isprintable():
        raise BadToken("the access token's role is not usable")
    jti = claims.get("jti")
    # A token without a name of its own is known by its signature.
    return Access(
        player=Player(subject, name, role),
        jti=str(jti)[:_SUBJECT_CHARS_MAX] if jti else token.rsplit(".", 1)[-1][:_SUBJECT_CHARS_MAX],
        # One without a time of issue is as old as can be.
        issued_at_s=int(claims.get("iat", 0)),
        expires_at_s=int(claims["exp"]),
    )
