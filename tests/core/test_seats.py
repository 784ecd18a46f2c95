"""Seats, who may do what in them, and how fast."""

import pytest

from server.core.link import Link
from server.core.membership import Membership, Player
from server.core.permissions import ACT, JOIN, READ, permissions_of
from server.core.rate import Bucket
from server.core.seats import Seat, Seats
from server.core.sequence import IntentSequence
from server.core.tokens import Dial, Tokens
from tests.core.parts import Tape


def seat(session_id: str, player_id: str = "p") -> Seat:
    member = Membership(session_id, Player(player_id, "Ada", "player"))
    return Seat(member, 1, Tokens(b"a"), IntentSequence(8), Bucket(1, 1, 0))


def test_a_session_has_one_seat_until_it_is_freed() -> None:
    seats, ada = Seats(2), seat("ada")
    seats.claim(ada)
    with pytest.raises(AssertionError):
        seats.claim(seat("ada"))
    assert (ada, None, 1) == (seats.get("ada"), seats.get("bob"), len(seats))
    seats.free(ada)
    assert (None, 0) == (seats.get("ada"), len(seats))


def test_a_room_is_full_at_its_bound() -> None:
    seats = Seats(1)
    assert not seats.is_full
    seats.claim(seat("ada"))
    assert seats.is_full


def test_the_seats_of_a_player_are_found_and_may_be_freed_while_looked_at() -> None:
    seats = Seats(9)
    for session_id, player_id in (("a", "p"), ("b", "q"), ("c", "p")):
        seats.claim(seat(session_id, player_id))
    assert ["a", "c"] == [found.session_id for found in seats.of_player("p")]
    for each in seats:
        seats.free(each)
    assert 0 == len(seats)


def test_a_connection_starts_anew_and_its_loss_keeps_the_token_it_came_with() -> None:
    ada, tape = seat("ada"), Tape()
    link: Link = tape
    ada.unreadable = 9
    assert Dial.ACCEPTED is ada.tokens.dial(b"a", b"b")
    ada.connect(link, 7, 50)
    assert (link, ada, None, 50, 0) == (ada.link, link.seat, ada.held_until_ms, ada.active_at_ms, ada.unreadable)
    ada.disconnect(90)
    assert (None, 90, (b"a", b"b"), False) == (
        ada.link,
        ada.held_until_ms,
        ada.tokens.counting,
        ada.tokens.is_offered,
    )


def test_a_role_unknown_here_may_watch_and_no_more() -> None:
    assert (JOIN,) == permissions_of("wizard")
    assert (True, False) == (ACT in permissions_of("player"), READ in permissions_of("player"))
    assert READ in permissions_of("operator")


def test_a_bucket_holds_its_burst_and_gains_its_rate() -> None:
    bucket = Bucket(10, 3, 1_000)
    assert [True, True, True, False] == [bucket.take(1_000) for _ in range(4)]
    assert [False, True, False] == [bucket.take(at_ms) for at_ms in (1_099, 1_100, 1_100)]
    assert [True, True, True, False] == [bucket.take(10_000) for _ in range(4)]


def test_a_clock_that_goes_back_gains_nothing_and_starves_nobody() -> None:
    bucket = Bucket(10, 1, 10_000)
    assert bucket.take(10_000)
    assert not bucket.take(0)
    assert bucket.take(100)


def test_a_cost_is_taken_whole_or_not_at_all() -> None:
    bucket = Bucket(1, 5, 0)
    assert [False, True, False, True] == [bucket.take(0, cost) for cost in (6, 4, 2, 1)]
