"""The games this server knows: those shipped here, and those of other packages (entry points `holdfast.rooms`)."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from server.rooms.base import Room
from server.rooms.counter import Counter
from server.rooms.game import Game
from server.rooms.plaza import Plaza

GROUP = "holdfast.rooms"


def known_games() -> Mapping[str, type[Room]]:
    """Each game by its name. Raises TypeError for an entry point that is no room."""
    games: dict[str, type[Room]] = {game.name: game for game in (Game, Counter, Plaza)}
    for entry_point in entry_points(group=GROUP):
        game = entry_point.load()
        if not (isinstance(game, type) and issubclass(game, Room) and game.name):
            raise TypeError(f"entry point {entry_point.value!r}: expected a subclass of holdfast.Room with a name")
        games[game.name] = game
    return games
