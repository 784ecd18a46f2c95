"""Identities are given to commands as they are, so none may look like an option."""

from random import Random

from server.core.identifiers import is_id, new_id


def test_no_identity_looks_like_an_option() -> None:
    chance = Random(1)
    made = [new_id(chance) for _ in range(2_000)]
    assert all(is_id(one) and len(one) == 12 and one[0] != "-" for one in made)
    assert any("-" in one for one in made), "the alphabet is whole elsewhere"
