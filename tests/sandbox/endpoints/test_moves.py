"""Moving and releasing: folders, items per recipient, what fails inside a 200, and who is told what."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.cells import each
from tests.sandbox.sandbox import Sandbox, told
from worker.sandbox import SandboxOptions, label
from worker.sandbox.account.mail import DESTINATIONS, QUARANTINE, Mail


def move(sandbox: Sandbox, *mails: Mail, to: str = "JunkEmail") -> list[dict[str, object]]:
    reply = sandbox.ask("POST", "investigate/move", {"ids": [mail.id for mail in mails], "destination": to})
    assert reply.status == 200
    items: list[dict[str, object]] = reply.result
    return items


def test_a_move_answers_per_recipient_and_names_no_message() -> None:
    sandbox = Sandbox()
    recipients = ["a@corp.example", "b@corp.example"]
    mail = sandbox.world.add_message(client_recipients=recipients)
    items = move(sandbox, mail)
    assert [item["recipient"] for item in items] == recipients
    assert all(item["success"] for item in items)
    assert mail.id not in str(items)
    assert (mail.now.folder, mail.now.delivery, mail.now.operations) == ("JunkEmail", ("moved",), ("MOVE",))


def test_a_single_move_answers_with_a_list_too() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    reply = sandbox.ask("POST", f"investigate/{mail.id}/move", {"destination": "DeletedItems"})
    assert [item["success"] for item in reply.result] == [True]
    assert sandbox.ask("POST", "investigate/none/move", {"destination": "Inbox"}).status == 404


def test_a_second_move_to_the_same_place_changes_nothing_and_counts() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    move(sandbox, mail)
    move(sandbox, mail)
    assert [(effect.target, effect.changed) for effect in sandbox.world.effects] == [(mail.id, True), (mail.id, False)]
    assert sandbox.world.repeats() == sandbox.world.effects[1:]
    assert {effect.by for effect in sandbox.world.effects} == {label("a-token")}
    assert len(mail.now.log) == 2


def test_an_unknown_message_fails_as_an_item_among_others() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    reply = sandbox.ask("POST", "investigate/move", {"ids": [mail.id, "none"], "destination": "JunkEmail"})
    assert [item["success"] for item in reply.result] == [True, False]


def test_mail_in_quarantine_cannot_be_moved() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(quarantined=True)
    assert move(sandbox, mail)[0]["success"] is False
    assert (mail.now.folder, mail.now.delivery, mail.now.operations) == (QUARANTINE, ("quarantined",), None)
    assert sandbox.world.effects[0].changed is False


def test_a_move_may_fail_for_some_recipients() -> None:
    sandbox = Sandbox(options=SandboxOptions(move_failed=0.5))
    recipients = [f"{n}@corp.example" for n in range(30)]
    mail = sandbox.world.add_message(client_recipients=recipients)
    assert {item["success"] for item in move(sandbox, mail)} == {True, False}
    assert mail.now.delivery == ("move_failed", "moved")
    assert mail.now.folder == "JunkEmail"


def test_a_move_that_failed_for_everybody_is_in_the_log_only() -> None:
    sandbox = Sandbox(options=SandboxOptions(move_failed=1.0))
    mail = sandbox.world.add_message()
    move(sandbox, mail)
    assert (mail.now.folder, mail.now.operations, mail.now.delivery) == ("Inbox", None, ("move_failed",))
    assert mail.now.log[0]["status"] != "OK"


def test_without_an_integration_every_item_fails_or_the_request_is_refused() -> None:
    off = Sandbox(options=SandboxOptions(integration="off"))
    assert move(off, off.world.add_message())[0]["success"] is False
    refused = Sandbox(options=SandboxOptions(integration="refused"))
    body = {"ids": [refused.world.add_message().id], "destination": "Inbox"}
    assert refused.ask("POST", "investigate/move", body).status == 400


def test_a_google_mailbox_has_no_soft_delete() -> None:
    sandbox = Sandbox(options=SandboxOptions(google=True))
    mail = sandbox.world.add_message()
    assert move(sandbox, mail, to="RecoverableItemsDeletions")[0]["success"] is False
    assert move(sandbox, mail, to="DeletedItems")[0]["success"] is True


def test_what_was_purged_is_gone() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    move(sandbox, mail, to="RecoverableItemsPurges")
    assert move(sandbox, mail, to="Inbox")[0]["success"] is False
    assert mail.now.folder == "RecoverableItemsPurges"


@each(
    "body",
    [
        {"ids": ["x"]},
        {"ids": ["x"], "destination": "Archive"},
        {"ids": [], "destination": "Inbox"},
        {"ids": ["x"] * 1001, "destination": "Inbox"},
        {"ids": "x", "destination": "Inbox"},
        {"ids": ["x"], "destination": "Inbox", "expected_disposition": "EVIL"},
        [],
        b"\xff",
    ],
)
def test_a_move_that_does_not_fit_is_refused_and_does_nothing(body: object) -> None:
    sandbox = Sandbox()
    assert sandbox.ask("POST", "investigate/move", body).status == 400
    assert sandbox.world.effects == []


def test_some_people_move_mail_back() -> None:
    sandbox = Sandbox(options=SandboxOptions(moved_back=1.0))
    mail = sandbox.world.add_message()
    move(sandbox, mail, to="DeletedItems")
    sandbox.time += 1000
    sandbox.world.advance()
    assert mail.now.folder == "Inbox"
    assert mail.now.operations == ("MOVE",)
    assert [effect.by for effect in sandbox.world.effects][-1] == "user"


@pytest.mark.parametrize("as_object", [True, False])
def test_a_release_takes_either_body(as_object: bool) -> None:  # noqa: FBT001 - the two forms
    sandbox = Sandbox()
    mail = sandbox.world.add_message(quarantined=True, client_recipients=["a@corp.example", "b@corp.example"])
    body = {"ids": [mail.id, "none"]} if as_object else [mail.id, "none"]
    [item] = sandbox.ask("POST", "investigate/release", body).result
    assert item == {"id": mail.id, "delivered": ["a@corp.example", "b@corp.example"], "failed": None}
    assert (mail.now.quarantined, mail.now.folder) == (False, "Inbox")
    assert sandbox.ask("GET", "investigate", message_action="QUARANTINE_RELEASED").ids == [mail.id]


def test_one_form_of_the_body_may_be_refused() -> None:
    for form, body in (("object", ["x"]), ("array", {"ids": ["x"]})):
        sandbox = Sandbox(options=SandboxOptions(release_body=form))  # type: ignore[arg-type]
        assert sandbox.ask("POST", "investigate/release", body).status == 400
        assert sandbox.ask("POST", "investigate/release", "x").status == 400


def test_a_release_of_mail_that_is_not_held_fails_for_its_recipients() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(client_recipients=["a@corp.example"])
    [item] = sandbox.ask("POST", "investigate/release", {"ids": [mail.id]}).result
    assert (item["delivered"], item["failed"], item["undelivered"]) == (None, ["a@corp.example"], None)
    assert sandbox.world.effects[0].changed is False


def test_a_release_of_mail_that_is_not_held_is_in_its_log_all_the_same() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message()
    move(sandbox, mail, to="DeletedItems")
    sandbox.ask("POST", "investigate/release", {"ids": [mail.id]})
    [_, tried] = sandbox.ask("GET", f"investigate/{mail.id}/action_log").result
    assert (tried["operation"], tried["status"]) == ("QUARANTINE_RELEASE", "the message is not in quarantine")
    assert told(tried) == (None, label("a-token"), None)
    assert (mail.now.folder, mail.now.operations) == ("DeletedItems", ("MOVE",))


def test_an_unknown_message_is_left_out_or_not_found_by_an_option() -> None:
    assert Sandbox().ask("POST", "investigate/release", {"ids": ["none"]}).result == []
    strict = Sandbox(options=SandboxOptions(release_unknown="404"))
    assert strict.ask("POST", "investigate/release", {"ids": ["none"]}).status == 404


def test_a_release_that_reaches_nobody_leaves_only_its_log() -> None:
    sandbox = Sandbox(options=SandboxOptions(release_failed=1.0))
    mail = sandbox.world.add_message(quarantined=True)
    [item] = sandbox.ask("POST", "investigate/release", {"ids": [mail.id]}).result
    assert (item["delivered"], item["failed"] or item["undelivered"]) == (None, ["ada@corp.example"])
    assert (mail.now.quarantined, mail.now.operations, len(mail.now.log)) == (True, None, 1)


def test_a_message_is_released_when_every_recipient_was_reached() -> None:
    sandbox = Sandbox(options=SandboxOptions(release_failed=0.5))
    recipients = [f"{n}@corp.example" for n in range(10)]
    mail = sandbox.world.add_message(quarantined=True, client_recipients=recipients)
    [first] = sandbox.ask("POST", "investigate/release", {"ids": [mail.id]}).result
    assert sorted(first["delivered"] + first["failed"] + first["undelivered"]) == recipients
    assert mail.now.folder == QUARANTINE
    while mail.now.quarantined:
        sandbox.ask("POST", "investigate/release", {"ids": [mail.id]})
    assert sorted(mail.now.released) == recipients


class Placements(RuleBasedStateMachine):
    """Whatever is done to a message, it lies in exactly one place, and reads agree with the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.sandbox = Sandbox(quota=None, options=SandboxOptions(move_failed=0.2, release_failed=0.2))
        self.mails = [
            self.sandbox.world.add_message(quarantined=held, client_recipients=["a@corp.example", "b@corp.example"])
            for held in (True, False, True, False)
        ]

    @rule(which=st.integers(0, 3), folder=st.sampled_from(sorted(DESTINATIONS)))
    def move(self, which: int, folder: str) -> None:
        """Move one by the API."""
        mail = self.mails[which]
        before = mail.now
        items = move(self.sandbox, mail, to=folder)
        went = any(item["success"] for item in items)
        assert mail.now.folder == (folder if went else before.folder)
        assert self.sandbox.world.effects[-1].changed == (mail.now.folder != before.folder)

    @rule(which=st.integers(0, 3))
    def release(self, which: int) -> None:
        """Release one by the API."""
        self.sandbox.ask("POST", "investigate/release", [self.mails[which].id])

    @rule(which=st.integers(0, 3), folder=st.sampled_from(sorted(DESTINATIONS)), by=st.sampled_from(["user", "auto"]))
    def by_hand(self, which: int, folder: str, by: str) -> None:
        """Let somebody else move one."""
        self.sandbox.time += 1
        self.sandbox.world.move_by_hand(self.mails[which].id, folder, by)

    @invariant()
    def one_place(self) -> None:
        """Compare the places with what is shown."""
        shown = {row["id"]: row for row in self.sandbox.ask("GET", "investigate").result}
        for mail in self.mails:
            assert mail.now.folder in DESTINATIONS | {QUARANTINE}
            assert mail.now.quarantined == (mail.now.folder == QUARANTINE)
            assert shown[mail.id]["is_quarantined"] == mail.now.quarantined


TestPlacements = pytest.mark.slow(Placements.TestCase)  # hundreds of invented days
TestPlacements.settings = settings(max_examples=40, stateful_step_count=20)
