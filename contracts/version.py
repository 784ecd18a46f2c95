"""
What this contract is, for those who compare: the JSON Schema of each message, body and state, and the hash of all.

A schema's name is the message's type on the wire (`event.ack`: its forms are told apart by `kind`),
`http.` and the body, or `state.` and the room. Each stands alone: what it refers to is in its `$defs`.
"""

import hashlib
from typing import Any

import msgspec

from contracts import events, http, intents, states

Schema = dict[str, Any]


def client_messages() -> dict[str, Any]:
    """What a client may send: the type of the payload by the message's type on the wire."""
    return {message.TYPE: message for message in intents.FROM_CLIENT}


def server_messages() -> dict[str, Any]:
    """What the server may send; a union where several forms share a name."""
    alone: dict[str, Any] = {message.TYPE: message for message in events.FROM_SERVER}
    return alone | {"event.ack": events.AckEvent, "event.state_delta": events.StateEvent}


def schemas() -> dict[str, Schema]:
    """Every schema (JSON Schema 2020-12) by its name. Takes some milliseconds: they are made anew at each call."""
    shapes = client_messages() | server_messages()
    shapes |= {f"http.{body.__name__}": body for body in http.BODIES}
    shapes |= {f"state.{room}": state for room, state in states.STATES.items()}
    return {name: _schema(name, shapes[name]) for name in sorted(shapes)}


def schema_hash() -> str:
    """SHA-256, in hex, of all schemas as one JSON object: keys sorted, no spaces, UTF-8. Computed anew at each call."""
    return hashlib.sha256(msgspec.json.encode(schemas(), order="deterministic")).hexdigest()


def _schema(name: str, shape: Any) -> Schema:
    (root,), components = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    # A union's `discriminator` is OpenAPI's and left out: `kind` has one value in each form, which says the same.
    root = components.pop(shape.__name__) if "$ref" in root else {"title": name, "oneOf": root["anyOf"]}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{name}.json", **root}
    return schema | {"$defs": components} if components else schema
