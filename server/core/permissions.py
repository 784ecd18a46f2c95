"""Roles, and what they may do. A token names a role; everything else asks for a permission."""

from typing import Final

#: To take a seat.
JOIN = "room.join"
#: To send intents that change the world.
ACT = "room.act"
#: To speak.
CHAT = "room.chat"
#: To read journals and rebuilt states.
READ = "room.read"

#: The role of guests, and of tokens that name none.
PLAYER = "player"

_PERMISSIONS: Final = {
    PLAYER: (JOIN, ACT, CHAT),
    "spectator": (JOIN,),
    "operator": (JOIN, ACT, CHAT, READ),
}


def permissions_of(role: str) -> tuple[str, ...]:
    """What the role may do; a role unknown here may watch and no more."""
    return _PERMISSIONS.get(role, (JOIN,))
