"""Reports, submissions and the account's lists."""

import asyncio

import pytest

from tests.api.desk import EPOCH, Inside, Line, answer, client, loop_time, quickly
from worker.api import Urgency
from worker.errors import NotEntitled, NotFound, Rejected, ServerFault, Unsure
from worker.sandbox import ACCOUNT, Fault, Switches, World

FACTS = Urgency.FACTS


def world(switches: Switches | None = None) -> World:
    return World(ACCOUNT, now=lambda: EPOCH + loop_time(), messages=0, switches=switches or Switches())


def test_reports_are_read_page_by_page() -> None:
    async def day() -> int:
        inside = Inside(world())
        mail = inside.world.add_message()
        for _ in range(5):
            inside.world.add_report(mail, disposition="MALICIOUS")
        api = client(inside).phishguard
        pages = [
            await api.reports(start=EPOCH, end=EPOCH + 200, page=page, per_page=2, urgency=FACTS)
            for page in (1, "2", 3)
        ]
        assert [page.next for page in pages] == ["2", "3", None]
        return len({bytes(record) for page in pages for record in page.records})

    assert quickly(day) == 5


def test_reports_without_their_subscription_are_told_apart() -> None:
    async def day() -> None:
        await client(Inside(world(Switches(phishguard=False)))).phishguard.reports(start=0, end=1, urgency=FACTS)

    with pytest.raises(NotEntitled, match=r"^GET /phishguard/reports"):
        quickly(day)


def test_a_reclassification_is_found_among_the_submissions() -> None:
    async def day() -> None:
        inside = Inside(world())
        mail = inside.world.add_message()
        api = client(inside)
        await api.investigate.reclassify(mail.id, "SPAM")
        await asyncio.sleep(5)
        found = await api.submissions.submissions(start=EPOCH, end=EPOCH + 200, type="TEAM", urgency=Urgency.PROVE)
        (submission,) = found.submissions
        assert (submission.original_postfix_id, submission.requested_disposition) == (mail.id.split("-")[0], "SPAM")
        assert (found.complete, found.broken, len(found.records), found.total) == (True, 0, 1, 1)
        nobody = await api.submissions.submissions(start=EPOCH, end=EPOCH + 200, type="USER", urgency=FACTS)
        assert nobody.submissions == ()

    quickly(day)


def test_a_broken_submission_is_counted_and_costs_only_itself() -> None:
    async def day() -> None:
        line = Line(answer([{"submission_id": "a"}, {"submission_id": 5}]))
        found = await client(line).submissions.submissions(start=0, end=1, urgency=FACTS)
        assert ([each.submission_id for each in found.submissions], found.broken, len(found.records)) == (["a"], 1, 2)
        assert ("direction", "asc") in line.asked[0].query

    quickly(day)


def test_senders_are_blocked_and_let_go_in_one_request() -> None:
    async def day() -> None:
        inside = Inside(world())
        api = client(inside).settings
        first, second = await api.batch_block(
            [("A@x.example", "EMAIL", "worker 1"), ("y.example", "DOMAIN", "worker 2")]
        )
        listed = {entry.id: (entry.pattern, entry.comments) for entry in (await api.all_blocked(FACTS)).blocked}
        assert listed == {first: ("A@x.example", "worker 1"), second: ("y.example", "worker 2")}
        (third,) = await api.batch_block([("z.example", "DOMAIN", "worker 3")], deletes=[first])
        assert {entry.id for entry in (await api.all_blocked(FACTS)).blocked} == {second, third}
        assert (await api.blocked(pattern="z.example", urgency=FACTS)).blocked[0].id == third

    quickly(day)


def test_one_sender_is_blocked_once_and_let_go_once() -> None:
    async def day() -> None:
        api = client(Inside(world())).settings
        entry = await api.block_one("x.example", "DOMAIN", "worker 1")
        with pytest.raises(Rejected) as twice:
            await api.block_one("x.example", "DOMAIN", "worker 2")
        assert twice.value.status == 409
        await api.delete(entry)
        with pytest.raises(NotFound):
            await api.delete(entry)

    quickly(day)


def test_a_lost_deletion_is_unsure_and_not_sent_again() -> None:
    async def day() -> int:
        inside = Inside(world())
        inside.world.faults.script([Fault("lost", "DELETE", "settings/block_senders")])
        with pytest.raises(Unsure, match=r"^DELETE /settings/block_senders/{id}"):
            await client(inside).settings.delete("entry")
        return inside.world.requests["DELETE settings/block_senders/{id}"].total()

    assert quickly(day) == 1


@pytest.mark.parametrize("result", [{}, {"posts": None}, {"posts": [{"id": "i", "pattern": "x.example"}]}])
def test_an_entry_that_the_answer_does_not_show_has_no_id(result: object) -> None:
    async def day() -> tuple[str, ...]:
        return await client(Line(answer(result))).settings.batch_block([("x.example", "DOMAIN", "c")])

    assert quickly(day) == ("",)


def test_the_accounts_own_lists() -> None:
    async def day() -> None:
        api = client(Inside(world())).settings
        assert await api.domains() == ("corp.example", "corp-eu.example")
        assert [policy.pattern for policy in await api.allow_policies()] == ["billing@partner.example"]
        assert [domain.pattern for domain in await api.trusted_domains()] == ["partner.example"]

    quickly(day)


def test_a_long_list_is_read_whole_and_broken_entries_cost_only_themselves() -> None:
    async def day() -> None:
        rows: list[object] = [{"domain": f"D{number}.example"} for number in range(1000)]
        line = Line(
            answer(rows, info={"total_count": 1003}),
            answer([{"domain": 5}, {}, {"domain": "Last"}], info={"total_count": 1003}),
        )
        found = await client(line).settings.domains()
        assert (len(found), found[0], found[-1]) == (1001, "d0.example", "last")
        assert [dict(asked.query)["page"] for asked in line.asked] == ["1", "2"]

    quickly(day)


def test_a_list_that_changes_while_it_is_read_is_read_again_and_then_not_believed() -> None:
    page = [{"id": str(number)} for number in range(1000)]

    async def day(*readings: tuple[int, int]) -> int:
        answers = [
            answer(rows, info={"total_count": total})
            for first, second in readings
            for rows, total in ((page, first), ([{"id": "x"}], second))
        ]
        return len((await client(Line(*answers)).settings.all_blocked(FACTS)).blocked)

    assert quickly(lambda: day((1002, 1001), (1001, 1001))) == 1001
    with pytest.raises(ServerFault, match="kept changing"):
        quickly(lambda: day(*[(1002, 1001)] * 3))


def test_entries_of_the_block_list_that_cannot_be_read_are_counted() -> None:
    rows: list[object] = [{"id": "1"}, {"id": "2", "comments": ["worker"]}, 7]

    async def day() -> tuple[int, int]:
        listed = await client(Line(answer(rows, info={"total_count": 3}))).settings.all_blocked(FACTS)
        return len(listed.blocked), listed.broken

    assert quickly(day) == (1, 2)
