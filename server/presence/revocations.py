"""
Revocations: access tokens that count no more although they have not expired.

    holdfast:revoked:<jti>             there until the token's own end, when it would be refused anyway
    holdfast:revoked-player:<player>   Unix seconds: the player's tokens that were issued by then are refused
"""

from server.presence.store import PREFIX, Store


class Revocations:
    """The access tokens revoked, on all nodes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def revoke(self, jti: str, until_s: int) -> None:
        """Refuse the token until `until_s`, its `exp` (Unix seconds). Idempotent."""
        await self._store.write(("SET", _token(jti), 1, "EXAT", until_s))

    async def revoke_player(self, player_id: str, issued_by_s: int, until_s: int) -> None:
        """Refuse all tokens of the player that were issued by then, until they have all expired. Idempotent."""
        await self._store.write(("SET", _player(player_id), issued_by_s, "EXAT", until_s))

    async def is_revoked(self, jti: str, player_id: str, issued_at_s: int) -> bool:
        """Whether the token counts no more; one without a time of issue gives 0."""
        revoked, issued_by_s = await self._store.read(("EXISTS", _token(jti)), ("GET", _player(player_id)))
        return bool(revoked) or (issued_by_s is not None and issued_at_s <= int(issued_by_s))


def _token(jti: str) -> str:
    return f"{PREFIX}revoked:{jti}"


def _player(player_id: str) -> str:
    return f"{PREFIX}revoked-player:{player_id}"
