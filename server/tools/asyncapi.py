"""The AsyncAPI 3 document of the WebSocket: one channel, each message of the contract, and who sends it."""

from typing import Any

import msgspec

from contracts import PROTOCOL_VERSION, events, intents
from contracts.version import Schema, client_messages, schema_hash, server_messages

_DESCRIPTION = """\
The wire is Colyseus': each WebSocket message is a binary frame whose first byte says what it is. Messages here travel
in ROOM_DATA frames (13), the type's name first, then the payload in MessagePack. What clients send may use msgpackr's
records. A client reaches the channel through matchmaking over HTTP, whose answer names the parameters."""


def asyncapi() -> Schema:
    """The document, from the server's view: it receives what clients send, and sends the rest."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Holdfast",
            "version": PROTOCOL_VERSION,
            "description": _DESCRIPTION,
            "x-protocolVersion": PROTOCOL_VERSION,
            "x-schemaHash": schema_hash(),
        },
        "defaultContentType": "application/msgpack",
        "servers": {"local": {"host": "127.0.0.1:2567", "protocol": "ws", "description": "What `make serve` starts."}},
        "channels": {"room": _channel()},
        "operations": {
            "receive": _operation("receive", "What a client may ask for and say.", list(client_messages())),
            "send": _operation(
                "send", "Outcomes, state and events; in the order of their roomSeq.", list(server_messages())
            ),
        },
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel() -> Schema:
    return {
        "address": "/{processId}/{roomId}",
        "description": "One session's connection to its room.",
        "servers": [{"$ref": "#/servers/local"}],
        "parameters": {
            "processId": {"description": "The node, as the seat names it."},
            "roomId": {"description": "The room, as the seat names it."},
        },
        "bindings": {
            "ws": {
                "query": {
                    "type": "object",
                    "properties": {
                        "sessionId": {"type": "string", "description": "The seat, redeemed once."},
                        "reconnectionToken": {"type": "string", "description": "Comes back to a held seat."},
                    },
                    "required": ["sessionId"],
                }
            }
        },
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in client_messages() | server_messages()},
    }


def _operation(action: str, summary: str, messages: list[str]) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/room"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/room/messages/{name}"} for name in messages],
    }


def _messages() -> Schema:
    shapes = client_messages() | server_messages()
    return {name: {"name": name, "payload": _payload(shape)} for name, shape in shapes.items()}


def _payload(shape: Any) -> Schema:
    forms = getattr(shape, "__args__", (shape,))
    refs = [{"$ref": f"#/components/schemas/{form.__name__}"} for form in forms]
    return refs[0] if len(refs) == 1 else {"oneOf": refs}


def _schemas() -> Schema:
    shapes = [*intents.FROM_CLIENT, *events.FROM_SERVER]
    return msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")[1]
