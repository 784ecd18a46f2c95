"""
Access: tokens signed as the server would sign them, for development and for operators.
"""

from collections.abc import Callable

from server.core.membership import Player
from server.edge.auth import Authority, BadToken
from server.settings import PREFIX, BadSetting, Problem, Settings
from server.storage.secrets import jwt_secret
from server.tools.databases import open_to_read


class Unsignable(Exception):
    """No server would take the token; the text says why."""


async def sign(settings: Settings, player: Player, say: Callable[[str], None]) -> str:
    """An access token for the player that lives `access_token_s`; the database is asked only for want of a secret.

    Raises Unsignable, BadSetting (the keys are an issuer's, not ours), and what `open_to_read` does."""
    if settings.jwt_jwks_file:
        why = "is set, so that access tokens are signed by their issuer alone"
        raise BadSetting([Problem(f"{PREFIX}JWT_JWKS_FILE", why, "")])
    secret = settings.jwt_secret.encode() or await _kept_secret(settings, say)
    authority = Authority(secret, settings.jwt_audience, settings.jwt_issuer)
    token = authority.issue(player, settings.access_token_s)
    try:
        authority.read(token)
    except BadToken as problem:
        raise Unsignable(str(problem)) from problem
    return token


async def _kept_secret(settings: Settings, say: Callable[[str], None]) -> bytes:
    async with open_to_read(settings, say) as (database, _):
        return await jwt_secret(database)
