"""
Stage: one scenario's world, set up empty and gone at its end.

    databases (fresh) <--proxies-- nodes <-- players, who play while the scenario hurts what it likes

A scenario ends with `healed`, from which everybody has a bounded time to be back, answered, and at the end of the
room's journal. The verdict is the checker's.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from contracts import PROTOCOL_VERSION
from server.embedded import Urls, read_running
from server.embedded.pair import homes_in
from server.runtime.tasks import Tasks
from server.tools import http
from server.tools.chaos.checker import Violation, check
from server.tools.chaos.databases import Databases, Valkey, ends_of, epoch_of, read_rows
from server.tools.chaos.flushes import Action, Flushes
from server.tools.chaos.history import Acked, Committed, History, Rested, Unknown, digest
from server.tools.chaos.node import Node
from server.tools.chaos.player import Player
from server.tools.chaos.proxy import Proxy, proxy_before, through

#: The promises' bounds (P7), before the slack.
TOLD_S = 1.0
RECOVERED_S = 5.0
#: A wait that is no promise: past it the harness gives up.
PATIENCE_S = 30.0
#: Of one player. Below the server's own limit, so that no reject is due to it.
INTENTS_PER_S = 8.0
#: A player with so many open intents asks for no more.
OPEN_MAX = 8
#: Players named when something breaks.
STRAGGLERS_MAX = 4
_POLL_S = 0.02


class Broken(Exception):
    """Something that must hold didn't; the text is what a person needs."""


class Skipped(Exception):
    """This machine can't run the scenario; the text says why."""


class Stage:
    def __init__(
        self,
        databases: Databases,
        urls: Urls,
        postgres_link: Proxy,
        valkey_link: Proxy,
        flushes: Flushes,
        history: History,
        folder: Path,
        tasks: Tasks,
        ends: AsyncExitStack,
        random: Random,
        slack: float,
        say: Callable[[str], None],
    ) -> None:
        self.databases = databases
        self.postgres = databases.postgres
        self.valkey = databases.valkey
        #: Past the proxies, for the harness itself.
        self.urls = urls
        #: What stands between every node and its databases.
        self.postgres_link = postgres_link
        self.valkey_link = valkey_link
        self.flushes = flushes
        self.history = history
        self.folder = folder
        self.tasks = tasks
        self.random = random
        self.slack = slack
        self.say = say
        self.nodes: list[Node] = []
        self.players: list[Player] = []
        self._at_end = ends

    # -- who is there ---------------------------------------------------------------------------------------------

    async def serve(self, settings: Mapping[str, object] | None = None, *, redis_url: str | None = None) -> Node:
        """One more node, ready, on the stage's databases by way of the proxies."""
        flags = [
            *("--database-url", through(self.urls.database_url, self.postgres_link)),
            *("--redis-url", redis_url or through(self.urls.redis_url, self.valkey_link)),
        ]
        return await self.serve_with(flags, settings or {})

    async def serve_with(self, flags: Sequence[str], settings: Mapping[str, object]) -> Node:
        folder = self.folder / f"node.{len(self.nodes)}"
        folder.mkdir()
        node = Node(folder, flags, settings)
        self.nodes.append(node)
        await node.start()
        return node

    @asynccontextmanager
    async def another(self, databases: Databases | None = None, *, is_migrated: bool = True) -> "AsyncIterator[Stage]":
        """A stage of its own beside this one, whose verdict is part of this scenario's. Raises Broken."""
        where = self.databases if databases is None else databases
        async with set_stage(where, self.random, self.slack, self.say, is_migrated=is_migrated) as stage:
            yield stage
            violations = await stage.verdict()
        if violations:
            raise Broken(str(violations[0]))

    async def serve_embedded(self) -> Node:
        """A node on databases that it starts itself, in a data folder; in this scenario the only one."""
        data_dir = self.folder / "data"
        self._at_end.push_async_callback(homes_in(data_dir).end, 1.0)
        node = await self.serve_with(["--data-dir", str(data_dir)], {})
        self.find_embedded()
        return node

    def find_embedded(self) -> None:
        """After each start of such a node: its databases listen elsewhere now."""
        urls = read_running(self.folder / "data")
        assert urls is not None
        self.urls = urls

    async def second_valkey(self) -> Valkey:
        """Besides the stage's own, until its end."""
        valkey = await self.databases.second_valkey(self.folder / "valkey")
        self._at_end.push_async_callback(valkey.end)
        return valkey

    async def link_before(self, node: Node) -> Proxy:
        """A proxy before the node, until the stage's end; players dial it by `through(node.url, link)`."""
        return await self._at_end.enter_async_context(proxy_before(node.url))

    async def seat(self, node: Node, method: str, name: str, **options: object) -> http.Answer:
        """The answer of matchmaking to a guest."""
        return await http.post(
            f"{node.url}/matchmake/{method}/{name}", {"protocolVersion": PROTOCOL_VERSION, **options}
        )

    async def join(self, node: Node, name: str = "counter", method: str = "create", **options: object) -> Player:
        """A player in a room (by default a new one), with its first snapshot."""
        resumes = bool(options.setdefault("resume", True))
        answer = await self.seat(node, method, name, **options)
        if answer.status != 200:
            raise Broken(f"matchmaking said {answer.status}: {answer.content.decode()[:200]}")
        player = Player(node.url, answer.body, self.history, self.tasks, self.random, resumes=resumes)
        self.players.append(player)
        await self.within(PATIENCE_S, "a join", player.until(lambda: player.room_seq >= 0 or player.ended is not None))
        if player.ended is not None:
            raise Broken(f"a join ended with {player.ended} ({player.refusal})")
        return player

    async def crowd(self, node: Node, *, rooms: Sequence[str] = ("counter", "game"), each: int = 3) -> list[Player]:
        """Some players in a new room of each of these names."""
        crowd = []
        for name in rooms:
            first = await self.join(node, name)
            crowd += [first, *[await self.join(node, first.room_id, "joinById") for _ in range(each - 1)]]
        return crowd

    # -- play -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def play(self, players: Iterable[Player]) -> AsyncIterator[None]:
        """They ask for something now and then, until the end of the block."""
        playing = [self.tasks.start(self._play(player), f"course of {player.session_id}") for player in players]
        try:
            yield
        finally:
            for task in playing:
                task.cancel()
            await asyncio.wait(playing)

    async def _play(self, player: Player) -> None:
        while player.ended is None:
            await asyncio.sleep((0.5 + self.random.random()) / INTENTS_PER_S)
            if len(player.open) < OPEN_MAX:
                ask_something(player, self.random)

    async def acks(self, players: Iterable[Player], count: int = 3, within_s: float = PATIENCE_S) -> None:
        """Wait until each has had so many more acks."""
        wanted = [(player, len(player.acked) + count) for player in players]
        waits = [player.until(lambda p=player, n=n: len(p.acked) >= n) for player, n in wanted]  # type: ignore[misc]
        await self.within(within_s, f"{count} more acks for everyone", asyncio.gather(*waits))

    async def acks_of_one_each(self, players: Sequence[Player]) -> None:
        """Each asks for something once, and waits for its outcome."""
        await self.ack_seconds(players)

    async def ack_seconds(self, players: Sequence[Player]) -> float:
        """How long the slowest of them waits for the outcome of one intent, asked now."""

        async def one(player: Player) -> float:
            began = time.monotonic()
            await player.outcome(ask_something(player, self.random))
            return time.monotonic() - began

        taken: list[float] = await self.within(
            PATIENCE_S, "an outcome for everybody", asyncio.gather(*map(one, players))
        )
        return max(taken)

    async def listing(self, node: Node) -> list[dict[str, Any]]:
        """The public rooms, as the node lists them."""
        answer = await http.get(f"{node.url}/api/rooms")
        return list(answer.body) if answer.status == 200 else []

    async def epoch(self, room_id: str) -> int:
        """How often the room has been claimed."""
        return await epoch_of(self.urls.database_url, room_id)

    # -- what must hold -------------------------------------------------------------------------------------------

    async def within(self, seconds: float, what: str, happens: Awaitable[Any]) -> Any:
        """Its result. Raises Broken if it takes longer."""
        try:
            async with asyncio.timeout(seconds):
                return await happens
        except TimeoutError:
            raise Broken(f"{what}: not within {seconds:.1f} s") from None

    async def promptly(self, seconds: float, what: str, happens: Awaitable[Any]) -> float:
        """For a bound that is promised, times the slack; how long it took."""
        began = time.monotonic()
        await self.within(seconds * self.slack, what, happens)
        return time.monotonic() - began

    async def told(self, players: Iterable[Player], dependency: str, status: str | None = None) -> None:
        """Everybody hears of the dependency's trouble, or of its `status`, within a second from now."""
        now = self.history.now()

        def is_told(player: Player) -> bool:
            return any(
                told.dependency == dependency
                and told.at >= now
                and (told.status == status if status else told.status != "recovered")
                for told in player.degraded
            )

        waits = [player.until(lambda p=player: is_told(p)) for player in players]  # type: ignore[misc]
        what = f"event.degraded of {dependency}" + (f" ({status})" if status else "")
        took_s = await self.promptly(TOLD_S, what, asyncio.gather(*waits))
        self.say(f"{what} after {took_s:.2f} s")

    async def healed(self, players: Iterable[Player] | None = None) -> None:
        """From now on everything recovers within five seconds; then everybody is written down where they stand."""
        staying = [player for player in (self.players if players is None else players) if player.ended is None]
        lost = [player for player in (self.players if players is None else players) if player.ended is not None]
        if lost:
            raise Broken(f"{len(lost)} players were sent away for good, the first with {lost[0].ended}")
        took_s = await self.promptly(RECOVERED_S, "everybody at rest at the end of the journal", self._rest(staying))
        self.say(f"everybody at rest {took_s:.2f} s after healing")

    async def _rest(self, players: Sequence[Player]) -> None:
        while True:
            ends = await self._ends()
            if all(player.is_live and not player.open for player in players) and all(
                player.room_seq == ends.get(player.room_id) for player in players
            ):
                break
            await asyncio.sleep(_POLL_S)
        for player in players:
            self.history.add(
                Rested(
                    room=player.room_id,
                    session=player.session_id,
                    room_seq=player.room_seq,
                    digest=digest(player.state),
                )
            )

    async def _ends(self) -> dict[str, int]:
        try:
            return await ends_of(self.urls.database_url)
        except (OSError, asyncpg.PostgresError):
            return {}

    def stragglers(self) -> list[str]:
        """Some of those who are not as they should be at rest."""
        late = [player for player in self.players if player.open or not player.is_live]
        return [f"  {player}" for player in late[:STRAGGLERS_MAX]]

    def unexpected_ends(self) -> list[str]:
        """Of each node that ended, and nobody had told it to: its exit status, and the end of its log."""
        ended = [node for node in self.nodes if node.status is not None and not node.is_told_to_end]
        return [f"a node ended with {node.status}; its last words:\n{node.last_words}" for node in ended]

    def blindness(self) -> list[str]:
        """Why the proxy before PostgreSQL can't have seen what it has to."""
        kinds = set(map(type, self.history.records))
        if not self.flushes.are_tapped or Acked not in kinds or Committed in kinds:
            return []
        return ["something was acked, and the proxy before PostgreSQL saw no commit: it can't read a flush"]

    async def verdict(self) -> list[Violation]:
        """What the checker finds in all that happened here; nobody plays any more."""
        for player in self.players:
            for seq in player.open:
                self.history.add(Unknown(room=player.room_id, session=player.session_id, seq=seq))
        # In this order: what was seen by now is in the rows, and what comes now is of no interest.
        records = list(self.history.records)
        return check(records, await read_rows(self.urls.database_url))


def ask_something(player: Player, random: Random) -> int:
    """An intent that is legal in the player's room, or at least harmless."""
    if "world" not in player.state:
        return player.ask("intent.add", amount=random.randint(1, 9))
    if random.random() < 0.2:
        return player.ask("intent.chat", text=f"line {random.randrange(1_000_000)}")
    dx, dy = random.choice([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1)])
    return player.ask("intent.move", dx=dx, dy=dy)


@asynccontextmanager
async def set_stage(
    databases: Databases, random: Random, slack: float, say: Callable[[str], None], *, is_migrated: bool = True
) -> AsyncIterator[Stage]:
    """A stage with empty databases and nobody on it."""
    async with AsyncExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-chaos-")))
        history = History()
        crashes: list[str] = []
        tasks = Tasks(lambda name, error: crashes.append(f"{name}: {error!r}"))
        database_url = await ends.enter_async_context(databases.postgres.fresh(is_migrated=is_migrated))
        await databases.valkey.empty()
        urls = Urls(database_url, databases.valkey.url)
        flushes = Flushes(lambda action: history.add(_committed(action)))
        postgres_link = await ends.enter_async_context(proxy_before(urls.database_url, flushes.tap))
        valkey_link = await ends.enter_async_context(proxy_before(urls.redis_url))
        stage = Stage(
            databases, urls, postgres_link, valkey_link, flushes, history, folder, tasks, ends, random, slack, say
        )
        ends.push_async_callback(databases.valkey.heal)
        try:
            yield stage
            if crashes:
                raise Broken(f"the harness itself failed: {crashes[0]}")
        finally:
            for player in stage.players:
                await player.end()
            await tasks.stop()
            for node in stage.nodes:
                await asyncio.to_thread(node.end)


def _committed(action: Action) -> Committed:
    return Committed(room=action.room, session="", room_seq=action.room_seq)
