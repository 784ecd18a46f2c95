"""Access tokens: who may come in, and as what. The token zoo, roles, guests, and keys of others."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from contracts import PROTOCOL_VERSION
from contracts.limits import ACCESS_TOKEN_S_MAX
from server.embedded import Embedded
from tests.serving import Server, Servers, serving
from tests.wire import Client, Clients, Refused

SECRET = "a secret for tests that is long enough"
HEADER = {"Authorization": "Bearer {}"}


@pytest.fixture(scope="module")
def server(embedded: Embedded) -> Iterator[Server]:
    """One whose secret is known."""
    with serving(embedded, jwt_secret=SECRET, jwt_issuer="https://id.example") as server:
        yield server


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"sub": "p1", "name": "Ada", "aud": "holdfast", "iss": "https://id.example", "exp": now + 60}
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def token(key: Any = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm)


def by_hand(header: dict[str, Any], body: dict[str, Any], key: bytes) -> str:
    """A token signed by HMAC-SHA-256 whatever its header says."""
    parts = ".".join(_base64(json.dumps(part).encode()) for part in (header, body))
    return f"{parts}.{_base64(hmac.digest(key, parts.encode(), hashlib.sha256))}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def bootstrap(client: Client, access: str | None, **body: Any) -> httpx.Response:
    headers = {} if access is None else {"Authorization": f"Bearer {access}"}
    return await client.http.post("/api/session/bootstrap", headers=headers, json=body)


FORGED = {
    "alg none": lambda: jwt.encode(claims(), None, algorithm="none"),
    "alg none, in capitals": lambda: by_hand({"alg": "NONE"}, claims(), b""),
    "another secret": lambda: token("another secret that is long enough, too"),
    "another algorithm": lambda: token(SECRET * 2, "HS512"),
    "the right secret under a wrong name": lambda: by_hand({"alg": "RS256"}, claims(), SECRET.encode()),
    "no algorithm": lambda: by_hand({}, claims(), SECRET.encode()),
    "a signature cut off": lambda: token()[:-4],
    "a body changed": lambda: ".".join((token().split(".")[0], token(sub="p2").split(".")[1], token().split(".")[2])),
    "expired": lambda: token(exp=int(time.time()) - 1),
    "no exp": lambda: token(exp=...),
    "exp that is no number": lambda: by_hand({"alg": "HS256"}, claims(exp="tomorrow"), SECRET.encode()),
    "exp beyond every date": lambda: by_hand({"alg": "HS256"}, claims(exp=1e400), SECRET.encode()),
    "exp beyond the memory of a logout": lambda: token(exp=int(time.time()) + ACCESS_TOKEN_S_MAX + 60),
    "not valid yet": lambda: token(nbf=int(time.time()) + 60),
    "no aud": lambda: token(aud=...),
    "wrong aud": lambda: token(aud="another"),
    "wrong iss": lambda: token(iss="https://evil.example"),
    "no iss": lambda: token(iss=...),
    "no sub": lambda: token(sub=...),
    "an empty sub": lambda: token(sub=""),
    "sub that is no string": lambda: by_hand({"alg": "HS256"}, claims(sub=5), SECRET.encode()),
    "sub with a NUL": lambda: token(sub="p\0"),
    "sub that is too long": lambda: token(sub="p" * 65),
    "a name with a newline": lambda: token(name="Ada\nAdmin"),
    "a name that is no text": lambda: by_hand({"alg": "HS256"}, claims(name="\ud800"), SECRET.encode()),
    "a role that is no text": lambda: by_hand({"alg": "HS256"}, claims(role="\ud800"), SECRET.encode()),
    "a role that is a list": lambda: token(role=["operator"]),
    "iat that is no number": lambda: by_hand({"alg": "HS256"}, claims(iat="now"), SECRET.encode()),
    "nothing like it": lambda: "token",
    "empty parts": lambda: "..",
    "not ASCII": lambda: "tök€n.a.b".encode().decode("latin-1"),
    "a megabyte": lambda: token(padding="x" * 10_000),
    "a list for a body": lambda: by_hand({"alg": "HS256"}, [], SECRET.encode()),  # type: ignore[arg-type]
    "nesting": lambda: f"{_base64(b'[' * 3000)}.{_base64(b'[' * 3000)}.",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_a_bad_token_opens_nothing(client: Client, forged: Any) -> None:
    access = forged()
    if access.isascii():
        answer = await bootstrap(client, access, protocolVersion=PROTOCOL_VERSION)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert (await client.http.post("/api/session/logout", headers=_bearer(access))).status_code == 401
    with pytest.raises(Refused) as refused:
        await client.matchmake("create", "counter", accessToken=access)
    assert (refused.value.status, refused.value.body["code"]) == (525, 525)


@pytest.mark.parametrize("access", [5, True, [], {"a": 1}, ""], ids=repr)
async def test_an_access_token_that_is_no_string_opens_nothing(client: Client, access: object) -> None:
    with pytest.raises(Refused) as refused:
        await client.matchmake("create", "counter", accessToken=access)
    assert refused.value.status == 525


async def test_a_good_token_is_the_player(client: Client) -> None:
    answer = (await bootstrap(client, token(name=" Ada "), protocolVersion=PROTOCOL_VERSION)).json()
    assert (answer["playerId"], answer["character"]["name"]) == ("p1", "Ada")
    assert answer["permissions"] == ["room.join", "room.act", "room.chat"]
    assert {"counter", "game"} <= set(answer["rooms"])
    for given in ({"accessToken": token()}, {"token": token()}):
        player = await client.join("counter", **given)
        assert player.of("event.ack")[0]["playerId"] == "p1"


async def test_the_options_token_counts_before_the_headers(client: Client) -> None:
    player = await client.join("counter", token=token(sub="p1"), accessToken=token(sub="p2"))
    assert player.of("event.ack")[0]["playerId"] == "p2"


async def test_the_token_is_looked_at_before_the_version(client: Client) -> None:
    assert (await bootstrap(client, token(exp=1), protocolVersion="0")).status_code == 401
    assert (await bootstrap(client, None, protocolVersion="0")).status_code == 401


@pytest.mark.parametrize("version", [None, 1, "", "0", [PROTOCOL_VERSION], f"{PROTOCOL_VERSION} "], ids=repr)
async def test_another_version_is_told_at_bootstrap(client: Client, version: object) -> None:
    answer = await bootstrap(client, token(), protocolVersion=version)
    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["expected"]) == ("version_mismatch", PROTOCOL_VERSION)


async def test_a_missing_version_is_told_at_bootstrap(client: Client) -> None:
    answer = await bootstrap(client, token())
    assert (answer.status_code, answer.json()["received"]) == (409, None)


@pytest.mark.parametrize("version", [1, "", "0", [PROTOCOL_VERSION]], ids=repr)
async def test_another_version_is_told_at_matchmaking(client: Client, version: object) -> None:
    with pytest.raises(Refused) as refused:
        await client.matchmake("create", "counter", protocolVersion=version)
    assert (refused.value.status, refused.value.body["code"]) == (409, "version_mismatch")
    assert refused.value.body["expected"] == PROTOCOL_VERSION


async def test_foreign_clients_need_not_say_a_version(client: Client) -> None:
    assert await client.join("counter")
    assert await client.join("counter", protocolVersion=PROTOCOL_VERSION)


async def test_a_spectator_may_watch_and_no_more_also_after_a_reconnect(client: Client) -> None:
    actor = await client.join("game", token=token())
    watcher = await client.join(actor.room_id, "joinById", token=token(sub="p2", role="spectator"))
    assert watcher.of("event.ack")[0]["permissions"] == ["room.join"]
    for message_type, fields in (("intent.move", {"dx": 1, "dy": 0}), ("intent.chat", {"text": "hello"})):
        reject = await watcher.act(message_type, **fields)
        assert (reject["code"], reject["retryable"]) == ("forbidden", False)
    await watcher.cut()
    watcher = await client.back(watcher)
    assert (await watcher.act("intent.chat", text="hello"))["code"] == "forbidden"
    ack = await actor.act("intent.chat", text="watched?")
    assert (await watcher.expect("event.chat"))["roomSeq"] == ack["roomSeq"]


async def test_a_role_unknown_here_may_watch_and_no_more(client: Client) -> None:
    watcher = await client.join("counter", token=token(role="wizard"))
    assert (await watcher.act("intent.add", amount=1))["code"] == "forbidden"


async def test_a_player_without_permission_acts_in_no_other_name(client: Client) -> None:
    """The session is the socket's: naming another one changes nothing."""
    actor = await client.join("counter", token=token(name="Ada"))
    other = await client.join(actor.room_id, "joinById", token=token(sub="p2", name="Eve"))
    ack = await other.act("intent.add", amount=3, sessionId=actor.session_id, playerId="p1", name="Ada")
    assert sum((await actor.caught_up(ack["roomSeq"]))["added"].values()) == 3
    assert not any("Ada" in key or key == actor.session_id for key in actor.state["added"])


async def test_a_guest_gets_a_token_that_counts(client: Client) -> None:
    guest = await client.guest("  Zoë  ")
    answer = (await bootstrap(client, guest["accessToken"], protocolVersion=PROTOCOL_VERSION)).json()
    assert (answer["playerId"], answer["character"]["name"]) == (guest["playerId"], "Zoë")
    assert guest["expiresIn"] > 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 33, "a\nb", "a\0b", 5, ["x"]], ids=repr)
async def test_a_guest_has_a_name_or_none(client: Client, name: object) -> None:
    answer = await client.http.post("/api/auth/guest", json={"name": name})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert (await client.http.post("/api/auth/guest")).status_code == 200


async def test_guests_can_be_turned_off(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(guests="false", jwt_secret=SECRET))
    answer = await client.http.post("/api/auth/guest", json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "guests_off")
    with pytest.raises(Refused) as refused:
        await client.matchmake("create", "counter")
    assert refused.value.status == 525
    assert await client.join("counter", token=token())


async def test_keys_of_others_come_from_a_jwks_file(serve: Servers, clients: Clients, tmp_path: Path) -> None:
    first, second = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    keys = [
        {**jwt.algorithms.RSAAlgorithm.to_jwk(first.public_key(), as_dict=True), "kid": "r"},
        {**jwt.algorithms.OKPAlgorithm.to_jwk(second.public_key(), as_dict=True), "kid": "e"},
        {"kty": "oct", "kid": "o", "k": _base64(SECRET.encode())},
    ]
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": keys}))
    client = clients(await serve(jwt_jwks_file=tmp_path / "jwks.json", jwt_secret=SECRET))

    async def status(access: str) -> int:
        return (await bootstrap(client, access, protocolVersion=PROTOCOL_VERSION)).status_code

    assert await status(jwt.encode(claims(), first, "RS256", {"kid": "r"})) == 200
    assert await status(jwt.encode(claims(), second, "EdDSA", {"kid": "e"})) == 200
    assert await status(jwt.encode(claims(), second, "EdDSA", {"kid": "r"})) == 401
    assert await status(jwt.encode(claims(), first, "RS512", {"kid": "r"})) == 401
    assert await status(jwt.encode(claims(), first, "RS256", {"kid": "../../etc/passwd"})) == 401
    assert await status(jwt.encode(claims(), SECRET, "HS256", {"kid": "o"})) == 401, "no secret is a public key"
    pem = first.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert await status(by_hand({"alg": "HS256", "kid": "r"}, claims(), pem)) == 401, "a public key is no secret"
    assert (await client.http.post("/api/auth/guest", json={})).status_code == 403


def _bearer(access: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access}"}
