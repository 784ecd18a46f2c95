"""
Room: what the bots of one room share.

They are sent the same deltas, so what one of them has folded serves all that stood where it stood: a `Stand` remembers
the frame that came next and where it led. Checks stay each bot's own, and a bot that is sent anything else folds by
itself.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from server.tools.bots.tally import Tally

if TYPE_CHECKING:
    from server.tools.bots.bot import Bot

#: Frames whose result is known to all bots of the room, wherever they stood before.
RECENT_MAX = 4
#: RoomSeqs of acks that are remembered before those that can't come again are looked for.
REMEMBERED = 10_000


class Stand:
    """A state at a place of the room's order. Nothing of it ever changes but what is known to come next."""

    __slots__ = ("epoch", "next", "next_frame", "room_seq", "state")

    def __init__(self, room_seq: int, state: Any, epoch: int = 0) -> None:
        #: -1 where the server does not say.
        self.room_seq = room_seq
        self.epoch = epoch
        #: The dialect's own form; it says what it looks like as JSON.
        self.state = state
        self.next_frame: bytes | None = None
        self.next: Stand | None = None

    def apart(self) -> "Stand":
        """The same for a bot that stays behind: it must not hold on to all that the others are led to meanwhile."""
        return Stand(self.room_seq, self.state, self.epoch)


class Room:
    def __init__(self, room_id: str, tally: Tally) -> None:
        self.room_id = room_id
        self.bots: list[Bot] = []
        #: The highest roomSeq of an ack.
        self.acked_to = 0
        self._tally = tally
        self._acked: set[int] = set()
        self._recent: OrderedDict[bytes, Stand] = OrderedDict()
        self._remembered = REMEMBERED
        self._turn = 0

    def after(self, stand: Stand, frame: bytes, led: Stand) -> Stand:
        """`frame` leads from `stand` to `led`; or to what another bot of the room was led to by it, if that is equal.

        Bots that joined at different times hold equal states that are not one: from here on they do."""
        twin = self._recent.get(frame)
        if twin is None:
            self._recent[frame] = led
            if len(self._recent) > RECENT_MAX:
                self._recent.popitem(last=False)
        elif twin.room_seq == led.room_seq and twin.state == led.state:
            led = twin
        if stand.next_frame is None:
            stand.next_frame, stand.next = frame, led
        return led

    def acked(self, room_seq: int, bot: "Bot") -> None:
        """An intent of the bot took effect there: nobody else's may have."""
        if room_seq in self._acked:
            self._tally.doubled += 1
            self._tally.wrong(f"{bot}: an intent was acked at roomSeq {room_seq}, where another was")
        self._acked.add(room_seq)
        if room_seq > self.acked_to:
            self.acked_to = room_seq
        if len(self._acked) > self._remembered:
            self._forget()

    def witness(self, bot: "Bot") -> "Bot | None":
        """Another bot of the room, in turns."""
        bots = self.bots
        if len(bots) < 2:
            return None
        self._turn = (self._turn + 1) % len(bots)
        found = bots[self._turn]
        return bots[self._turn - 1] if found is bot else found

    def _forget(self) -> None:
        """A bot's acks rise, so what all of them have passed can't come again without being out of order."""
        passed = min((bot.acked_to for bot in self.bots), default=0)
        self._acked = {room_seq for room_seq in self._acked if room_seq > passed}
        # Where one bot has no acks for long: not again at each of the others'.
        self._remembered = max(REMEMBERED, 2 * len(self._acked))
