"""Frames that no SDK sends, messages that no room knows, payloads of the wrong form."""

import math
import random
import struct
from typing import Any

import msgspec
import pytest

from contracts import limits
from server.tools.wire import pack
from tests.wire import Client, Connection, room_data

ADD = room_data("intent.add")


async def refusal(player: Connection) -> Any:
    return await player.expect("event.reject", seq=None)


async def plays_on(player: Connection) -> None:
    """Its next intent is acked, and the room is what it was."""
    before = player.state.get("total", 0)
    room_seq = await player.added(1)
    assert (await player.caught_up(room_seq))["total"] == before + 1


MALFORMED = {
    "a message without a type": b"\x0d",
    "an empty type": b"\x0d\xa0",
    "a type that is a fraction": b"\x0d\xca\x00\x00\xc0\x3f",
    "a type that is not UTF-8": b"\x0d\xa3\xff\xfe\xfd",
    "a type that is cut off": b"\x0d\xbfintent",
    "a type that is too long": room_data("x" * (limits.MESSAGE_TYPE_BYTES_MAX + 1), {"seq": 1}),
    "a request without an id": b"\x15",
    "a request whose id is negative": b"\x15\xff\xaaintent.add",
    "a message of bytes": b"\x11\xa3raw\x01\x02",
    "a payload that msgpack reserves": ADD + b"\xc1",
    "a payload that is cut off": ADD + pack({"seq": 1, "amount": 1})[:-1],
    "bytes behind the payload": ADD + pack({"seq": 1, "amount": 1}) + b"\x00",
    "a record without its keys": ADD + b"\xd4r\x40",
    "a record whose keys are no strings": ADD + b"\xd4r\x40\x92\x01\x02\x01\x02",
    "an unknown extension": ADD + b"\xd4\x05\x00",
    "text that is not UTF-8": ADD + b"\x81\xa3seq\xa2\xff\xfe",
    "a lone surrogate": ADD + b"\x81\xa3seq\xa3\xed\xa0\x80",
    "nesting that is too deep": ADD + b"\x91" * (limits.MSGPACK_DEPTH_MAX + 1) + b"\x01",
    "nesting as deep as a message holds": ADD + b"\x91" * 16_000,
    "too many values": ADD + b"\xdc\x10\x00" + b"\x01" * 4096,
    "an array that claims 2^32 values": ADD + b"\xdd\xff\xff\xff\xff",
    "a map that claims 2^32 keys": ADD + b"\xdf\xff\xff\xff\xff",
    "a string that claims 4 GiB": ADD + b"\xdb\xff\xff\xff\xff",
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_frame_is_rejected_and_the_room_is_unaffected(client: Client, frame: bytes) -> None:
    player = await client.join()
    await player.raw(frame)
    assert (await refusal(player))["code"] == "invalid"
    await plays_on(player)


IGNORED: dict[str, bytes | str] = {
    "an empty frame": b"",
    "an unknown opcode": b"\x63\x01\x02",
    "an input of SDK 0.18": b"\x13\x80\x01",
    "a second join byte with junk behind it": b"\x0a\xa9off-bytes\x01\x02\x03",
    "text": '{"type": "intent.add"}',
    "text that looks like a frame": "\x0d\xaaintent.add",
}


@pytest.mark.parametrize("frame", IGNORED.values(), ids=IGNORED.keys())
async def test_it_is_ignored(client: Client, frame: bytes | str) -> None:
    player = await client.join()
    before = list(await player.silent())
    await player.raw(frame)
    assert [heard.type for heard in (await player.silent())[len(before) :]] == ["pong"]
    await plays_on(player)


async def test_a_ping_is_answered_after_what_came_before_it(client: Client) -> None:
    player = await client.join("counter")
    before = len(await player.silent())
    await player.send("intent.add", {"seq": 5, "amount": 1})
    assert [heard.type for heard in (await player.silent())[before:]] == ["event.reject", "pong"]


@pytest.mark.parametrize("message_type", ["intent.fly", "event.ack", "intent.move", "__proto__", 7, -3, "ü", "session"])
async def test_a_message_of_another_type_is_rejected_without_a_number(client: Client, message_type: str | int) -> None:
    player = await client.join("counter")
    await player.send(message_type, {"seq": 1})
    assert (await refusal(player))["code"] == "invalid"
    await plays_on(player)


UNREADABLE = [None, "1", 0, -1, 1.5, True, math.nan, math.inf, 2**53, 1e300, [1], {"a": 1}, b"1"]


@pytest.mark.parametrize("seq", UNREADABLE, ids=repr)
async def test_an_intent_without_a_readable_number_is_rejected_without_one(client: Client, seq: object) -> None:
    player = await client.join()
    await player.send("intent.add", {"seq": seq, "amount": 1})
    assert (await refusal(player))["code"] == "invalid"
    await plays_on(player)


@pytest.mark.parametrize("number", [b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", b"\xd3\x80" + b"\x00" * 7])
async def test_a_number_of_64_bits_is_none(client: Client, number: bytes) -> None:
    player = await client.join()
    await player.raw(ADD + b"\x82\xa3seq" + number + b"\xa6amount\x01")
    await refusal(player)
    await plays_on(player)


@pytest.mark.parametrize("payload", [None, 5, "add", [1, 2], True, 1.5], ids=repr)
async def test_a_payload_that_is_no_object_has_no_number(client: Client, payload: object) -> None:
    player = await client.join()
    await player.send("intent.add", payload)
    await refusal(player)
    await plays_on(player)


WRONG = [None, "5", 1.5, math.nan, math.inf, True, 0, 101, -(2**31), 2**40, 1e300, [5], {"n": 5}, b"\x05"]


@pytest.mark.parametrize("amount", WRONG, ids=repr)
async def test_a_field_of_the_wrong_form_is_rejected_and_uses_its_number_up(client: Client, amount: object) -> None:
    player = await client.join()
    reject = await player.act("intent.add", amount=amount)
    assert (reject["seq"], reject["code"], reject["retryable"]) == (1, "invalid", False)
    assert reject["message"].startswith("amount: ")
    await plays_on(player)


@pytest.mark.parametrize(
    ("message_type", "fields"),
    [
        ("intent.move", {"dx": 0, "dy": 0}),
        ("intent.move", {"dx": 2, "dy": 0}),
        ("intent.move", {"dx": 1}),
        ("intent.move", {"dx": "1", "dy": 0}),
        ("intent.move", {"dx": math.nan, "dy": 0}),
        ("intent.chat", {}),
        ("intent.chat", {"text": ""}),
        ("intent.chat", {"text": "   "}),
        ("intent.chat", {"text": "two\nlines"}),
        ("intent.chat", {"text": "bell \x07"}),
        ("intent.chat", {"text": "x" * 501}),
        ("intent.chat", {"text": 5}),
        ("intent.action", {}),
        ("intent.action", {"action": ""}),
        ("intent.action", {"action": "x" * 33}),
        ("intent.action", {"action": "take", "target": "x" * 65}),
        ("intent.action", {"action": "take", "target": 5}),
        ("intent.action", {"action": "take", "args": [1]}),
    ],
)
async def test_the_game_takes_its_messages_as_the_contract_has_them(
    client: Client, message_type: str, fields: dict[str, Any]
) -> None:
    player = await client.join("game")
    assert (await player.act(message_type, **fields))["code"] == "invalid"
    assert (await player.act("intent.chat", text="  still here  "))["status"] == "applied"
    assert (await player.expect("event.chat"))["text"] == "still here"


async def test_integers_may_come_as_floats(client: Client) -> None:
    player = await client.join()
    await player.send("intent.add", {"seq": 1.0, "amount": 2.0})
    ack = await player.outcome(1)
    assert (await player.caught_up(ack["roomSeq"]))["total"] == 2


async def test_fields_nobody_knows_are_ignored(client: Client) -> None:
    player = await client.join()
    ack = await player.act("intent.add", amount=2, sessionId="other", roomSeq=99, extra={"deep": [1, {"er": None}]})
    assert (await player.caught_up(ack["roomSeq"]))["total"] == 2


async def test_a_message_that_is_too_big_closes_1009(client: Client) -> None:
    player = await client.join()
    await player.raw(ADD + b"\x00" * limits.MESSAGE_BYTES_MAX)
    assert await player.closed() == 1009


async def test_a_message_of_the_largest_size_is_read(client: Client) -> None:
    player = await client.join()
    frame = room_data("intent.add", {"seq": 1, "amount": 1, "padding": ""})
    padding = limits.MESSAGE_BYTES_MAX - len(frame) - 2
    await player.send("intent.add", {"seq": 1, "amount": 1, "padding": "x" * padding})
    assert (await player.outcome(1))["status"] == "applied"


async def test_ten_unreadable_messages_in_a_row_close_4506(client: Client) -> None:
    player = await client.join()
    for _ in range(limits.UNREADABLE_MAX):
        await player.raw(b"\x0d")
    assert await player.closed() == 4506
    assert player.heard[-1].type == "event.session"
    assert len(player.of("event.reject")) == limits.UNREADABLE_MAX


async def test_a_readable_one_in_between_forgives_nine(client: Client) -> None:
    player = await client.join()
    for _ in range(2):
        for _ in range(limits.UNREADABLE_MAX - 1):
            await player.raw(b"\x0d")
        await plays_on(player)
    assert player.close_code is None


async def test_a_flood_closes_4505(client: Client) -> None:
    player = await client.join()
    neighbour = await client.join_by_id(player)
    for _ in range(int(limits.FLOOD_FRAMES_PER_S * limits.FLOOD_WINDOW_S) + 1):
        await player.raw(b"\x12")
    assert await player.closed() == 4505
    assert player.of("event.session") == [{"status": "terminating", "reason": "flood"}]
    await plays_on(neighbour)


async def test_a_flood_of_bytes_closes_4505(client: Client) -> None:
    player = await client.join()
    frame = room_data("x", "y" * 16_000)
    for _ in range(int(limits.FLOOD_BYTES_PER_S * limits.FLOOD_WINDOW_S) // len(frame) + 1):
        await player.raw(b"\x63" + frame)
    assert await player.closed() == 4505


async def test_no_bytes_whatever_end_the_server_or_change_the_room(client: Client) -> None:
    """Random payloads behind the types of the room, and random frames. Each reject is one of the contract's."""
    chance = random.Random(20)
    witness = await client.join()
    for _ in range(20):
        player = await client.join_by_id(witness)
        for _ in range(15):
            junk = chance.randbytes(chance.randrange(1, 200))
            await player.raw(ADD + junk if chance.random() < 0.7 else junk)
            await player.raw(room_data("intent.add", {"seq": 10**6, "amount": 1}))
        await player.until(lambda player=player: player.close_code or len(player.of("event.reject")) >= 15, "rejects")
        assert player.close_code in (None, 4000)
        assert {reject["code"] for reject in player.of("event.reject")} <= {"invalid", "gap"}
        if player.close_code is None:
            await player.leave()
    assert witness.state["total"] == 0
    await plays_on(witness)


async def test_mutated_intents_have_an_outcome_of_the_contract(client: Client) -> None:
    """A good frame with a few bytes changed is applied, or rejected; nothing else comes back."""
    chance = random.Random(41)
    witness = await client.join()
    for _ in range(60):
        player = await client.join_by_id(witness)
        frame = bytearray(room_data("intent.add", {"seq": 1, "amount": 3, "why": ["x", {"y": 1.5}]}))
        for _ in range(chance.randrange(1, 4)):
            frame[chance.randrange(12, len(frame))] = chance.randrange(256)
        await player.raw(bytes(frame))
        answers = [heard.body for heard in await player.silent() if heard.type in ("event.ack", "event.reject")]
        assert all(answer.get("code", "invalid") in ("invalid", "gap") for answer in answers)
        assert await player.leave() == 4000
    await plays_on(witness)


async def test_a_float_where_msgpack_has_its_own_integers(client: Client) -> None:
    """2^40 as msgpack's uint64, which SDKs never write, is the same number as the float they do write."""
    player = await client.join()
    for number in (b"\xcf" + struct.pack(">Q", 2**40), b"\xcb" + struct.pack(">d", 2.0**40)):
        await player.raw(ADD + b"\x81\xa3seq" + number)
        assert await player.expect("event.reject", seq=2**40, code="gap")
    assert msgspec.msgpack.decode(number) == 2**40
