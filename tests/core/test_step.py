"""Steps: what rules may leave behind beside the state."""

from random import Random

from server.core.membership import Player
from server.core.step import Step
from tests.core.parts import Tape

ADA = Player("player-ada", "Ada", "player")


def test_the_events_of_a_step_are_counted_from_zero_and_know_their_room_seq() -> None:
    step = Step(9, 1_000, Random(1), "ada", ADA)
    step.chat("hello")
    step.emit("dice.rolled", {"eyes": 4}, to=("ada", "bob"))
    step.chat("again")
    chat, rolled, again = step.events
    said = {"roomSeq": 9, "n": 0, "sessionId": "ada", "name": "Ada", "text": "hello", "at": 1_000.0}
    assert ("event.chat", said, None) == (chat.type, chat.body, chat.to)
    assert ("dice.rolled", {"eyes": 4, "roomSeq": 9, "n": 1}, ("ada", "bob")) == (rolled.type, rolled.body, rolled.to)
    assert 2 == again.body["n"]


def test_an_event_is_encoded_as_clients_read_it() -> None:
    step = Step(9, 1_000, Random(1))
    step.emit("dice.rolled", {"eyes": 4})
    tape = Tape()
    tape.send(step.events[0].emitted().frame)
    assert [("dice.rolled", {"eyes": 4, "roomSeq": 9, "n": 0})] == tape.take()


def test_a_step_of_the_room_itself_is_nobodys() -> None:
    step = Step(1, 0, Random(1))
    assert ("", "", None) == (step.session_id, step.player.player_id, step.character)
