"""What a run says in a sentence."""

import msgspec

from server.tools.bots.result import Asserted, Result, Spread
from server.tools.bots.verdict import found_by, verdict
from tests.bots.runs import run


def test_a_run_in_which_all_went_well_held_and_needs_no_caution() -> None:
    found = verdict(run())
    assert (True, "Both assertions held", []) == (found.held, found.headline, found.cautions)


def test_one_failed_assertion_is_enough() -> None:
    found = verdict(run(assertions=[Asserted("lost==0", 0.0, True), Asserted("ack.p99<5ms", 28.9, False)]))
    assert (False, "1 of 2 assertions failed") == (found.held, found.headline)


def test_a_broken_promise_is_no_success_even_where_nothing_was_asserted() -> None:
    found = verdict(run(lost=1, gaps=2, assertions=[]))
    assert (False, "A promise was broken") == (found.held, found.headline)
    assert "1 acked intent lost and 2 gaps in what was told" == found.promises
    for name in ("lost", "doubled", "gaps", "diverged"):
        assert not verdict(run(**{name: 1})).held


def test_a_run_without_acks_did_not_hold() -> None:
    found = verdict(run(sent=5, acked=0, ack_ms=Spread(), assertions=[], problem_count=1))
    assert (False, "Nothing was acked") == (found.held, found.headline)


def test_bots_that_asked_for_nothing_may_have_held() -> None:
    found = verdict(run(sent=0, acked=0, ack_ms=Spread(), assertions=[]))
    assert (True, "Nothing was asked for") == (found.held, found.headline)


def test_what_could_not_be_checked_is_no_success() -> None:
    found = verdict(run(problem_count=1))
    assert (False, "Not all could be checked") == (found.held, found.headline)


def test_a_reader_is_told_what_speaks_against_the_numbers() -> None:
    def cautions(result: Result) -> str:
        return " ".join(verdict(result).cautions)

    late = msgspec.structs.replace(run().late_ms, p99=20.0)
    assert "The bots were late" in cautions(run(late_ms=late))
    assert "98 % of a core" in cautions(run(bots_cpu_s=59.0))
    assert "30 s of 60 s" in cautions(run(seconds=30.0))
    assert "7 intents of 450,000 got no answer" in cautions(run(unanswered=7))
    assert "3 intents refused" in cautions(run(rejected={"degraded": 3}))
    assert "2 errors" in cautions(run(errors={"closed 1006": 2}))


def test_what_was_found_is_told_in_the_unit_that_was_asserted() -> None:
    assert "28.9 ms" == found_by(Asserted("ack.p99<50ms", 28.9, False))
    assert "1.24 %" == found_by(Asserted("rejected < 1 %", 1.2368, False))
    assert "3" == found_by(Asserted("lost==0", 3.0, False)) == found_by(Asserted("lost==0", 3, False))
    assert "nothing" == found_by(Asserted("seen.p99<50ms", None, False))


def test_a_run_of_rejects_alone_did_not_hold() -> None:
    assert not verdict(run(sent=5, acked=0, ack_ms=Spread(), assertions=[], rejected={"degraded": 5})).held
