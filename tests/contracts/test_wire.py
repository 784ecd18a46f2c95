"""The bytes of every message, both ways, and merge patches by the vectors that the TypeScript half shares."""

import json
import os
from typing import Any

import msgspec
import pytest

from contracts import events, intents
from server.core.colyseus import records
from server.core.colyseus.pack import pack
from server.core.state.merge import apply
from tests.contracts.samples import FROM_CLIENT, FROM_SERVER, GOLDEN, ROOT, as_json, golden

BYTES = json.loads(GOLDEN.read_text(encoding="utf-8"))
VECTORS = json.loads(GOLDEN.with_name("merge_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FROM_SERVER)
def test_what_the_server_sends_has_the_bytes_it_always_had(name: str) -> None:
    assert pack(FROM_SERVER[name]).hex() == BYTES["fromServer"][name]["hex"]


@pytest.mark.parametrize("name", FROM_CLIENT)
def test_what_sdks_send_is_read_as_the_message_meant(name: str) -> None:
    payload = records.unpack(bytes.fromhex(BYTES["fromClient"][name]["hex"]))
    # The SDKs write large integers as floats.
    assert msgspec.convert(payload, type(FROM_CLIENT[name]), strict=False) == FROM_CLIENT[name]


def test_every_message_has_a_sample() -> None:
    assert {type(sample) for sample in FROM_SERVER.values()} == set(events.FROM_SERVER)
    assert {type(sample) for sample in FROM_CLIENT.values()} == set(intents.FROM_CLIENT)


def test_the_golden_file_holds_these_samples_and_no_others() -> None:
    for direction, samples in (("fromServer", FROM_SERVER), ("fromClient", FROM_CLIENT)):
        held = {name: (entry["type"], entry["message"]) for name, entry in BYTES[direction].items()}
        assert held == {name: (sample.TYPE, as_json(sample)) for name, sample in samples.items()}


def test_the_packer_of_the_sdks_still_writes_the_golden_bytes() -> None:
    if not (ROOT / "node_modules/msgpackr").exists() and not os.environ.get("CI"):
        pytest.skip("no node_modules")
    assert golden() == BYTES


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["about"])
def test_merge_patches_apply_as_the_shared_vectors_say(vector: dict[str, Any]) -> None:
    assert apply(vector["target"], vector["patch"]) == vector["result"]
