"""The decoder of Colyseus' state reads what the official encoders write as the official clients do, and shares it."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from server.tools.bots.schema import Odd, decode, decode_reflection, empty, plain

GIVEN = json.loads((Path(__file__).parent / "colyseus-schema-vectors.json").read_text())
HANDSHAKES = ("handshake_v5", "handshake_v4", "handshake_any")
#: Bodies that no faithful encoder writes, which official clients half-apply: here they are refused.
REFUSED = {
    "switch before ADD (bad order)",
    "unknown refId patch",
    "ref ADD followed by DELETE_AND_ADD|21 (0xd5) -> ambiguity",
    "64 fields",
    "unknown field idx then next struct",
    "delete child & its nested; child refId still patched in same message",
    "REPLACE unknown map idx",
    "truncated message",
}
#: A second full state on a live decoder; a bot that comes back decodes its own anew.
LEFT_OUT = {"dup full state (resync v5)"}
VECTORS = [
    pytest.param(vector, bytes.fromhex(vector[handshake]), id=f"{vector['name']} - {handshake}")
    for vector in GIVEN["vectors"]
    for handshake in HANDSHAKES
    if handshake in vector and vector["name"] not in LEFT_OUT
]


def as_given(tree: Any) -> Any:
    """The vectors have JavaScript's BigInt as text."""
    if isinstance(tree, dict):
        return {key: f"{value}n" if str(key).startswith("big") else as_given(value) for key, value in tree.items()}
    return [as_given(item) for item in tree] if isinstance(tree, list) else tree


@pytest.mark.parametrize(("vector", "handshake"), [each for each in VECTORS if each.values[0]["name"] not in REFUSED])
def test_states_are_those_of_the_official_client(vector: dict[str, Any], handshake: bytes) -> None:
    types = decode_reflection(handshake)
    refs = empty(types)
    for message, expected in zip(vector["messages"], vector["expect"], strict=True):
        before, as_it_was = refs, plain(types, refs)
        refs = decode(types, refs, bytes.fromhex(message))
        assert expected == as_given(plain(types, refs))
        assert as_it_was == plain(types, before), "what was decoded before has changed"
    if "final_ref_ids" in vector:
        assert set(vector["final_ref_ids"]) == set(refs)


@pytest.mark.parametrize(("vector", "handshake"), [each for each in VECTORS if each.values[0]["name"] in REFUSED])
def test_a_body_that_can_not_be_followed_is_refused(vector: dict[str, Any], handshake: bytes) -> None:
    def follow() -> None:
        types = decode_reflection(handshake)
        refs = empty(types)
        for message in vector["messages"]:
            refs = decode(types, refs, bytes.fromhex(message))

    with pytest.raises(Odd):
        follow()


def test_all_refused_vectors_exist() -> None:
    assert REFUSED | LEFT_OUT <= {vector["name"] for vector in GIVEN["vectors"]}


@pytest.mark.parametrize("end", range(0, 200, 7))
def test_a_state_that_is_cut_off_is_read_or_refused_and_never_anything_else(end: int) -> None:
    vector = GIVEN["vectors"][0]
    types = decode_reflection(bytes.fromhex(vector["handshake_v5"]))
    with contextlib.suppress(Odd):
        decode(types, empty(types), bytes.fromhex(vector["messages"][0])[:end])


def test_structures_that_a_patch_does_not_touch_are_shared() -> None:
    vector = next(each for each in GIVEN["vectors"] if each["name"] == "child patch")
    types = decode_reflection(bytes.fromhex(vector["handshake_v5"]))
    first = decode(types, empty(types), bytes.fromhex(vector["messages"][0]))
    second = decode(types, first, bytes.fromhex(vector["messages"][1]))
    changed = [ref_id for ref_id in first if first[ref_id] is not second[ref_id]]
    assert 0 < len(changed) < len(first)
