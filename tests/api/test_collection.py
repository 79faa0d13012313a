"""Reports, submissions and the account's lists."""

import asyncio

import pytest

from tests.api.desk import EPOCH, Inside, Line, answer, client, loop_time, quickly
from worker.api import Urgency
from worker.api.bodies import BlockChange, NewBlock, WhereBlocked
from worker.api.submissions import WhereSubmission
from worker.errors import NotEntitled, NotFound, Rejected, ServerFault, Unsure
from worker.language.models import PatternType
from worker.sandbox import ACCOUNT, Fault, SandboxOptions, World

FACTS = Urgency.FACTS


def world(options: SandboxOptions | None = None) -> World:
    return World(ACCOUNT, now=lambda: EPOCH + loop_time(), options=options or SandboxOptions())


def new(pattern: str, type: PatternType = "DOMAIN") -> NewBlock:  # noqa: A002 (the API's word)
    return NewBlock(pattern=pattern, pattern_type=type, comments=f"worker {pattern}")


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
        await client(Inside(world(SandboxOptions(phishguard=False)))).phishguard.reports(start=0, end=1, urgency=FACTS)

    with pytest.raises(NotEntitled, match=r"^GET /phishguard/reports"):
        quickly(day)


def test_a_reclassification_is_found_among_the_submissions() -> None:
    async def day() -> None:
        inside = Inside(world())
        mail = inside.world.add_message()
        api = client(inside)
        await api.investigate.reclassify(mail.id, "SPAM")
        await asyncio.sleep(5)
        found = await api.submissions.list(WhereSubmission(type="TEAM"), start=EPOCH, end=EPOCH + 200)
        (submission,) = found.entries
        assert (submission.original_postfix_id, submission.requested_disposition) == (mail.id.split("-")[0], "SPAM")
        assert (found.complete, found.broken, len(found.records), found.total) == (True, 0, 1, 1)
        nobody = await api.submissions.list(WhereSubmission(type="USER"), start=EPOCH, end=EPOCH + 200)
        assert nobody.entries == ()

    quickly(day)


def test_a_broken_submission_is_counted_and_costs_only_itself() -> None:
    async def day() -> None:
        line = Line(answer([{"submission_id": "a"}, {"submission_id": []}]))
        found = await anext(client(line).submissions.walk(start=0, end=1))
        assert ([each.submission_id for each in found.entries], found.broken, len(found.records)) == (["a"], 1, 2)
        assert ("direction", "asc") in line.asked[0].query

    quickly(day)


def test_senders_are_blocked_and_let_go_in_one_request() -> None:
    async def day() -> None:
        inside = Inside(world())
        api = client(inside).settings.block_senders
        made = await api.batch(posts=[new("A@x.example", "EMAIL"), new("y.example")])
        first, second = made.posts or ()
        assert {(one.id, one.pattern) for one in (await api.all()).entries} == {
            (first.id, "A@x.example"),
            (second.id, "y.example"),
        }
        (third,) = (await api.batch(posts=[new("z.example")], deletes=[first.id])).posts or ()
        assert {entry.id for entry in (await api.all()).entries} == {second.id, third.id}
        assert (await api.list(WhereBlocked(pattern="z.example"))).entries == (third,)

    quickly(day)


def test_one_sender_is_blocked_once_and_let_go_once() -> None:
    async def day() -> None:
        api = client(Inside(world())).settings.block_senders
        entry = await api.create(new("x.example"))
        with pytest.raises(Rejected) as twice:
            await api.create(new("x.example"))
        assert twice.value.status == 409
        assert (await api.edit(entry.id, BlockChange(comments="mine"))).comments == "mine"
        assert (await api.get(entry.id)).comments == "mine"
        await api.delete(entry.id)
        with pytest.raises(NotFound):
            await api.delete(entry.id)

    quickly(day)


def test_a_lost_deletion_is_unsure_and_not_sent_again() -> None:
    async def day() -> int:
        inside = Inside(world())
        inside.world.faults.script([Fault("lost", "DELETE", "settings/block_senders")])
        with pytest.raises(Unsure, match=r"^DELETE /settings/block_senders/{id}"):
            await client(inside).settings.block_senders.delete("entry")
        return inside.world.requests["DELETE settings/block_senders/{id}"].total()

    assert quickly(day) == 1


@pytest.mark.parametrize("result", [{}, {"posts": None}])
def test_what_the_answer_to_a_batch_does_not_tell_is_none(result: object) -> None:
    async def day() -> object:
        return (await client(Line(answer(result))).settings.block_senders.batch(posts=[new("x.example")])).posts

    assert quickly(day) is None


def test_the_accounts_own_lists() -> None:
    async def day() -> None:
        api = client(Inside(world())).settings
        assert [one.domain for one in (await api.domains.all()).entries] == ["corp.example", "corp-eu.example"]
        assert [one.pattern for one in (await api.allow_policies.all()).entries] == ["billing@partner.example"]
        assert [one.pattern for one in (await api.trusted_domains.all()).entries] == ["partner.example"]

    quickly(day)


def test_a_long_list_is_read_whole_and_broken_entries_cost_only_themselves() -> None:
    async def day() -> None:
        rows: list[object] = [{"domain": f"D{number}.example"} for number in range(1000)]
        line = Line(
            answer(rows, info={"total_count": 1003}),
            answer([{"domain": [5]}, {}, {"domain": "Last"}], info={"total_count": 1003}),
        )
        found = await client(line).settings.domains.all()
        assert (len(found.entries), found.broken) == (1002, 1)
        assert (found.entries[0].domain, found.entries[-1].domain) == ("D0.example", "Last")
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
        return len((await client(Line(*answers)).settings.block_senders.all()).entries)

    assert quickly(lambda: day((1002, 1001), (1001, 1001))) == 1001
    with pytest.raises(ServerFault, match="kept changing"):
        quickly(lambda: day(*[(1002, 1001)] * 3))


def test_entries_of_the_block_list_that_cannot_be_read_are_counted() -> None:
    rows: list[object] = [{"id": "1"}, {"id": "2", "pattern": ["x"]}, 7]

    async def day() -> tuple[int, int]:
        listed = await client(Line(answer(rows, info={"total_count": 3}))).settings.block_senders.all()
        return len(listed.entries), listed.broken

    assert quickly(day) == (1, 2)
