"""
Gatehouse: who is asking. Access tokens are read here, at the edge, and go no further inward.
"""

import time
from collections.abc import Mapping
from random import SystemRandom
from typing import Any

from contracts import PROTOCOL_VERSION, limits
from contracts.http import GuestAnswer
from server.core.identifiers import new_id
from server.core.membership import Player
from server.core.permissions import PLAYER
from server.edge.auth import Access, Authority, BadToken
from server.presence.revocations import Revocations


class VersionRefused(Exception):
    """The client speaks another protocol version."""

    def __init__(self, received: object) -> None:
        super().__init__("this client was built for another version of the protocol; reload it")
        self.received = received if received is None or isinstance(received, str) else repr(received)[:32]


class Gatehouse:
    def __init__(
        self,
        authority: Authority,
        revocations: Revocations,
        takes_guests: bool,
        token_lives_s: int,
        random: SystemRandom,
    ) -> None:
        self.takes_guests = takes_guests
        self._authority = authority
        self._revocations = revocations
        self._token_lives_s = token_lives_s
        self._random = random

    def new_guest(self, name: str | None = None) -> Player:
        """A player nobody has been before."""
        player_id = new_id(self._random, 16)
        return Player(player_id, name or f"Guest {player_id[:4]}", PLAYER)

    def sign_in(self, guest: Player) -> GuestAnswer:
        token = self._authority.issue(guest, self._token_lives_s)
        return GuestAnswer(access_token=token, expires_in=self._token_lives_s, player_id=guest.player_id)

    @property
    def can_sign(self) -> bool:
        return self.takes_guests and self._authority.can_sign

    async def access(self, token: str) -> Access:
        """What a token says; raises BadToken also for one that was revoked, or a Fault when that can't be known."""
        access = self._authority.read(token)
        player_id = access.player.player_id
        if await self._revocations.is_revoked(access.jti, player_id, access.issued_at_s):
            raise BadToken("the access token was revoked")
        return access

    async def applicant(self, bearer: str | None, options: Mapping[str, Any]) -> Player:
        """The player behind a matchmaking call: of its token, or a new guest where those are taken."""
        token = options.get("accessToken", bearer)
        if token is None:
            if self.takes_guests:
                return self.new_guest()
            raise BadToken("an access token is needed")
        if not isinstance(token, str):
            raise BadToken("accessToken: expected a string")
        return (await self.access(token)).player

    async def revoke(self, access: Access) -> None:
        """The token counts no more, until its own end."""
        await self._revocations.revoke(access.jti, access.expires_at_s)

    async def revoke_player(self, player_id: str) -> None:
        """No token of the player's that was issued by now counts any more."""
        now_s = int(time.time())
        await self._revocations.revoke_player(player_id, now_s, now_s + limits.ACCESS_TOKEN_S_MAX)


def bearer_of(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750)."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def check_version(received: object, *, may_be_missing: bool) -> None:
    """Raises VersionRefused unless the client's version is ours."""
    if received is None and may_be_missing:
        return
    if received != PROTOCOL_VERSION:
        raise VersionRefused(received)
