"""
Stage: the server that the clients play on; one of its own, unless a URL is given.

Its own is the installed command with embedded databases in a temporary folder and default settings. It can be killed
(SIGKILL) while they play, and is started at once on the same port and data.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server.embedded import read_running
from server.embedded.pair import homes_in
from server.tools.chaos.node import Node

STOP_S = 10.0


class Stage:
    def __init__(self, url: str, database_url: str | None) -> None:
        self.url = url
        self._database_url = database_url

    @property
    def database_url(self) -> str | None:
        """Where its journal is; None where nobody said so."""
        return self._database_url


class OwnStage(Stage):
    def __init__(self, node: Node, data_dir: Path) -> None:
        super().__init__(node.url, None)
        self._node = node
        self._data_dir = data_dir

    @property
    def database_url(self) -> str:
        """Another one after each kill."""
        urls = read_running(self._data_dir)
        assert urls is not None, "they end after the server"
        return urls.database_url

    async def kill(self, every_s: float, for_s: float) -> None:
        """So long after it was last ready, again and again for so long. It is ready when this returns."""
        until = time.monotonic() + for_s
        while time.monotonic() + every_s < until:
            await asyncio.sleep(every_s)
            self._node.kill()
            await self._node.ended(STOP_S)
            await self._node.start()


@asynccontextmanager
async def own_stage() -> AsyncIterator[OwnStage]:
    """A server until the block ends. Raises NodeFailed."""
    with tempfile.TemporaryDirectory(prefix="holdfast-sdk-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "data"
        node = Node(Path(folder), ["--data-dir", str(data_dir)], {})
        try:
            await node.start()
            yield OwnStage(node, data_dir)
            node.ask_to_stop()
            await node.ended(STOP_S)
        finally:
            node.end()
            await homes_in(data_dir).end(1.0)
