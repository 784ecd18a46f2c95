"""
A server reduced to its databases, for tests that kill it: `python -m tests.embedded.holder FOLDER`.

Prints one line of JSON once the databases run, then holds them until SIGTERM, at which it stops them.
"""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from server.embedded import Urls, start_embedded


async def hold(folder: Path) -> None:
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    embedded = await start_embedded(folder, lambda _: None, is_durable=False)
    print(msgspec.json.encode(Urls(embedded.database_url, embedded.redis_url)).decode(), flush=True)
    await asked_to_stop.wait()
    await embedded.stop()


if __name__ == "__main__":
    asyncio.run(hold(Path(sys.argv[1])))
