"""WebSockets on uvicorn's port: `uvicorn_protocol` is the value for its `ws` setting."""

import asyncio
from functools import partial
from typing import Literal, cast

from server.edge.transport.base import Accept, Endpoint, Held, Later, Refusal, UpgradeRequest, Wire

__all__ = ["Accept", "Endpoint", "Held", "Later", "Refusal", "UpgradeRequest", "Wire", "uvicorn_protocol"]


def uvicorn_protocol(transport: Literal["picows", "websockets"], accept: Accept) -> type[asyncio.Protocol]:
    """What uvicorn constructs for a socket at its WebSocket upgrade; both transports keep the same rules."""
    # Imported when chosen, for picows has no wheels for every platform.
    if transport == "picows":
        from server.edge.transport.picows import PicowsSocket

        return cast(type[asyncio.Protocol], partial(PicowsSocket, accept))
    from server.edge.transport.sans_io import SansIoSocket

    return cast(type[asyncio.Protocol], partial(SansIoSocket, accept))
