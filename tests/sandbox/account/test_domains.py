"""Own domains: how a new one is checked, what its check wants, what cannot be set, and how many are deleted at once."""

import pytest

from tests.cells import each
from tests.sandbox.bodies import BODIES
from tests.sandbox.sandbox import Sandbox
from worker.sandbox import ACCOUNT, IncomingRequest, SandboxOptions

PATH = "settings/domains"


def made(sandbox: Sandbox, about: str = "new", **more: object) -> str:
    """Add a domain and return its id."""
    ident: str = sandbox.ask("POST", PATH, BODIES["domains"](about) | more).result["id"]
    return ident


@pytest.mark.parametrize(("about", "status"), [("new", "ACTIVE"), ("failed.new", "FAILED"), ("timeout.new", "TIMEOUT")])
def test_a_new_domain_is_pending_until_it_is_checked(about: str, status: str) -> None:
    sandbox = Sandbox()
    one = f"{PATH}/{made(sandbox, about)}"
    before = sandbox.ask("GET", one).result
    assert (before["status"], before["authorization"], before["dmarc_status"]) == ("PENDING", None, None)
    assert before["id"] not in sandbox.ask("GET", PATH, active_delivery_mode="JOURNAL").ids
    sandbox.time += 600
    after = sandbox.ask("GET", one).result
    assert (after["status"], after["authorization"]["authorized"]) == (status, status == "ACTIVE")
    assert (after["inbox_provider"] == "Microsoft") == (status == "ACTIVE")
    assert sandbox.ask("GET", PATH, status=status, search="new").ids == [after["id"]]
    told = [(effect.operation, effect.target, effect.by) for effect in sandbox.world.effects[1:]]
    assert told == [("domains.check", f"{about}.example", "cloudflare")]


def test_a_domain_that_is_gone_is_not_checked() -> None:
    sandbox = Sandbox()
    sandbox.ask("DELETE", f"{PATH}/{made(sandbox)}")
    sandbox.time += 600
    assert (len(sandbox.ask("GET", PATH).ids), len(sandbox.world.effects)) == (2, 2)


def test_a_batch_has_its_new_domains_checked_too() -> None:
    sandbox = Sandbox()
    sandbox.ask(
        "POST", f"{PATH}/batch", {"deletes": [], "patches": [], "puts": [], "posts": [BODIES["domains"]("new")]}
    )
    sandbox.time += 600
    [domain] = sandbox.ask("GET", PATH, domain="new.example").result
    assert domain["status"] == "ACTIVE"


def test_the_record_is_told_until_the_domain_is_verified() -> None:
    sandbox = Sandbox()
    ident, failing = made(sandbox), made(sandbox, "failed")
    waits = sandbox.ask("GET", f"{PATH}/{ident}/verification").result
    assert (waits["txt_record_name"], waits["status"]) == ("_cf-email-sec-challenge.new.example", "PENDING")
    assert (len(waits["txt_record_value"]), waits["last_checked_at"]) == (32, None)
    sandbox.time += 600
    verified, failed = (sandbox.ask("GET", f"{PATH}/{one}/verification") for one in (ident, failing))
    assert (verified.status, verified.response.body, "content-type" in verified.response.headers) == (204, b"", False)
    assert (failed.result["status"], failed.result["last_checked_at"]) == ("FAILED", "2026-09-21T14:23:20.000Z")
    assert sandbox.ask("GET", f"{PATH}/none/verification").status == 404


def test_a_domain_that_an_integration_vouches_for_needs_no_record() -> None:
    sandbox = Sandbox(options=SandboxOptions(verified_domain="200"))
    ours = sandbox.ask("GET", PATH).ids
    vouched, other = made(sandbox, integration_id="7d0f8a4e-9c1b-4f7e-8a55-3f2b6f1c9d20"), made(sandbox, "other")
    assert [sandbox.ask("GET", f"{PATH}/{one}/verification").status for one in (*ours, vouched)] == [204, 204, 204]
    sandbox.time += 600
    assert sandbox.ask("GET", f"{PATH}/{other}/verification").result["status"] == "ACTIVE"


def test_the_name_of_a_domain_stays_and_a_put_sets_all_the_rest_anew() -> None:
    sandbox = Sandbox(options=SandboxOptions(google=True))
    one = f"{PATH}/{made(sandbox, transport='mx.new.example')}"
    sandbox.time += 600
    assert sandbox.ask("PATCH", one, {"domain": "x.example", "folder": None}).result["domain"] == "new.example"
    assert sandbox.ask("PATCH", one, {"transport": None}).status == 400
    whole = BODIES["domains"]("other")
    del whole["domain"], whole["folder"]
    put = sandbox.ask("PUT", one, whole | {"regions": ["US"]}).result
    assert (put["domain"], put["regions"], put["transport"]) == ("new.example", ["US"], None)
    assert (put["status"], put["inbox_provider"], put["o365_tenant_id"]) == ("ACTIVE", "Google", None)
    assert sandbox.ask("PUT", one, {"regions": ["US"]}).status == 400


def test_domains_are_found_by_any_of_several_names() -> None:
    sandbox = Sandbox()
    path = f"/client/v4/accounts/{ACCOUNT}/email-security/{PATH}"
    query = tuple(("domain", name) for name in ("corp.example", "corp-eu.example", "none.example"))
    reply = sandbox.send(IncomingRequest("GET", path, query, {"authorization": "Bearer a-token"}))
    assert sorted(row["domain"] for row in reply.result) == ["corp-eu.example", "corp.example"]


@each("body", [None, [], {}, ["corp.example"], [{"name": "corp.example"}], {"ids": ["x"]}])
def test_domains_are_not_deleted_without_their_ids(body: object) -> None:
    sandbox = Sandbox()
    assert sandbox.ask("DELETE", PATH, body).status == 400
    assert (len(sandbox.ask("GET", PATH).ids), sandbox.world.effects) == (2, [])


def test_many_domains_are_deleted_all_or_none() -> None:
    sandbox = Sandbox()
    ours = [{"id": ident} for ident in sandbox.ask("GET", PATH).ids]
    assert sandbox.ask("DELETE", PATH, [*ours, {"id": "none"}]).status == 404
    assert len(sandbox.ask("GET", PATH).ids) == 2
    assert sandbox.ask("DELETE", PATH, ours).result == ours
    assert sandbox.ask("GET", PATH).ids == []


def test_by_an_option_no_ids_mean_every_domain() -> None:
    sandbox = Sandbox(options=SandboxOptions(domains_without_ids="all"))
    assert len(sandbox.ask("DELETE", PATH).result) == 2
    assert sandbox.ask("DELETE", PATH).result == []
