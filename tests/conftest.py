"""What all tests may use: databases, servers, and clients on the wire."""

from tests.databases import databases, embedded
from tests.serving import serve, server
from tests.wire import client, clients

__all__ = ["client", "clients", "databases", "embedded", "serve", "server"]
