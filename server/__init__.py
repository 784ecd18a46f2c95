"""Holdfast's server: rooms whose every action is in PostgreSQL before anyone sees it."""

from server.compiled import choose

#: Whether the hot path runs as machine code.
is_compiled = choose()
