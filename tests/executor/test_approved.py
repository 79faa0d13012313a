"""A person's word: what it covers, and that nothing but news takes it back."""

import pytest
from msgspec.structs import replace

from tests.desk import Desk
from tests.executor.test_postconditions import JUNK, entry, line, log, look
from tests.ledger.babel import speak_another_language
from worker.executor.preconditions import advise
from worker.language.actions import AllowSender, Release
from worker.ledger.entries import Claim, Look, State
from worker.sandbox import ACCOUNT, Fault
from worker.sandbox.account.mail import Mail, log_entry


async def test_a_word_against_a_block_outlives_a_request_that_could_not_leave() -> None:
    desk = Desk()
    speak_another_language(desk.runner)
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


def touch(desk: Desk, mail: Mail, by: str) -> None:
    """Put one more release into the log of a message, a second later."""
    desk.clock.advance(1)
    line = log_entry("QUARANTINE_RELEASE", desk.clock.now(), "OK", by)
    mail.become(desk.clock.now(), replace(mail.now, log=(*mail.now.log, line)))


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 6, 40, 400])
@pytest.mark.parametrize("touched_since", [False, True])
async def test_a_word_holds_however_long_the_log_is_until_somebody_touches_the_message(
    lines: int, *, touched_since: bool
) -> None:
    desk = Desk()
    speak_another_language(desk.runner)
    (mail,) = desk.old(quarantined=True)
    await desk.enter(JUNK, [mail])
    desk.world.release_by_hand(mail.id)
    for number in range(lines):
        touch(desk, mail, f"{'a' * 80}-{number}@corp.example")
    await desk.run(1)
    if touched_since:
        touch(desk, mail, f"{'a' * 80}-0@corp.example")
    await desk.approve()
    await desk.run(400)
    assert await desk.states() == (["moot"] if touched_since else ["done"])


@pytest.mark.parametrize("touched", ["moved", "judged anew"])
async def test_nothing_approved_is_done_to_mail_that_somebody_touched_a_moment_before(touched: str) -> None:
    desk = Desk()
    (mail,) = desk.old()
    await desk.enter(JUNK, [mail], state="waiting")
    await desk.run(1)
    desk.looks.remember(mail.id, Look(desk.clock.now(), "MALICIOUS|delivered"))
    if touched == "moved":
        desk.world.move_by_hand(mail.id, "DeletedItems")
    else:
        desk.world.change_verdict(mail.id, "NONE")
    await desk.approve()
    await desk.run(400)
    assert (await desk.states(), desk.ours()) == (["moot"], [])


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
