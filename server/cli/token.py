"""`holdfast token`: an access token for development."""

from typing import Annotated

import typer

from server.cli.endings import note, run
from server.cli.options import AsJson, DatabaseUrl, DataDir, read_settings


def token(
    player: Annotated[str, typer.Option(help="the player's name")],
    role: Annotated[str, typer.Option(help="player, spectator, operator, or one of your own")] = "player",
    player_id: Annotated[
        str | None, typer.Option(help="who that is; a player nobody has been before if not given")
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Sign an access token with the server's secret: HOLDFAST_JWT_SECRET, or the one it keeps in PostgreSQL."""
    from random import SystemRandom

    from contracts.http import GuestAnswer
    from server.cli.printing import print_json
    from server.core.identifiers import new_id
    from server.core.membership import Player
    from server.tools.access import sign

    settings = read_settings(data_dir, database_url)
    player_id = new_id(SystemRandom(), 16) if player_id is None else player_id
    signed = run(sign(settings, Player(player_id, player, role), note))
    if as_json:
        print_json(GuestAnswer(access_token=signed, expires_in=settings.access_token_s, player_id=player_id))
    else:
        print(signed)
