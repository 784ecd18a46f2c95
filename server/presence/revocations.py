"""
Revocations: access tokens that count no more although they have not expired.

    holdfast:revoked:<jti>   there until the token's own end, when it would be refused anyway
"""

from server.presence.store import PREFIX, Store


class Revocations:
    """The access tokens revoked, on all nodes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def revoke(self, jti: str, until_s: int) -> None:
        """Refuse the token until `until_s`, its `exp` (Unix seconds). Idempotent."""
        await self._store.write(("SET", _key(jti), 1, "EXAT", until_s))

    async def is_revoked(self, jti: str) -> bool:
        [revoked] = await self._store.read(("EXISTS", _key(jti)))
        return bool(revoked)


def _key(jti: str) -> str:
    return f"{PREFIX}revoked:{jti}"
