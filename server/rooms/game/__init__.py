"""The `game` room: a tile world where characters walk, talk, carry things and strike each other."""

from server.rooms.game.room import Game

__all__ = ["Game"]
