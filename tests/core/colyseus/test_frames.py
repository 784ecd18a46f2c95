"""Frames, against bytes that went between the official SDKs and servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.colyseus import frames
from server.core.colyseus.frames import BytesMessage, ClientFrame, Message, Request, ResponseStatus, Signal, parse
from server.core.colyseus.primitives import Malformed, encode_number, encode_string

FROM_SDKS: dict[str, ClientFrame] = {
    "0a": Signal.JOINED,
    "0aa96f66662d6279746573010203": Signal.JOINED,
    "0c": Signal.LEAVE,
    "12": Signal.PING,
    "": Signal.IGNORED,
    "10": Signal.IGNORED,
    "1380018102": Signal.IGNORED,
    "93cc968001": Signal.IGNORED,
    "ff": Signal.IGNORED,
    "0da56e6f706179": Message("nopay", b""),
    "0da178d4724091a16101": Message("x", bytes.fromhex("d4724091a16101")),
    "0da2c3a9c0": Message("é", b"\xc0"),
    "0d0505": Message(5, b"\x05"),
    "0dcd2c01a26869": Message(300, b"\xa2hi"),
    "0dfda36e6567": Message(-3, b"\xa3neg"),
    "0dce70110100a170": Message(70000, b"\xa1p"),
    "0dca0000a040": Message(5, b""),
    "0dd920" + "61" * 32 + "c2": Message("a" * 32, b"\xc2"),
    "0dd940" + "61" * 64: Message("a" * 64, b""),
    "11a26279010203": BytesMessage("by", b"\x01\x02\x03"),
    "110907": BytesMessage(9, b"\x07"),
    "1500a3726574d4724091a17101": Request(0, "ret", bytes.fromhex("d4724091a17101")),
    "15cc80a3726574": Request(128, "ret", b""),
}


@pytest.mark.parametrize(("frame", "meaning"), FROM_SDKS.items())
def test_a_clients_frame_means_what_its_sdk_meant(frame: str, meaning: ClientFrame) -> None:
    assert parse(bytes.fromhex(frame)) == meaning


@pytest.mark.parametrize(
    "frame",
    [
        "0d",
        "0da0",
        "0da5616263",
        "0da1ff",
        "0dd9",
        "0dd900",
        "0dd941" + "61" * 65,
        "0dd905616263",
        "0dc0",
        "0dcd01",
        "0dca0000c03f",
        "0dca0000c07f",
        "11",
        "15",
        "15a178",
        "15ffa178",
        "15ca0000c03fa178",
        "1500",
    ],
)
def test_a_header_that_cannot_be_read_is_malformed(frame: str) -> None:
    with pytest.raises(Malformed):
        parse(bytes.fromhex(frame))


@given(st.binary(max_size=40) | st.binary(max_size=20).map(lambda tail: b"\x0d" + tail))
def test_any_bytes_are_a_frame_or_malformed(junk: bytes) -> None:
    try:
        frame = parse(junk)
    except Malformed:
        return
    assert isinstance(frame, Signal | Message | BytesMessage | Request)


@given(st.text(min_size=1, max_size=16) | st.integers(-(2**31), 2**31 - 1), st.binary())
def test_what_the_server_writes_as_a_message_reads_as_one(message_type: str | int, payload: bytes) -> None:
    assert parse(frames.room_data(message_type, payload)) == Message(message_type, payload)
    assert parse(b"\x15\x07" + frames.header(message_type)[1:] + payload) == Request(7, message_type, payload)


def test_frames_to_clients_are_those_the_sdks_were_seen_to_take() -> None:
    assert frames.join_room("h4zZIHHLk").hex() == "0a0968347a5a4948484c6b046e6f6e65"
    assert frames.join_room("8uzTNslcE", "schema", b"\x00").hex() == "0a0938757a544e736c634506736368656d6100"
    assert frames.error(526, "join failed").hex() == "0bcd0e02ab6a6f696e206661696c6564"
    assert frames.error(4217, "hello error").hex() == "0bcd7910ab68656c6c6f206572726f72"
    assert frames.room_data("hello", bytes.fromhex("81a16101")).hex() == "0da568656c6c6f81a16101"
    assert frames.room_data(5, None).hex() == "0d05"
    assert frames.response(2, ResponseStatus.REJECTED, b"\xa4nope").hex() == "160201a46e6f7065"
    assert frames.response(3, ResponseStatus.OK, None).hex() == "160300"
    assert frames.PONG.hex() == "12"


@given(st.integers(0, 4999), st.text())
def test_an_error_frame_holds_its_code_and_message(code: int, message: str) -> None:
    assert frames.error(code, message) == b"\x0b" + encode_number(code) + encode_string(message)
