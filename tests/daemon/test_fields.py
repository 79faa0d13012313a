"""The fields of what is read: remembered across restarts, told to whom it concerns, and given up after a week."""

import time

import pytest
from msgspec.structs import replace

from tests.daemon import test_reasons as reasons
from tests.daemon.bench import Bench
from tests.faults.rig import Trapped
from tests.rule_files import rule_files
from worker.daemon import App
from worker.judging.presence import FORGOTTEN, MISSED
from worker.judging.watches import UNDER_WAY
from worker.ledger.lives import MailSearch
from worker.ledger.presence import FieldMemory, Track, encode
from worker.sandbox import ACCOUNT

pytestmark = pytest.mark.slow  # it starts a process
NAMES = """
    @rule
    def names(message: Message) -> Move | None:
        "Look at where it came from."
        return Move("JunkEmail") if message.{name} else None
"""

LOOKS = """
    from worker import ActionLog

    @rule
    def looks(message: Message, fact: {fact}) -> Move | None:
        "Look at a fact."
        return Move("JunkEmail") if {code} else None
"""


def missing(*paths: str, days: float = 0.0) -> dict[str, FieldMemory]:
    """Return the memory of fields of mail that have been gone for so many days."""
    since = time.time() - 60 - days * 86400
    track = Track(began=since - 86400, usual_at=since - 1, missed=MISSED, since=since, last=since + 30)
    return {"messages": FieldMemory(there=dict.fromkeys(paths, track))}


async def open_with(app: App, memory: dict[str, FieldMemory]) -> App:
    """Begin with this memory in the ledger."""
    await app.services.ledger.keep_presence(ACCOUNT, encode(memory))
    await app.begin()
    return app


@pytest.mark.parametrize(
    ("name", "path", "needs"),
    [
        ("from_name", "from_name", "which names needs"),
        ("x_originating_ip", "from_name", ""),
        ("dmarc", "validation.dmarc", "which the worker itself and names needs"),
        ("dmarc", "validation", "which the worker itself and names needs"),
        ("domain", "sender", "which the worker itself and names needs"),
        ("spf", "is_quarantined", "which the worker itself needs"),
    ],
)
async def test_a_field_that_nobody_needs_is_a_warning(bench: Bench, name: str, path: str, needs: str) -> None:
    rule_files(bench.rules, names=NAMES.format(name=name))
    async with bench.app() as app:
        await open_with(app, missing(path))
        told, found = app.find_reasons(), app.check_readiness()
    assert (bool(told), needs in "".join(told)) == (bool(needs), True)
    assert [says for says in found.warnings if "which no rule needs" in says][:1] == list(
        found.warnings if not needs else ()
    )


async def test_a_field_is_missed_after_a_restart_and_given_up_after_a_week(bench: Bench) -> None:
    async with bench.app() as app:
        await open_with(app, missing("sender"))
        await app.end()
    async with bench.app() as app:
        await app.begin()
        assert "field_missing" in app.check_readiness().reasons
        bench.ahead = FORGOTTEN
        assert app.find_reasons() == ()
        await app.workers[0].fields.keep()
        assert "a field is given up: it has been missing for 7 days" in [line["event"] for line in bench.told()]
        kept = await app.services.ledger.read_presence(ACCOUNT)
        assert not kept["messages"].there["sender"].usual_at


async def test_what_a_loop_reads_is_looked_at_and_remembered(bench: Bench) -> None:
    bench.world = Trapped(now=time.time)
    async with bench.api(), bench.app() as app:
        await app.begin()
        bench.world.arrive(5, "outbreak")
        await app.workers[0].intakes[0].read_head()
        await app.end()
        kept = await app.services.ledger.read_presence(ACCOUNT)
    assert kept["messages"].there["sender"].looked == 5


async def test_mail_that_comes_with_the_field_again_ends_it(bench: Bench) -> None:
    bench.world = Trapped(now=time.time)
    async with bench.api(), bench.app() as app:
        await reasons.lack_field(bench, app.services.ledger)
        await app.begin()
        await app.workers[0].intakes[0].read_head()
        assert len(app.find_reasons()) == 1
        bench.world.trap = None
        bench.world.add_message(sender="ada@c0rp.example")
        await app.workers[0].intakes[0].read_head()
        assert list(app.workers[0].intakes[0].fields.find_losses(time.time())) == []


async def test_mail_that_was_judged_without_a_field_is_judged_by_it_after_a_restart(bench: Bench) -> None:
    bench.world = Trapped(now=time.time)
    rule_files(bench.rules, moves=NAMES.format(name="sender"))
    async with bench.api(), bench.app() as app:
        await reasons.lack_field(bench, app.services.ledger)
        await app.begin()
        await app.workers[0].intakes[0].read_head()
        bench.world.trap = None
        bench.world.add_message(sender="ada@c0rp.example")
        await app.workers[0].intakes[0].read_head()
        assert len(await app.services.ledger.entries(ACCOUNT)) == 1
        await app.end()
    bench.ahead = UNDER_WAY + 1
    async with bench.api(), bench.app() as app:
        await app.begin()
        await app.workers[0].fields.keep()
        while not await app.workers[0].intakes[0].read_behind():
            pass
        assert len(await app.services.ledger.entries(ACCOUNT)) == 2
        (mail, *_) = await app.services.ledger.find_mails(ACCOUNT, MailSearch(id=next(iter(bench.world.by_id))))
        seen = (await app.services.ledger.read_life(mail)).sights
        assert [one.lacked for one in seen] == [("sender",), ()]
        assert mail.sender == "ada@c0rp.example"


@pytest.mark.parametrize(
    ("fact", "group", "path", "code"),
    [
        ("Detection", "Detection", "links", "fact.links"),
        ("Trace", "Trace", "inbound.lines", "fact.inbound.lines"),
        ("ActionLog", "ActionLog MOVE", "properties.folder", "any(line.folder for line in fact.entries)"),
    ],
)
async def test_a_field_of_a_fact_is_missed_if_a_rule_needs_it_and_is_back(
    bench: Bench, fact: str, group: str, path: str, code: str
) -> None:
    bench.world, name = Trapped(now=time.time), path.rpartition(".")[2].encode()
    rule_files(bench.rules, looks=LOOKS.format(fact=fact, code=code))
    bench.world.trap = lambda _, answer: replace(answer, body=answer.body.replace(b'"%s":' % name, b'"renamed":'))
    async with bench.api(), bench.app() as app:
        await open_with(app, {group: FieldMemory(there={path: reasons.lacking_so_far()})})
        await ask_for_fact(bench, app)
        (told,) = app.find_reasons()
        assert told.startswith(f"{fact}: {path} is missing in the last {MISSED} records of {group} that")
        assert "which looks needs" in told
        bench.world.trap = None
        await ask_for_fact(bench, app)
        assert app.find_reasons() == ()


async def ask_for_fact(bench: Bench, app: App) -> None:
    """Let a mail arrive that has been moved, and a rule ask for a fact about it."""
    mail = bench.world.add_message(sender="ada@c0rp.example")
    bench.world.move_by_hand(mail.id, "JunkEmail")
    await app.workers[0].intakes[0].read_head()
    await app.workers[0].held.step()


@pytest.mark.parametrize(
    ("name", "field", "needing"),
    [
        ("impersonation_registry", "is_email_regex", "the worker itself and looks"),
        ("allow_policies", "is_acceptable_sender", "the worker itself and looks"),
        ("trusted_domains", "comments", "the worker itself"),
        ("domains", "authorization", "the worker itself"),
        ("trusted_domains", "is_similarity", "no rule"),
    ],
)
async def test_a_field_that_has_gone_from_a_list_is_told_at_its_next_read_and_after_a_restart(
    bench: Bench, name: str, field: str, needing: str
) -> None:
    bench.world, fact = Trapped(now=time.time), "Registry" if name == "impersonation_registry" else "Policies"
    bench.world.add_entry("trusted_domains", pattern="b.example", is_recent=True, is_similarity=True, is_regex=False)
    bench.world.add_entry("allow_policies", pattern="c.example", pattern_type="DOMAIN", is_acceptable_sender=True)
    rule_files(bench.rules, looks=LOOKS.format(fact=fact, code="repr(fact)"))
    async with bench.api(), bench.app() as app:
        await app.begin()
        await getattr(app.workers[0].client.settings, name).all()
        await app.end()
    new = f'"{field}_new":'.encode()
    bench.world.trap = lambda _, answer: replace(answer, body=answer.body.replace(b'"%s":' % field.encode(), new))
    async with bench.api(), bench.app() as app:
        await app.begin()
        await getattr(app.workers[0].client.settings, name).all()
        told = app.check_readiness()
        assert f"which {needing} needs" in "".join(told.warnings if needing == "no rule" else app.find_reasons())
        assert ("field_missing" in told.reasons) == (needing != "no rule")


async def test_an_entry_of_a_list_that_does_not_say_whom_it_is_about_is_a_warning_until_it_does(bench: Bench) -> None:
    bench.world = Trapped(now=time.time)
    bench.world.add_entry("trusted_domains", pattern="b.example", is_recent=True, is_similarity=True, is_regex=False)
    bench.world.trap = lambda _, answer: replace(answer, body=answer.body.replace(b'"b.example"', b"null"))
    async with bench.api(), bench.app() as app:
        await app.begin()
        await app.workers[0].client.settings.trusted_domains.all()
        told = "".join(app.check_readiness().warnings)
        bench.world.trap = None
        await app.workers[0].client.settings.trusted_domains.all()
        assert ("has no pattern, so nobody knows whom it is about" in told, app.workers[0].list_unnamed()) == (True, [])
