"""`worker check --live`: what a credential may do is told apart, and nothing is changed."""

import time
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.rule_files import rule_files
from tests.serving import Serving, sandbox
from worker.sandbox import SandboxOptions
from worker.sandbox.edge.faults import Fault

pytestmark = pytest.mark.slow  # it starts a server

WALLS = "walls around the rules: "
UNSIGNED = "nothing signs the audit records"


def live(shell: Shell, serving: Serving, **more: str) -> tuple[int, str]:
    """Check against the account; leave out what is said of the machine, and that nothing signs."""
    shell.set(**serving.environment(shell.folder, **more))
    code, out, _ = shell.type("check", "--live")
    return code, "".join(line for line in out.splitlines(keepends=True) if not line.startswith((WALLS, UNSIGNED)))


def test_the_walls_that_stand_around_the_rules_are_named(shell: Shell, account: Serving) -> None:
    shell.set(**account.environment(shell.folder))
    _, out, _ = shell.type("check", "--live")
    (told,) = (line for line in out.splitlines() if line.startswith(WALLS))
    assert {"landlock_files", "seccomp", "no_new_privileges"} <= set(told.removeprefix(WALLS).split(", "))
    shell.set(WORKER_RULES_SANDBOX="off")
    assert "the rules run without walls, because WORKER_RULES_SANDBOX is off" in shell.type("check", "--live")[1]


def test_that_nothing_signs_the_records_is_told_and_a_signer_is_tried(shell: Shell, account: Serving) -> None:
    shell.set(**account.environment(shell.folder))
    assert UNSIGNED in shell.type("check", "--live")[1]
    shell.type("audit", "key", str(shell.folder / "audit.key"))
    shell.set(WORKER_AUDIT_KEY=str(shell.folder / "audit.key"))
    assert "signed heads go to stdout only: keep it where the worker's user" in shell.type("check", "--live")[1]
    shell.set(WORKER_AUDIT_KEY="", WORKER_AUDIT_SIGNER="false")
    code, out, _ = shell.type("check", "--live")
    assert (code, "WORKER_AUDIT_SIGNER ended with exit code 1: try the command by hand" in out) == (1, True)


def test_a_good_token_passes_and_nothing_is_changed(shell: Shell, account: Serving) -> None:
    told = "10 rules loaded; all examples pass, and the API allows what WORKER_CEILING=approve needs\n"
    assert live(shell, account, WORKER_CEILING="approve") == (0, told)
    assert account.world.effects == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"CLOUDFLARE_API_TOKEN": "wrong-s3cret"}, "check CLOUDFLARE_API_TOKEN"),
        ({"CLOUDFLARE_API_TOKEN": "read-s3cret", "WORKER_CEILING": "approve"}, "or keep WORKER_CEILING at observe"),
        ({"CLOUDFLARE_ACCOUNT_ID": "f" * 32}, "CLOUDFLARE_ACCOUNT_ID"),
    ],
    ids=["a wrong token", "a token that only reads", "an unknown account"],
)
def test_what_is_wrong_with_a_credential_is_told_apart(
    shell: Shell, account: Serving, more: dict[str, str], told: str
) -> None:
    code, out = live(shell, account, **more)
    assert code == 1
    assert told in out.replace("\n", " ")
    assert "; the API said: Authentication error (10000)" in out.replace("\n", " ")
    assert "s3cret" not in out


def test_an_address_that_no_notice_could_be_sent_to_is_a_problem(shell: Shell, account: Serving) -> None:
    code, out = live(shell, account, WORKER_NOTIFY_SOC="foo://u:s3cret@h")
    assert code == 1
    assert "WORKER_NOTIFY_SOC" in out
    assert "s3cret" not in out


ENFORCES = """
@rule(mode=ENFORCE)
@example(sample.message(), gives=Move("JunkEmail"))
@example(sample.message(subject="ham"), gives=None)
def enforces(message: Message) -> Move | None:
    "Move it."
    return None if message.subject == "ham" else Move("JunkEmail")
"""
ASKS = ENFORCES.replace("@rule(mode=ENFORCE)", "from worker import APPROVE\n\n@rule(mode=APPROVE)")


@pytest.mark.parametrize(
    ("ceiling", "rule", "found"),
    [
        ("observe", ASKS, (0, ": set WORKER_NOTIFY_APPROVALS before WORKER_CEILING is raised")),
        ("approve", ENFORCES, (1, ", and WORKER_CEILING is approve: set WORKER_NOTIFY_APPROVALS")),
        ("enforce", ASKS, (1, ", as enforces asks: set WORKER_NOTIFY_APPROVALS")),
        ("enforce", ENFORCES, (0, ": set WORKER_NOTIFY_APPROVALS before a rule asks for approval")),
    ],
)
def test_that_nobody_would_be_told_what_waits_is_said_before_something_does(
    shell: Shell, account: Serving, ceiling: str, rule: str, found: tuple[int, str]
) -> None:
    folder = shell.folder / "own"
    folder.mkdir()
    rule_files(folder, own=rule)
    silent = {"WORKER_RULES": str(folder), "WORKER_NOTIFY_SOC": "", "WORKER_CEILING": ceiling}
    result, out = live(shell, account, **silent)
    said = f"no channel has an address, so nobody is told when a decision waits for a person{found[1]}\n"
    assert (result, said in out) == (found[0], True)
    assert said not in live(shell, account, **silent, WORKER_NOTIFY_APPROVALS="log://")[1]


def test_to_observe_a_token_that_only_reads_is_enough(shell: Shell, account: Serving) -> None:
    code, out = live(shell, account, CLOUDFLARE_API_TOKEN="read-s3cret")  # noqa: S106 (the sandbox takes any)
    remark, summary = out.splitlines()
    assert (code, "Write before WORKER_CEILING is approve or enforce" in remark) == (0, True)
    assert summary.endswith("WORKER_CEILING=observe needs")
    assert shell.json("check", "--live")["remarks"][2:] == [remark]


NOWHERE = {"CLOUDFLARE_BASE_URL": "http://127.0.0.1:9/client/v4", "WORKER_REQUEST_TIMEOUT": "100ms"}


def test_an_api_that_is_away_could_not_be_asked_and_is_no_problem_of_ours(shell: Shell, account: Serving) -> None:
    code, out = live(shell, account, **NOWHERE)
    question, summary = out.splitlines()
    assert (code, "the API cannot be asked now" in question) == (3, True)
    assert summary == "10 rules loaded; all examples pass"
    found = shell.json("check", "--live", code=3)
    assert (found["problems"], found["unanswered"]) == ([], [question])


def test_an_address_without_its_path_is_named_beside_the_account(shell: Shell, account: Serving) -> None:
    code, out = live(shell, account, CLOUDFLARE_BASE_URL=account.url)
    assert code == 1
    assert "check CLOUDFLARE_ACCOUNT_ID, and CLOUDFLARE_BASE_URL, which ends with /client/v4" in out


def test_an_answer_that_is_lost_is_no_answer(shell: Shell, account: Serving) -> None:
    account.world.faults.script([Fault("lost", "POST", "settings/block_senders/batch")])
    code, out = live(shell, account)
    assert (code, "no answer came" in out) == (3, True)


def test_a_search_that_the_api_takes_its_time_for_is_waited_for(shell: Shell, account: Serving) -> None:
    account.world.faults.script([Fault("accepted", "GET", "investigate", seconds=2.5)])
    code, out = live(shell, account)
    assert (code, out.startswith("10 rules loaded; all examples pass, and the API allows")) == (0, True)
    assert account.world.requests["GET investigate/results/{id}"] == {"202": 1, "200": 1}


def test_a_read_that_fails_is_tried_again_at_once(shell: Shell, account: Serving) -> None:
    account.world.faults.script([Fault("html", "GET", count=4)])
    begun = time.monotonic()
    assert live(shell, account)[0] == 0
    assert time.monotonic() - begun < 10


def test_what_has_to_be_fixed_counts_also_while_the_api_is_away(shell: Shell, account: Serving) -> None:
    assert live(shell, account, **NOWHERE, WORKER_NOTIFY_SOC="")[0] == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (SandboxOptions(entitled=False), "Email Security is not in this account's subscription"),
        (SandboxOptions(phishguard=False), "PhishGuard is not in the subscription, so phishguard_report"),
    ],
    ids=["no Email Security", "no PhishGuard"],
)
def test_what_the_subscription_lacks_is_told_apart(shell: Shell, options: SandboxOptions, told: str) -> None:
    with sandbox(options=options) as serving:
        code, out = live(shell, serving)
    assert (code, told in out) == (1, True)


def test_a_channel_without_an_address_is_found_before_it_is_needed(shell: Shell, account: Serving) -> None:
    shell.set(**account.environment(shell.folder, WORKER_NOTIFY_SOC=""))
    code, out, _ = shell.type("check", "--live")
    assert (code, "soc" in out) == (1, True)


GONE = "all mailboxes are Google's, which have no RecoverableItemsDeletions: move mail to DeletedItems"
UNKNOWN = "all mailboxes are Google's, and it is not documented whether those have RecoverableItemsPurges"
CUT_OFF = "no domain has an integration with its mailboxes, so moves cannot move anything"
FINE = "1 rule loaded; all examples pass, and the API allows"
SOFT, HARD = "RecoverableItemsDeletions", "RecoverableItemsPurges"


@pytest.mark.parametrize(
    ("provider", "folder", "told"),
    [
        ("Google", SOFT, GONE),
        ("Google", HARD, UNKNOWN),
        ("Google", "DeletedItems", FINE),
        (None, SOFT, CUT_OFF),
        ("Microsoft", SOFT, FINE),
    ],
)
def test_a_folder_that_the_mailboxes_may_not_have_is_named(
    shell: Shell, tmp_path: Path, provider: str | None, folder: str, told: str
) -> None:
    moves = """
        @rule
        @example(sample.message(), gives=Move("{folder}"))
        def moves(message: Message) -> Move | None:
            "Move it."
            return Move("{folder}")
        """
    rules = rule_files(tmp_path, moves=moves.replace("{folder}", folder))
    with sandbox() as serving:
        serving.world.lists["domains"].clear()
        serving.world.add_entry("domains", domain="corp.example", inbox_provider=provider)
        code, out = live(shell, serving, WORKER_RULES=str(rules))
    assert (code, FINE in out, told in out) == ((1, False, True) if told in {GONE, CUT_OFF} else (0, True, True))


def test_all_domains_are_looked_at_and_not_only_the_first_page(shell: Shell) -> None:
    with sandbox() as serving:
        serving.world.lists["domains"].clear()
        for number in range(1001):
            provider = "Microsoft" if number == 500 else None
            serving.world.add_entry("domains", at=1000.0 + number, domain=f"d{number}.example", inbox_provider=provider)
        assert live(shell, serving)[0] == 0
    assert serving.world.requests["GET settings/domains"] == {"200": 3}  # one is the sample


def test_a_domain_that_cannot_be_read_leaves_the_question_open(shell: Shell, account: Serving) -> None:
    account.world.add_entry("domains", domain="odd.example", inbox_provider=5)
    code, out = live(shell, account)
    assert (code, "a domain of the account cannot be read: Expected `str | null`" in out) == (3, True)


def test_an_account_without_domains_will_never_see_mail(shell: Shell) -> None:
    with sandbox() as serving:
        serving.world.lists["domains"].clear()
        code, out = live(shell, serving)
    assert (code, "no domain is set up" in out) == (1, True)


def test_a_missing_token_is_a_setting_to_change(shell: Shell) -> None:
    shell.set(CLOUDFLARE_ACCOUNT_ID="a1")
    for words in (("check", "--live"), ("run",), ("run", "--once")):
        code, _, err = shell.type(*words)
        assert (code, "set CLOUDFLARE_API_TOKEN" in err) == (2, True)
