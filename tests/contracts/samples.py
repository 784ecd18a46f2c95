"""
One message of each form, and its bytes on the wire as `golden.json` has held them since they were first right.

A change of the wire shows in the golden bytes, and is written there on purpose:

    python -m tests.contracts.samples
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from contracts import events, intents
from contracts.codes import RejectCode
from contracts.message import Message
from server.core.colyseus.pack import pack

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden.json")
NOW = 1_795_000_000_123.0

FROM_SERVER: dict[str, Message] = {
    "the handshake": events.HandshakeAck(
        session_id="s1Kd93_-x",
        player_id="p_ada",
        protocol_version="1",
        last_seq=7,
        room_seq=4_294_967_296,
        epoch=3,
        permissions=["room.play"],
        intent_rate=20.0,
        intent_burst=40,
        server_time=NOW,
        heartbeat_ms=20_000,
    ),
    "a whole resume": events.ResumeAck(room_seq=120, epoch=3, last_seq=7, recovered=True),
    "an applied intent": events.IntentAck(seq=8, room_seq=121, status="applied"),
    "a resent intent": events.IntentAck(seq=8, room_seq=121, status="duplicate"),
    "a reject": events.RejectEvent(seq=9, code=RejectCode.ILLEGAL, message="The door is closed.", retryable=False),
    "a gap": events.RejectEvent(seq=12, code=RejectCode.GAP, message="expected 10", retryable=True, expected_seq=10),
    "a reject of what has no number": events.RejectEvent(
        seq=None, code=RejectCode.INVALID, message="undecodable", retryable=False
    ),
    "a snapshot": events.Snapshot(
        room_seq=121,
        epoch=3,
        tick=0,
        state={"players": {"s1Kd93_-x": {"name": "Ada", "x": 4, "connected": True}}, "tiles": [[0, 1], [70, 255]]},
        server_time=NOW,
    ),
    "a delta": events.Delta(
        base_seq=121,
        room_seq=123,
        epoch=3,
        tick=0,
        patches=[{"players": {"s1Kd93_-x": None}}, {"players": {"s1Kd93_-x": {"x": 5, "y": -40}}}],
        server_time=NOW,
    ),
    "an empty delta": events.Delta(base_seq=123, room_seq=124, epoch=3, tick=0, patches=[], server_time=NOW),
    "volatile state": events.VolatileDelta(patches=[{"last": "Ada"}]),
    "a chat line": events.ChatEvent(
        room_seq=124, n=0, session_id="s1Kd93_-x", name="Ada", text="héllo, 世界 🌊", at=NOW
    ),
    "a degraded dependency": events.Degraded(dependency="postgres", status="unavailable", reason="refused", since=NOW),
    "another version": events.VersionMismatch(expected="1", received="0"),
    "the end": events.SessionEvent(status="terminating", reason="idle"),
}

FROM_CLIENT: dict[str, Message] = {
    "a step": intents.Move(seq=1, dx=-1, dy=1),
    "a late step": intents.Move(seq=5_000_000_000, dx=0, dy=1),
    "a line": intents.Chat(seq=2, text="héllo, 世界 🌊"),
    "an action": intents.Action(seq=3, action="open"),
    "an action with all there is": intents.Action(
        seq=4, action="drop", target="lantern", args={"count": 1, "at": {"x": 64, "y": [127, 128]}}
    ),
    "an amount": intents.Add(seq=5, amount=64),
    "a resume": intents.Resume(room_seq=120, epoch=3, seq=7),
    "a resume of one who knows little": intents.Resume(room_seq=0),
    "a logout": intents.Logout(),
}

#: Writes an object as the SDKs do, with msgpackr's records.
_PACK = """
import { Packr } from "msgpackr";
let lines = "";
for await (const chunk of process.stdin) lines += chunk;
for (const line of lines.trim().split("\\n")) console.log(new Packr().pack(JSON.parse(line)).toString("hex"));
"""


def as_json(message: Message) -> Any:
    return json.loads(msgspec.json.encode(message))


def golden() -> dict[str, Any]:
    """The bytes as they are made today: by the server, and by the SDKs' packer in Node.js."""
    lines = "\n".join(json.dumps(as_json(message)) for message in FROM_CLIENT.values())
    command = [str(ROOT / "scripts/with-node"), "node", "--input-type=module", "-e", _PACK]
    records = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, cwd=ROOT / "tests/sdk")
    packed = dict(zip(FROM_CLIENT, records.stdout.split(), strict=True))
    return {
        "fromServer": {name: _entry(sample, pack(sample).hex()) for name, sample in FROM_SERVER.items()},
        "fromClient": {name: _entry(sample, packed[name]) for name, sample in FROM_CLIENT.items()},
    }


def _entry(sample: Message, packed: str) -> dict[str, Any]:
    return {"type": sample.TYPE, "message": as_json(sample), "hex": packed}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
