"""Strangers: who is let in, and who is not."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts import PROTOCOL_VERSION
from server.exit_codes import ExitCode
from server.tools import http
from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.node import Node, NodeFailed
from server.tools.chaos.player import Player
from server.tools.chaos.raw import RawSocket, upgrade
from server.tools.chaos.stage import PATIENCE_S, Broken, Stage
from server.tools.wire import JOIN_BYTE

SECRET = b"a secret of this scenario alone, of more than 32 bytes"
ISSUER = "https://id.example"


async def foreign_origins(stage: Stage) -> None:
    """WebSocket handshakes from other sites: evil, `null`, look-alikes of our own: refused 403 before the upgrade; no
    Origin, or our own, is let in."""
    node = await stage.serve()
    player = await stage.join(node)
    own = node.url
    evil = ("https://evil.example", "null", f"{own}.evil.example", own.replace("127.0.0.1", "127.0.0.1.evil.example"))
    for origin in (*evil, "file://", "http://127.0.0.2:1", ""):
        status = await _upgrade_status(node, player, origin)
        if status != 403:
            raise Broken(f"a handshake with the Origin {origin!r} was answered {status}")
    for good in (None, own):
        if await _upgrade_status(node, player, good) != 101:
            raise Broken(f"a handshake with the Origin {good!r} was refused")
    await stage.healed()


async def token_raced(stage: Stage) -> None:
    """The same reconnection token 100 times at once: one connection wins, the old socket is closed, and the token is of
    no use any more."""
    node = await stage.serve()
    player = await stage.join(node)
    token, seat = player.token, player.seat
    sockets = await asyncio.gather(*(RawSocket.dial(node.url, seat, token) for _ in range(100)))
    answers = await stage.within(PATIENCE_S, "an answer for each dial", asyncio.gather(*(s.token() for s in sockets)))
    winners = [(socket, given) for socket, given in zip(sockets, answers, strict=True) if isinstance(given, str)]
    if len(winners) != 1:
        raise Broken(f"{len(winners)} of 100 dials with one token were let in; the others were told {set(answers)}")
    await winners[0][0].send(JOIN_BYTE)
    await stage.within(PATIENCE_S, "the old socket's close", player.until(lambda: player.ended is not None))
    late = await RawSocket.dial(node.url, seat, token)
    if isinstance(given := await stage.within(PATIENCE_S, "an answer", late.token()), str):
        raise Broken("a used token was let in again")
    for socket in (*sockets, late):
        socket.cut()
    stage.say(f"the old socket was closed {player.ended}, a late dial {given}")


async def reservation_reused(stage: Stage) -> None:
    """A seat reservation that was used, or has run out: no seat, and no session."""
    node = await stage.serve({"seat_reservation_s": 1, "hold_s": 2})
    player = await stage.join(node)
    expired = (await stage.seat(node, "joinById", player.room_id)).body
    await asyncio.sleep(1.5)
    for what, seat in (("used", player.seat), ("expired", expired), ("invented", {**expired, "sessionId": "A" * 12})):
        socket = await RawSocket.dial(node.url, seat)
        if isinstance(await stage.within(PATIENCE_S, "an answer", socket.token()), str):
            raise Broken(f"a reservation that is {what} was let in")
        socket.cut()
    async with stage.play([player]):
        await stage.acks([player])
    await stage.healed()


async def forged_tokens(stage: Stage) -> None:
    """Access tokens that are forged, expired, early, foreign, or huge (no algorithm, a public key as secret, another
    audience, a path as key id ...): 401 each, or cut off; a good one is taken, and a weak key is refused at the
    start."""
    node = await stage.serve({"jwt_secret": SECRET.decode(), "jwt_issuer": ISSUER})
    good = _claims()
    if (status := await _bootstrap(node, _token(good))) != 200:
        raise Broken(f"a good token was answered {status}")
    for what, token in _forged():
        if (status := await _bootstrap(node, token)) not in (0, 400, 401, 431):
            raise Broken(f"a token with {what} was answered {status}")
    key = generate_private_key(public_exponent=65537, key_size=2048)
    keys = stage.folder / "jwks.json"
    public = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": "1", "alg": "RS256"}
    keys.write_text(json.dumps({"keys": [public]}))
    foreign = await stage.serve({"jwt_jwks_file": str(keys)})
    if (status := await _bootstrap(foreign, jwt.encode(good, key, "RS256", headers={"kid": "1"}))) != 200:
        raise Broken(f"a good token of the issuer was answered {status}")
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for what, secret in (("the public key as its secret", pem), ("our own secret", SECRET)):
        if (status := await _bootstrap(foreign, _token(good, secret, kid="1"))) != 401:
            raise Broken(f"a token with {what} was answered {status}")
    try:
        await stage.serve({"jwt_secret": "short"})
    except NodeFailed:
        weak = stage.nodes[-1]
        weak.is_told_to_end = True
        if weak.status != ExitCode.SETTINGS:
            raise Broken(f"a weak key ended the start with {weak.status}") from None
        return
    raise Broken("a node started with a weak key")


# -- parts ------------------------------------------------------------------------------------------------------------


async def _upgrade_status(node: Node, player: Player, origin: str | None) -> int:
    target = f"/{player.seat['processId']}/{player.room_id}?sessionId={player.session_id}"
    status, _, writer = await upgrade(node.url, target, origin)
    writer.transport.abort()
    return status


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"sub": "ada", "name": "Ada", "aud": "holdfast", "iss": ISSUER, "iat": now, "exp": now + 600}
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def _forged() -> Iterator[tuple[str, str]]:
    good, now = _claims(), int(time.time())
    unsigned = _part({"alg": "none", "typ": "JWT"}) + "." + _part({**good, "role": "operator"})
    yield "no algorithm", unsigned + "."
    yield "no algorithm and a signature", unsigned + "." + _token(good).rpartition(".")[2]
    yield "another's secret", _token(good, b"x" * 64)
    yield "no end", _token(_claims(exp=None))
    yield "an end that has passed", _token(_claims(exp=now - 60))
    yield "a begin that is to come", _token(_claims(nbf=now + 600))
    yield "another audience", _token(_claims(aud="elsewhere"))
    yield "no audience", _token(_claims(aud=None))
    yield "another issuer", _token(_claims(iss="https://evil.example"))
    yield "no subject", _token(_claims(sub=None))
    yield "a path as key id and an empty secret", _token(good, b"", kid="../../../../dev/null")
    yield (
        "another's claims",
        ".".join((_token(good).split(".")[0], _part({**good, "sub": "eve"}), _token(good).split(".")[2])),
    )
    yield "a megabyte", _token(_claims(name="x" * 1_000_000))
    yield "nonsense", "a.b.c"
    yield "nothing", ""


def _token(claims: dict[str, Any], secret: bytes = SECRET, **header: str) -> str:
    """HS256 with whatever secret, also those that a library refuses to sign with."""
    signed = _part({"alg": "HS256", "typ": "JWT", **header}) + "." + _part(claims)
    return signed + "." + _base64(hmac.digest(secret, signed.encode(), hashlib.sha256))


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def _bootstrap(node: Node, token: str) -> int:
    """The status of the answer; 0 if the connection was cut instead."""
    body = {"protocolVersion": PROTOCOL_VERSION}
    try:
        return (await http.post(f"{node.url}/api/session/bootstrap", body, Authorization=f"Bearer {token}")).status
    except OSError:
        return 0


SCENARIOS = (
    Scenario("f31-foreign-origins", foreign_origins),
    Scenario("f32-token-raced", token_raced),
    Scenario("f33-reservation-reused", reservation_reused),
    Scenario("f34-forged-tokens", forged_tokens),
)
