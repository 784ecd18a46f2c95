"""A revoked access token is refused until it would be anyway."""

import time

import pytest

from server.presence import Revocations, Store
from tests.presence.valkey import Valkey

LATER_S = int(time.time()) + 3600


async def test_a_revoked_token_is_known_to_all_nodes_and_others_are_not(store: Store, valkey: Valkey) -> None:
    await Revocations(store).revoke("jti-1", LATER_S)
    elsewhere = Store(valkey.url)
    assert await Revocations(elsewhere).is_revoked("jti-1", "player-1", 0)
    assert not await Revocations(elsewhere).is_revoked("jti-2", "player-1", 0)
    await elsewhere.aclose()


async def test_a_revocation_is_forgotten_at_the_token_s_own_end(store: Store, valkey: Valkey) -> None:
    await Revocations(store).revoke("jti-1", LATER_S)
    await Revocations(store).revoke_player("player-1", 1000, LATER_S)
    for key in ("holdfast:revoked:jti-1", "holdfast:revoked-player:player-1"):
        assert valkey.run("EXPIRETIME", key) == LATER_S


async def test_a_token_that_has_ended_needs_no_revocation(store: Store) -> None:
    await Revocations(store).revoke("jti-1", 1)
    assert not await Revocations(store).is_revoked("jti-1", "player-1", 0)


@pytest.mark.parametrize(
    ("player_id", "issued_at_s", "is_revoked"),
    [("player-1", 0, True), ("player-1", 1000, True), ("player-1", 1001, False), ("player-2", 1000, False)],
)
async def test_all_tokens_of_a_player_issued_by_then_are_revoked_at_once(
    store: Store, player_id: str, issued_at_s: int, is_revoked: bool
) -> None:
    await Revocations(store).revoke_player("player-1", 1000, LATER_S)
    assert await Revocations(store).is_revoked("jti-1", player_id, issued_at_s) == is_revoked
