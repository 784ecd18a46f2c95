"""
Workloads: the pieces of work that an action is made of, each on the server's own objects.

One list serves both: `test_benchmarks` times them, `test_guards` counts what they do.

    decode      a frame into an intent, as a connection and the intake do it
    step        a decoded move through the intake, up to its entry and its held ack
    release     commit: the gate opens, and lets the acks out
    ack         the frame of an ack
    patch       the merge patch of a state that one step has changed
    compose     the patches of a tick into one
    tick        the delta of 40 moves, for a room of 50: merged and encoded once
    areas       the deltas of 1,000 who all move on the plaza, each of whom gets the chunks around it
    resume      what a client missed, 100 actions, from memory
    welcome     the snapshot that a newcomer gets
    snapshot    the one that the table gets
    activation  a snapshot and the 500 entries after it into a room
"""

from collections.abc import Callable

import msgspec

from bench.stage import NOW_MS, UNPACED, Deaf, Stage, frame
from contracts.intents import Move, Resume
from server.core import answers
from server.core.colyseus.frames import Message, parse
from server.core.colyseus.records import unpack
from server.core.reading import read
from server.core.recovery import Recovery, snapshot_of
from server.core.state import compose, take_patch
from server.rooms.game import Game
from server.rooms.plaza import Plaza

PLAYERS = 50
#: Actions of a tick: 50 players at 16 intents a second, 50 ms.
MOVES = 40
MISSED = 100
#: Players on the plaza, each with an action in a tick.
CROWD = 1_000
ENTRIES = 500


class Work(msgspec.Struct, frozen=True):
    """`run` does the work for so many `units`; `prepare` comes before each run and belongs to none."""

    run: Callable[[], object]
    unit: str
    units: int = 1
    prepare: Callable[[], object] = lambda: None


def decode() -> Work:
    stage = Stage(1)
    frames = [frame(body) for _, body in stage.bodies(MOVES)]

    def run() -> None:
        for each in frames:
            message = parse(each)
            assert isinstance(message, Message)
            assert isinstance(read(unpack(message.payload), Move), Move)

    return Work(run, "frame", MOVES)


def step(players: int = PLAYERS) -> Work:
    stage = Stage(players)
    moves: list[tuple[Deaf, object]] = []

    def prepare() -> None:
        stage.settle()
        stage.journal.clear()
        moves[:] = stage.bodies(MOVES)

    def run() -> None:
        stage.receive(moves)
        stage.take()

    return Work(run, "move", MOVES, prepare)


def release() -> Work:
    stage = Stage(PLAYERS)

    def prepare() -> None:
        stage.settle()
        stage.receive(stage.bodies(MOVES))

    return Work(stage.commit, "ack", MOVES, prepare)


def ack() -> Work:
    def run() -> None:
        for seq in range(1, MOVES + 1):
            answers.ack(seq, 1000 + seq, False)

    return Work(run, "ack", MOVES)


def patch() -> Work:
    game = Stage(PLAYERS).room.rules
    own = next(iter(game.state.players.values()))  # type: ignore[attr-defined]

    def prepare() -> None:
        own.x, own.y = own.x + 1, own.y - 1

    return Work(lambda: take_patch(game.state), "patch", 1, prepare)


def composed() -> Work:
    stage = Stage(PLAYERS)
    stage.receive(stage.bodies(MOVES))
    patches = [msgspec.json.decode(entry.patch or b"") for entry in stage.take()]
    return Work(lambda: compose(patches), "patch", MOVES)


def tick(players: int = PLAYERS) -> Work:
    stage = Stage(players)

    def prepare() -> None:
        stage.settle()
        # Not where a roomSeq has a byte that `pack` has to look at twice.
        while {0xCF, 0xD3} & {stage.room.room_seq & 0xFF, (stage.room.room_seq + MOVES) & 0xFF}:
            stage.receive(stage.bodies(1))
            stage.settle()
        stage.receive(stage.bodies(MOVES))
        stage.take()
        stage.commit()

    return Work(lambda: stage.room.tick(NOW_MS), "delta", 1, prepare)


def areas() -> Work:
    stage = Stage(CROWD, Plaza)

    def prepare() -> None:
        stage.settle()
        stage.receive(stage.bodies(CROWD))
        stage.take()
        stage.commit()

    return Work(lambda: stage.room.tick(NOW_MS), "player", CROWD, prepare)


def resume() -> Work:
    stage = Stage(PLAYERS)
    stage.receive(stage.bodies(MISSED))
    stage.settle()
    room, link = stage.room, stage.links[0]
    asked = Resume(room_seq=room.room_seq - MISSED, epoch=1, seq=2)

    def run() -> None:
        room.resume(link, asked, NOW_MS)
        assert len(room.take_effects(NOW_MS)) >= 2, "the ack and the delta"

    return Work(run, "resume")


def welcome() -> Work:
    stage = Stage(PLAYERS)
    link = stage.links[0]
    asked = Resume(room_seq=0, epoch=1, seq=0)

    def run() -> None:
        stage.room.resume(link, asked, NOW_MS)
        assert len(stage.room.take_effects(NOW_MS)) >= 2, "the ack and the snapshot"

    return Work(run, "snapshot")


def snapshot() -> Work:
    stage = Stage(PLAYERS)
    return Work(lambda: snapshot_of(stage.room, NOW_MS), "snapshot")


def activation() -> Work:
    stage = Stage(PLAYERS)
    found = snapshot_of(stage.room, NOW_MS)
    stage.journal.clear()
    stage.receive(stage.bodies(ENTRIES))
    entries = stage.take()
    return Work(
        lambda: Recovery(stage.room.room_id, 2, Game(), UNPACED, found, NOW_MS).fold(entries).room(), "entry", ENTRIES
    )


WORKLOADS: dict[str, Callable[[], Work]] = {
    "decode": decode,
    "step": step,
    "release": release,
    "ack": ack,
    "patch": patch,
    "compose": composed,
    "tick": tick,
    "areas": areas,
    "resume": resume,
    "welcome": welcome,
    "snapshot": snapshot,
    "activation": activation,
}
