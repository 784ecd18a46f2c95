"""
Secrets: what all nodes must share and nobody else may know.
"""

import secrets

from server.storage.database import Database

_JWT_SECRET = "jwt_secret"
_JWT_SECRET_BYTES = 32


async def jwt_secret(database: Database) -> bytes:
    """The key of HS256 access tokens, made at the first call of all nodes' calls. Raises Unavailable, OutcomeUnknown
    (repeat it)."""
    rows = await database.read("secret_get", _JWT_SECRET)
    if not rows:
        await database.write_unfenced("secret_create", _JWT_SECRET, secrets.token_bytes(_JWT_SECRET_BYTES))
        rows = await database.read("secret_get", _JWT_SECRET)
    return bytes(rows[0]["value"])
