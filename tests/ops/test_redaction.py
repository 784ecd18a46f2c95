"""Facts about redaction: a canary secret, put in every shape it has been seen to take, never comes out."""

import json
import time

import msgspec
import pytest

from server.ops.redaction import ITEMS_MAX, TEXT_CHARS_MAX, masked, redacted, redacted_text

CANARY = "cAn4rY-9f8e7d6c5b4a"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjQW40clkifQ.c0FuNHJZLXNpZ25hdHVyZQ"


class Seat(msgspec.Struct):
    player: str
    reconnection_token: str


SHAPES = [
    f"reconnectionToken={CANARY}",
    f"ws://127.0.0.1:2567/p1/r1?sessionId=s1&reconnectionToken={CANARY}&x=1",
    f"GET /p1/r1?_authToken={CANARY} HTTP/1.1",
    f"/p1/r1?_authToken%3D{CANARY}%26x",
    f"Authorization: Bearer {CANARY}",
    f"authorization: {CANARY}",
    f"Proxy-Authorization: Basic {CANARY}",
    f"sent Bearer {CANARY}, refused",
    f"bearer%20{CANARY}",
    f"Cookie: sid={CANARY}",
    f'{{"accessToken":"{CANARY}"}}',
    f'{{"accessToken": "with space {CANARY}"}}',
    f'{{"secret": "with \\" quote {CANARY}"}}',
    f'{{\\"accessToken\\":\\"{CANARY}\\"}}',
    f'{{\\"accessToken\\":\\"a {CANARY}\\"}}',
    f"{{'password': '{CANARY}'}}",
    f"{{b'token': b'{CANARY}'}}",
    f"connect(host='h', password='{CANARY}', port=1)",
    f"connect(password=r'a b {CANARY}')",
    f"HOLDFAST_JWT_SECRET={CANARY}",
    f"--jwt-secret={CANARY}",
    f"host=h user=u password={CANARY} dbname=d",
    f"postgresql://u:{CANARY}@h:5432/d",
    f"postgresql://u:{CANARY}@evil@h:5432/d",
    f"postgresql://u:a/{CANARY}@h:5432/d",
    f"redis://:{CANARY}@h/0",
    f"https://{CANARY}@h/repo",
    f"postgresql:///d?host=/run&password={CANARY}",
    f"dsn = {CANARY}",
    f"api-key: {CANARY}",
    f"x_api_key={CANARY}",
    f"tokens[0]={CANARY}",
    f"token={CANARY}\nnext line",
    f"PASSWORD={CANARY}",
    repr(Seat("ada", CANARY)),
]


@pytest.mark.parametrize("text", SHAPES)
def test_a_canary_in_text_is_cut_out(text: str) -> None:
    assert CANARY not in redacted_text(text)


@pytest.mark.parametrize("text", [JWT, f"token {JWT} expired", f"/x?t={JWT}&y=1", f"a{JWT}", f"'{JWT}'", f"({JWT})"])
def test_a_json_web_token_is_cut_out_wherever_it_stands(text: str) -> None:
    shown = redacted_text(text)
    assert [part for part in JWT.split(".") if part in shown] == []


@pytest.mark.parametrize("text", SHAPES)
def test_a_canary_is_cut_out_at_any_depth_and_in_any_kind_of_container(text: str) -> None:
    event = {"event": text, "deep": [{"a": ({"b": {text}},)}], text: 1, "raw": text.encode(), "error": ValueError(text)}
    assert CANARY not in json.dumps(redacted(event))


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "accessToken",
        "reconnection_token",
        "JWT_SECRET",
        "password",
        "Authorization",
        "Set-Cookie",
        "dsn",
        "apiKey",
    ],
)
@pytest.mark.parametrize("value", [CANARY, CANARY.encode(), [CANARY], {"x": CANARY}, 4711])
def test_a_value_under_a_secret_key_is_gone_whatever_it_is(key: str, value: object) -> None:
    assert {"a": [{key: "***"}]} == redacted({"a": [{key: value}]})


def test_whether_there_is_a_secret_may_be_said() -> None:
    assert redacted({"token": None, "has_token": True}) == {"token": None, "has_token": True}


@pytest.mark.parametrize(
    "text",
    [
        "room r1 activated at roomSeq 17",
        "http://127.0.0.1:2567/api/rooms?name=game",
        "see https://docs.example/a@b",
        "player ada joined",
    ],
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert text == redacted_text(text)


def test_what_stands_around_a_secret_stays() -> None:
    assert redacted_text(f"ws://h/p/r?reconnectionToken={CANARY}&x=1") == "ws://h/p/r?reconnectionToken=***&x=1"
    assert redacted_text(f"postgresql://u:{CANARY}@h:5432/d") == "postgresql://***@h:5432/d"


def test_what_comes_out_is_strict_json() -> None:
    event = {"nan": float("nan"), "set": {1}, "tuple": (1, 2), 3: b"x", "object": Seat("ada", CANARY)}
    assert '{"nan": "nan", "set": [1], "tuple": [1, 2], "3": "b\'x\'"' in json.dumps(redacted(event), allow_nan=False)


def test_containers_are_bounded_in_depth_and_breadth_visibly() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "..." in json.dumps(redacted(loop))
    assert [*range(ITEMS_MAX), "..."] == redacted(list(range(ITEMS_MAX + 5)))
    assert redacted({str(n): n for n in range(ITEMS_MAX + 5)})["..."] == 5  # type: ignore[index]


def test_long_text_is_cut_after_its_secrets_are() -> None:
    text = "x" * (TEXT_CHARS_MAX - 20) + f" postgresql://u:{CANARY}@h/d" + "x" * 100
    assert CANARY[:4] not in redacted_text(text)
    assert f"... ({len(text) - len('u:') - len(CANARY) + 3} characters)" in redacted_text(text)


def test_an_object_whose_repr_fails_costs_no_event() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError(CANARY)

    assert redacted({"it": Broken()}) == {"it": "<Broken, repr raised ValueError>"}


@pytest.mark.parametrize("unit", ["token", "://", "eyJaaaa", "a:", "://a:", "token='", "\\", "Bearer ", "token=\\"])
def test_hostile_text_takes_no_more_than_linear_time(unit: str) -> None:
    text = unit * (262_144 // len(unit))
    started_s = time.perf_counter()
    redacted_text(text)
    assert time.perf_counter() - started_s < 2.0


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("", ""),
        (CANARY, "***"),
        (f"redis://:{CANARY}@h/0", "redis://***@h/0"),
        (f"redis://:a/{CANARY}@x@h/0", "redis://***@h/0"),
        (f"postgresql://h/d?password={CANARY}&a=1", "postgresql://h/d?password=***&a=1"),
    ],
)
def test_a_masked_secret_shows_where_it_leads_and_nothing_else(secret: str, shown: str) -> None:
    assert shown == masked(secret)
