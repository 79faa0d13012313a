"""How entries are sent, and what the answers mean."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.support import BEGIN, TestClock, client_of
from worker.errors import NotFound, Rejected, Temporary, Unsure
from worker.executor.handlers import HANDLERS, MOVES, Reply, Resources, batches
from worker.executor.notices import notice
from worker.language.actions import (
    ACTIONS,
    Adding,
    AllowSender,
    AnyAction,
    BlockSender,
    Disallow,
    Distrust,
    Keep,
    ListAction,
    Move,
    Notify,
    Reclassify,
    Release,
    Removing,
    TrustDomain,
    Unblock,
)
from worker.language.rules import ENFORCE
from worker.ledger.entries import Entry
from worker.sandbox import Fault, SandboxOptions, World

CLOCK = TestClock()
TWO = ["a@corp.example", "b@corp.example"]


def entry(action: AnyAction, target: str = "", number: int = 1, **fields: object) -> Entry:
    plain = Entry(
        id=f"E{number}", account="a", lane=action.lane, target=target or action.on, cause="c", action=action,
        state="claimed", mode=ENFORCE, rules=("lookalike",), fingerprints=("f",), because="why", item="i",
    )  # fmt: skip
    return replace(plain, **fields)


def sandbox(**options: object) -> World:
    return World(now=CLOCK.now, quota=None, options=replace_options(**options))


def replace_options(**options: object) -> SandboxOptions:
    return SandboxOptions(**options)  # type: ignore[arg-type]


async def send(world: World, entries: Sequence[Entry], notify: object = None) -> Reply:
    client, _ = client_of(world, CLOCK)
    return await HANDLERS[type(entries[0].action)].send(Resources(client, notify, CLOCK), entries)  # type: ignore[arg-type]


def states(reply: Reply) -> list[str]:
    return [answer.state for answer in reply.answers]


def test_moves_travel_by_destination_and_by_the_thousand() -> None:
    junk, trash = Move(destination="JunkEmail"), Move(destination="DeletedItems")
    entries = [entry(trash if number % 3 == 0 else junk, f"m{number}", number) for number in range(3000)]
    sizes = [(len(batch), {one.action for one in batch}) for batch in batches(MOVES, entries)]
    assert sizes == [(1000, {trash}), (1000, {junk}), (1000, {junk})]


async def test_one_bulk_call_moves_many() -> None:
    world = sandbox()
    mails = [world.add_message() for _ in range(3)]
    reply = await send(world, [entry(Move(destination="JunkEmail"), mail.id, n) for n, mail in enumerate(mails)])
    assert states(reply) == ["sent"] * 3
    assert world.requests == {"POST investigate/move": {"200": 1}}
    assert {mail.now.folder for mail in mails} == {"JunkEmail"}


async def test_a_move_that_fails_for_all_is_failed_in_the_apis_words() -> None:
    world = sandbox(integration="off")
    mails = [world.add_message(client_recipients=TWO) for _ in range(2)]
    reply = await send(world, [entry(Move(destination="JunkEmail"), mail.id, n) for n, mail in enumerate(mails)])
    assert states(reply) == ["failed", "failed"]
    assert "0 of 4 moved; no integration with write access" in reply.answers[0].said
    assert {answer.fault for answer in reply.answers} == {"no integration with write access for this mailbox"}


async def test_a_batch_that_fails_in_part_is_sent_and_says_so() -> None:
    world = sandbox()
    mails = [world.add_message(), world.add_message(quarantined=True)]
    reply = await send(world, [entry(Move(destination="JunkEmail"), mail.id, n) for n, mail in enumerate(mails)])
    assert states(reply) == ["sent", "sent"]
    assert reply.answers[0].said == "1 of 2 moved; the message is in quarantine"


async def test_a_release_tells_of_each_recipient() -> None:
    world = sandbox()
    held, free = world.add_message(quarantined=True, client_recipients=TWO), world.add_message()
    entries = [entry(Release(), held.id, 1), entry(Release(), free.id, 2), entry(Release(), "x-unknown", 3)]
    reply = await send(world, entries)
    assert states(reply) == ["sent"] * 3
    assert [(one.id, one.state, one.proof) for one in reply.outcomes] == [("E1", "done", "answered")]
    assert reply.answers[0].said == "delivered to 2 of 2"
    assert reply.answers[2].said == "the answer does not name this message"


async def test_a_release_that_reached_some_is_for_a_person() -> None:
    world = sandbox(release_failed=0.5)
    mails = [world.add_message(quarantined=True, client_recipients=TWO) for _ in range(20)]
    reply = await send(world, [entry(Release(), mail.id, n) for n, mail in enumerate(mails)])
    partly = {f"E{n}" for n, mail in enumerate(mails) if len(mail.now.released) == 1}
    assert partly
    assert {one.id for one in reply.outcomes if one.state == "waiting"} == partly


async def test_a_release_that_leaves_somebody_out_of_its_answer_is_not_done_yet() -> None:
    world = sandbox()
    mails = [world.add_message(quarantined=True, client_recipients=TWO) for _ in range(2)]
    left_out = entry(Release(), mails[0].id, 1, recipients=(*TWO, "c@corp.example"))
    whole = entry(Release(), mails[1].id, 2, recipients=tuple(TWO))
    reply = await send(world, [left_out, whole])
    assert states(reply) == ["sent", "sent"]
    assert [one.id for one in reply.outcomes] == ["E2"]


async def test_a_request_for_another_verdict_is_one_call() -> None:
    world = sandbox()
    mail = world.add_message()
    reply = await send(world, [entry(Reclassify(expected_disposition="SPAM"), mail.id)])
    assert states(reply) == ["sent"]
    assert [(effect.operation, effect.target) for effect in world.effects] == [("reclassify", mail.id)]


HOUR = timedelta(hours=1)
each_list = pytest.mark.parametrize(
    ("name", "adding", "removing"),
    [
        ("block_senders", BlockSender("c0rp.example", "DOMAIN", for_=HOUR), Unblock("old.example", "DOMAIN")),
        ("allow_policies", AllowSender("c0rp.example", "DOMAIN", for_=HOUR), Disallow("old.example", "DOMAIN")),
        ("trusted_domains", TrustDomain("c0rp.example", for_=HOUR), Distrust("old.example")),
    ],
)


@each_list
async def test_what_is_made_and_removed_on_one_list_is_one_batch(name: str, adding: Adding, removing: Removing) -> None:
    world = sandbox()
    old = world.add_entry(name, pattern="old.example", pattern_type="DOMAIN", comments="worker E0 x")
    reply = await send(world, [entry(adding), entry(removing, number=2, remote=old)])
    assert states(reply) == ["sent", "sent"]
    assert world.requests == {f"POST settings/{name}/batch": {"200": 1}}
    made, gone = world.effects[-1], world.effects[-2]
    assert (made.operation, made.target.removeprefix("domain:")) == (f"{name}.create", "c0rp.example")
    assert made.detail["id"] == reply.answers[0].remote
    assert made.detail["comments"] == "worker E1 lookalike, until 2026-09-21T15:13:20Z"
    assert (gone.operation, reply.answers[1].remote) == (f"{name}.delete", old)


@pytest.mark.parametrize(
    ("action", "flags"),
    [
        (AllowSender("a@b.example"), {"is_acceptable_sender", "verify_sender"}),
        (AllowSender("a@b.example", kind="trusted", verify=False), {"is_trusted_sender"}),
        (TrustDomain("b.example"), {"is_similarity"}),
        (TrustDomain("b.example", similarity=False, recent=True), {"is_recent"}),
    ],
)
async def test_a_sender_is_spared_what_was_asked_for_and_nothing_else(action: AnyAction, flags: set[str]) -> None:
    world = sandbox()
    await send(world, [entry(action)])
    (made,) = world.effects
    listed = world.lists[made.operation.partition(".")[0]][str(made.detail["id"])].value or {}
    assert {name for name, value in listed.items() if value is True} == flags


def test_each_list_has_a_queue_of_its_own() -> None:
    queues = {kind: handler.queue for kind, handler in HANDLERS.items() if issubclass(kind, ListAction)}
    assert queues == {kind: kind.lane for kind in queues}
    assert len(set(queues.values())) == 3


@each_list
async def test_a_pattern_that_is_listed_already_is_for_the_list_to_judge(
    name: str, adding: Adding, removing: Removing
) -> None:
    world = sandbox()
    world.add_entry(name, pattern="c0rp.example", pattern_type="DOMAIN")
    bad = entry(replace(adding, pattern="no domain"), number=2)
    assert states(await send(world, [entry(adding)])) == ["unsure"]
    with pytest.raises(Rejected):
        await send(world, [entry(adding), bad])
    with pytest.raises(Rejected):
        await send(world, [bad])
    assert states(await send(world, [entry(removing, remote="nowhere")])) == ["unsure"]
    with pytest.raises(NotFound):
        await send(world, [entry(removing, remote="nowhere"), entry(removing, remote="nowhere either", number=2)])


async def test_an_answer_that_got_lost_is_unsure() -> None:
    world = sandbox()
    mail = world.add_message()
    world.faults.script([Fault("lost", "POST", "investigate/move")])
    with pytest.raises(Unsure):
        await send(world, [entry(Move(destination="JunkEmail"), mail.id)])
    assert mail.now.folder == "JunkEmail"


async def test_one_notice_tells_of_many_and_proves_itself() -> None:
    heard: list[tuple[str, str]] = []

    async def listen(channel: str, text: str) -> None:
        heard.append((channel, text))

    entries = [
        entry(Notify(channel="soc"), number=n, sender="x@c0rp.example", subject="pay\x1b[2J\nnow") for n in range(12)
    ]
    reply = await send(sandbox(), entries, listen)
    assert [one.state for one in reply.outcomes] == ["done"] * 12
    ((channel, text),) = heard
    lines = text.split("\n")
    assert (channel, lines[0], lines[-1]) == ("soc", "lookalike: 12 notices", "and 2 more, up to entry E11")
    assert "\x1b" not in text
    assert len(lines) == 12
    assert "entry E3" in text


async def test_a_channel_that_does_not_take_it_is_asked_again_later_each_time() -> None:
    async def refuse(_: str, __: str) -> None:
        raise Temporary("the line is busy", after=300)

    async def break_down(_: str, __: str) -> None:
        raise OSError("no route to https://soc:secret@hooks.example\x1b[2J")

    once, often = entry(Notify(channel="soc"), attempts=1), entry(Notify(channel="soc"), attempts=3)
    busy = (await send(sandbox(), [once], refuse)).answers[0]
    broken = (await send(sandbox(), [once], break_down)).answers[0]
    later = (await send(sandbox(), [often], break_down)).answers[0]
    assert (busy.state, busy.said, busy.next_at) == ("unsure", "the line is busy", BEGIN + 300)
    assert (broken.said, broken.next_at < later.next_at) == (
        "channel 'soc' did not take the notice, because its service failed (OSError)",
        True,
    )


async def test_without_an_address_a_notice_fails_and_names_the_setting() -> None:
    reply = await send(sandbox(), [entry(Notify(channel="soc"))])
    assert states(reply) == ["failed"]
    assert "WORKER_NOTIFY_SOC" in reply.answers[0].said


def test_a_notice_says_how_the_rest_of_its_decision_ended() -> None:
    one = entry(Notify(channel="soc"), subject="pay", said="Move done")
    assert notice([one]) == "lookalike: 1 notice\n- why · 'pay' · Move done · entry E1"


@pytest.mark.parametrize(
    ("subject", "sender", "about"),
    [
        ("pay", "x@c0rp.example", "'pay' from x@c0rp.example"),
        ("pay", "", "'pay'"),
        ("", "x@c0rp.example", "from x@c0rp.example"),
        ("", "", r"Message 4N/a-\u202E1"),
    ],
)
def test_a_notice_names_what_it_is_about_by_what_can_be_read_of_it(subject: str, sender: str, about: str) -> None:
    cause = "2026-11-20T17:22:10Z/Message/4N/a-\u202e1/2"
    one = entry(Notify(channel="soc"), cause=cause, subject=subject, sender=sender)
    assert notice([one]).splitlines()[1] == f"- why · {about} · entry E1"


def test_every_action_but_keep_has_a_handler() -> None:
    assert set(HANDLERS) == set(ACTIONS.values()) - {Keep}
