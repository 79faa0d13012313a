"""Of which mail the ledger keeps by what people know it."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.desk import RULE
from tests.reading import Room
from tests.support import garbling
from worker.ledger.lives import MailSearch
from worker.observations import read_scan_time
from worker.rulehost.host import BundleInfo
from worker.sandbox import ACCOUNT

SENDER = "ivo@example.net"


def room(**rule: Any) -> Room:  # noqa: ANN401 (fields of a rule)
    """Return a room with one rule."""
    one = Room()
    one.rules.bundle = BundleInfo(fingerprint="b", rules=(replace(RULE, **rule),))
    return one


async def find(one: Room, **search: Any) -> list[str]:  # noqa: ANN401
    return [mail.id for mail in await one.ledger.find_mails(ACCOUNT, MailSearch(**search))]


@pytest.mark.parametrize(
    ("rule", "verdict", "is_known"),
    [
        ({}, "SPAM", True),
        ({"dispositions": ("SPAM", "BULK")}, "SPAM", True),
        ({"dispositions": ("MALICIOUS",)}, "SPAM", False),
        ({"trigger": "Report"}, "SPAM", False),
    ],
)
async def test_mail_that_a_rule_hears_is_found_by_its_sender(
    rule: dict[str, Any],
    verdict: str,
    is_known: bool,  # noqa: FBT001
) -> None:
    one = room(**rule)
    mail = one.world.add_message(disposition=verdict, sender=SENDER)
    await one.read()
    assert await find(one, sender=SENDER) == [mail.id] * is_known
    assert await find(one, id=mail.id, scanned_at=read_scan_time(mail.id)) == [mail.id]


async def test_mail_is_found_by_its_sender_from_the_verdict_on_that_a_rule_hears() -> None:
    one = room(dispositions=("MALICIOUS",))
    mail = one.world.add_message(disposition="SPAM", sender=SENDER)
    await one.read()
    assert await find(one, sender=SENDER) == []
    for verdict in ("MALICIOUS", "SPAM", "MALICIOUS"):
        one.world.change_verdict(mail.id, verdict)
        await one.read(400)
        assert await find(one, sender=SENDER) == [mail.id]


async def test_while_rules_are_loaded_anew_all_mail_is_kept_by_its_names() -> None:
    one = Room()
    mail = one.world.add_message(disposition="SPAM", sender=SENDER)
    await one.read()
    assert await find(one, sender=SENDER) == [mail.id]


async def test_mail_whose_names_are_alike_once_they_are_cut_is_kept_like_any_other() -> None:
    one = Room()
    mail = one.world.add_message()
    long = mail.id.replace(mail.postfix, "4" * 400)
    named = f'"id":"{mail.id}","postfix_id":"{mail.postfix}"'.encode()
    one.meddle = garbling(named, b'"id":"%s"' % long.encode())
    await one.read()
    assert await one.targets() == [long]


async def test_rules_are_sent_only_the_mail_that_one_of_them_hears() -> None:
    one = room(dispositions=("MALICIOUS",))
    mail = [one.world.add_message(disposition=verdict).id for verdict in ("MALICIOUS", "SPAM", "NONE", "MALICIOUS")]
    await one.read()
    assert {event.key.split("/")[2] for event in one.rules.heard} == {mail[0], mail[3]}
