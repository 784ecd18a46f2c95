"""A revoked access token is refused until it would be anyway."""

import time

from server.presence import Revocations, Store
from tests.presence.valkey import Valkey


async def test_a_revoked_token_is_known_to_all_nodes_and_others_are_not(store: Store, valkey: Valkey) -> None:
    await Revocations(store).revoke("jti-1", int(time.time()) + 60)
    elsewhere = Store(valkey.url)
    assert await Revocations(elsewhere).is_revoked("jti-1")
    assert not await Revocations(elsewhere).is_revoked("jti-2")
    await elsewhere.aclose()


async def test_a_revocation_is_forgotten_at_the_token_s_own_end(store: Store, valkey: Valkey) -> None:
    until_s = int(time.time()) + 60
    await Revocations(store).revoke("jti-1", until_s)
    assert valkey.run("EXPIRETIME", "holdfast:revoked:jti-1") == until_s


async def test_a_token_that_has_ended_needs_no_revocation(store: Store) -> None:
    await Revocations(store).revoke("jti-1", 1)
    assert not await Revocations(store).is_revoked("jti-1")
