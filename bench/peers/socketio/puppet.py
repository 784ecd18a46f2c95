"""python-socketio's client on strings, as `colyseus/puppet.mjs` is Colyseus' SDK. States come by messages alone."""

import asyncio
import secrets
import sys
from functools import partial
from typing import Any

import orjson
import socketio

TYPES = ("event.ack", "event.reject", "event.chat", "event.state_delta")
players: list[socketio.AsyncClient] = []


def say(what: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.flush()


def hear(player: int, message_type: str, body: Any) -> None:
    say({"player": player, "type": message_type, "body": body})


async def obey(command: dict[str, Any]) -> dict[str, Any]:
    if command["do"] == "send":
        await players[command["player"]].emit(command["type"], command["body"])
        return {}
    if command["do"] == "state":
        return {"state": None}
    client = socketio.AsyncClient(reconnection=False)
    for message_type in TYPES:
        client.on(message_type, partial(hear, len(players), message_type))
    players.append(client)
    room_id = command["roomId"] or secrets.token_hex(6)
    await client.connect(
        command["url"], auth={"roomId": room_id, **command["options"]}, transports=["websocket"], wait=True
    )
    return {"player": len(players) - 1, "sessionId": client.get_sid(), "roomId": room_id}


async def main() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        command = orjson.loads(line)
        try:
            found = await obey(command)
        except socketio.exceptions.SocketIOError as error:
            found = {"error": str(error)}
        say({"id": command["id"], **found})


asyncio.run(main())
