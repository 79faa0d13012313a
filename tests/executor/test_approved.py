"""A person's word: what it covers, and that nothing but news takes it back."""

import pytest
from msgspec.structs import replace

from tests.desk import Desk
from tests.executor.test_postconditions import JUNK, entry, line, log, look
from worker.executor.preconditions import advise
from worker.language.actions import AllowSender, Release
from worker.ledger.entries import Claim, Look, State
from worker.sandbox import ACCOUNT, Fault


async def test_a_word_against_a_block_outlives_a_request_that_could_not_leave() -> None:
    desk = Desk()
    desk.world.add_entry("block_senders", pattern="carol@shop.example", pattern_type="EMAIL", comments="by hand")
    await desk.enter(AllowSender("carol@shop.example"))
    await desk.run(30)
    await desk.approve()
    desk.world.faults.script([Fault("paced", "POST", "settings/allow_policies/batch")])
    await desk.run(400)
    assert (await desk.states(), desk.ours("allow_policies.create")) == (["done"], ["email:carol@shop.example"])


async def test_a_word_about_mail_that_somebody_let_through_outlives_a_request_that_could_not_leave() -> None:
    desk = Desk()
    mail = await desk.let_through(JUNK)
    await desk.approve()
    desk.world.faults.script([Fault("paced", "POST", "investigate/move")])
    await desk.run(400)
    assert (await desk.states(), desk.ours()) == (["done"], [mail.id])


async def test_a_word_outlives_the_process_that_was_to_follow_it() -> None:
    desk = Desk()
    mail = await desk.let_through(JUNK)
    desk.clock.advance(30)
    await desk.approve()
    claim = Claim((await desk.only()).id, Look(desk.clock.now(), "MALICIOUS|delivered"))
    await desk.ledger.claim(ACCOUNT, [claim], desk.standing(), desk.clock.now(), desk.clock.now() + 20)
    desk.restart()
    await desk.run(400)
    assert (await desk.states(), desk.ours()) == (["done"], [mail.id])


@pytest.mark.parametrize(("released_after", "does"), [(1, "go"), (100, "moot")])
def test_the_first_attempt_of_a_release_is_no_hand_of_others(released_after: float, does: str) -> None:
    rest = entry(Release(), "ready", approved_by="ada", answered_at=entry().claimed_at + 1, said="delivered to 1 of 2")
    seen = replace(look(200, "QUARANTINE_RELEASE"), quarantined=True)
    advice = advise(rest, seen, (), log(200, line(released_after, "QUARANTINE_RELEASE", folder="", by="somebody")))
    assert advice is not None
    assert advice.do == does


@pytest.mark.parametrize(("ended", "asks"), [("done", False), ("failed", True), ("lapsed", True)])
def test_only_a_release_of_ours_that_is_proved_explains_that_mail_was_let_through(ended: State, *, asks: bool) -> None:
    ours, mine = entry(Release(), ended, claimed_at=entry().claimed_at - 500), entry(JUNK, "ready", attempts=0)
    assert (advise(mine, look(5, "QUARANTINE_RELEASE"), (ours,), None) is None) is asks
