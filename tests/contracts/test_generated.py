"""What is generated from the contracts is what is committed, and is valid by the rules of its kind."""

import json
import os
import re
import subprocess

import pytest
from jsonschema import Draft202012Validator

from contracts import PROTOCOL_VERSION, intents
from contracts.message import Message
from contracts.version import schema_hash, schemas
from server.tools import types
from tests.contracts.samples import FROM_CLIENT, FROM_SERVER, ROOT, as_json

SAMPLES = FROM_SERVER | FROM_CLIENT

needs_node = pytest.mark.skipif(
    not (ROOT / "node_modules").exists() and not os.environ.get("CI"), reason="no node_modules"
)


def test_the_schema_folder_holds_what_the_contracts_generate() -> None:
    """`holdfast types` writes it."""
    folder = ROOT / types.SCHEMA_FOLDER
    held = {f"{types.SCHEMA_FOLDER}/{path.name}": path.read_bytes() for path in folder.iterdir()}
    assert held == types.generate()


@needs_node
def test_the_typescript_is_what_the_contracts_generate() -> None:
    for path, content in types.generate_typescript().items():
        assert (ROOT / path).read_bytes() == content


@pytest.mark.parametrize("name", schemas())
def test_a_schema_is_valid_and_its_id_is_its_file(name: str) -> None:
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"{name}.json"


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_message_satisfies_the_schema_of_its_type(sample: Message) -> None:
    Draft202012Validator(schemas()[sample.TYPE]).validate(as_json(sample))


def test_a_message_of_the_wrong_form_does_not() -> None:
    validator = Draft202012Validator(schemas()[intents.Move.TYPE])
    assert not validator.is_valid({"seq": 0, "dx": 1, "dy": 0})
    assert not validator.is_valid({"seq": 1, "dx": 2, "dy": 0})
    assert not validator.is_valid({"dx": 1, "dy": 0})


def test_names_on_the_wire_are_camel_case() -> None:
    names = re.findall(r'"([^"]+)":', json.dumps([schema.get("properties") for schema in schemas().values()]))
    assert [name for name in names if "_" in name] == []


def test_the_asyncapi_document_says_which_contract_it_describes() -> None:
    described = json.loads(types.generate()[f"{types.SCHEMA_FOLDER}/asyncapi.json"])["info"]
    assert (described["x-protocolVersion"], described["x-schemaHash"]) == (PROTOCOL_VERSION, schema_hash())


@needs_node
def test_the_asyncapi_document_has_no_errors_by_its_own_parser() -> None:
    command = [str(ROOT / "scripts/with-node"), "node", str(ROOT / "tests/sdk/asyncapi.mjs")]
    parsed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "tests/sdk")
    assert (parsed.returncode, parsed.stderr) == (0, "")


def test_a_regenerated_checkout_has_no_schema_of_what_is_gone(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("checkout")
    gone = root / types.SCHEMA_FOLDER / "intent.gone.json"
    gone.parent.mkdir(parents=True)
    gone.write_text("{}")
    assert f"{types.SCHEMA_FOLDER}/intent.gone.json" in types.write(root, types.generate())
    assert not gone.exists()
    assert types.write(root, types.generate()) == []
