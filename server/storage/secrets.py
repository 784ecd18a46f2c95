"""
Secrets: what all nodes must share and nobody else may know.
"""

import secrets

from server.storage.database import Database

_SECRET_BYTES = 32


async def jwt_secret(database: Database) -> bytes:
    """The key of HS256 access tokens. Raises Unavailable, OutcomeUnknown (repeat it)."""
    return await _shared(database, "jwt_secret")


async def relay_secret(database: Database) -> bytes:
    """By which nodes know that a node relays a socket to them. Raises as `jwt_secret` does."""
    return await _shared(database, "relay_secret")


async def _shared(database: Database, name: str) -> bytes:
    """Made at the first call of all nodes' calls."""
    rows = await database.read("secret_get", name)
    if not rows:
        await database.write_unfenced("secret_create", name, secrets.token_bytes(_SECRET_BYTES))
        rows = await database.read("secret_get", name)
    return bytes(rows[0]["value"])
