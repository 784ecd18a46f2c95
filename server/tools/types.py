"""
Everything that is generated from `contracts/`: JSON Schemas, the AsyncAPI document, TypeScript.

    contracts/*.py -> contracts/schema/*.json
                   -> web-client-types/src/generated.ts

`generate` and `generate_typescript` return files and write none; `regenerate` writes what they return,
and a test compares it with what is there. The TypeScript half runs Node.js, in the folder of the workspace.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts import PROTOCOL_VERSION, events, http, intents, limits, states
from contracts.codes import CloseCode
from contracts.version import Schema, client_messages, schema_hash, schemas, server_messages
from server.tools.asyncapi import asyncapi

#: The root of a checkout: what is generated is committed, so it is made where the source is.
ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMA_FOLDER: Final = "contracts/schema"
TYPESCRIPT: Final = "web-client-types/src/generated.ts"
_COMPILE: Final = "web-client-types/schema-to-typescript.mjs"
_COMPILE_S: Final = 120


class NodeFailed(Exception):
    """The TypeScript could not be made; the text is what Node.js said, or that it is missing."""


def generate() -> dict[str, bytes]:
    """The schemas and the AsyncAPI document, by their path from the root of the checkout."""
    documents = schemas() | {"asyncapi": asyncapi()}
    return {f"{SCHEMA_FOLDER}/{name}.json": _pretty(document) for name, document in documents.items()}


def generate_typescript(root: Path = ROOT) -> dict[str, bytes]:
    """The types for clients, by their path. Takes some seconds; raises NodeFailed."""
    command = [str(root / "scripts/with-node"), "node", str(root / _COMPILE)]
    try:
        compiled = subprocess.run(
            command, input=_pretty(_everything()), capture_output=True, timeout=_COMPILE_S, cwd=root
        )
    except OSError as error:
        raise NodeFailed(f"node: {error.strerror}") from error
    if compiled.returncode != 0:
        raise NodeFailed(compiled.stderr.decode(errors="replace").strip())
    return {TYPESCRIPT: _HEADER + compiled.stdout + _constants().encode()}


def regenerate(root: Path = ROOT) -> list[str]:
    """Bring a checkout up to date with its contracts; the paths that changed. Raises NodeFailed."""
    return write(root, generate() | generate_typescript(root))


def write(root: Path, files: dict[str, bytes]) -> list[str]:
    """Write those of `files` that differ and remove the schemas that are not among them; the paths that changed."""
    changed = [path for path, content in files.items() if not _holds(root / path, content)]
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(files[path])
    held = [f"{SCHEMA_FOLDER}/{path.name}" for path in (root / SCHEMA_FOLDER).glob("*.json")]
    gone = sorted(set(held) - files.keys())
    for path in gone:
        (root / path).unlink()
    return changed + gone


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _pretty(document: Schema) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


_HEADER: Final = b"// Generated from contracts/ by `holdfast types`. Do not edit.\n\n"


def _everything() -> Schema:
    """One schema of all shapes, and of the tables by which a client finds a message's shape from its type."""
    shapes = [*intents.FROM_CLIENT, *events.FROM_SERVER, *http.BODIES, *states.STATES.values()]
    definitions = msgspec.json.schema_components(shapes, ref_template="#/definitions/{name}")[1]
    definitions["AckEvent"] = _union(events.AckEvent)
    definitions["StateEvent"] = _union(events.StateEvent)
    unions = {"event.ack": "AckEvent", "event.state_delta": "StateEvent"}
    server = {name: unions.get(name) or shape.__name__ for name, shape in server_messages().items()}
    client = {name: shape.__name__ for name, shape in client_messages().items()}
    rooms = {room: state.__name__ for room, state in states.STATES.items()}
    definitions["ServerMessages"] = _table("What the server sends, by the message's type.", server)
    definitions["ClientMessages"] = _table("What a client sends, by the message's type.", client)
    return _table("Each room's state, by the room's name.", rooms) | {"title": "RoomStates", "definitions": definitions}


def _union(shape: Any) -> Schema:
    return {"oneOf": [{"$ref": f"#/definitions/{form.__name__}"} for form in shape.__args__]}


def _table(description: str, names: dict[str, str]) -> Schema:
    properties = {key: {"$ref": f"#/definitions/{name}"} for key, name in names.items()}
    return {"type": "object", "description": description, "properties": properties, "required": list(names)}


def _constants() -> str:
    constants = {
        "PROTOCOL_VERSION": PROTOCOL_VERSION,
        "SCHEMA_HASH": schema_hash(),
        "TILE_NAMES": states.TILE_NAMES,
        "HP_MAX": states.HP_MAX,
        "NAME_CHARS_MAX": limits.NAME_CHARS_MAX,
        "CHAT_CHARS_MAX": limits.CHAT_CHARS_MAX,
        "CLOSE_CODES": {code.name: code.value for code in CloseCode},
    }
    lines = [f"export const {name} = {json.dumps(value, indent=2)} as const;\n" for name, value in constants.items()]
    return "\n" + "\n".join(lines)
