"""The command `holdfast`."""

from server.cli.main import main

__all__ = ["main"]
