"""Every settings list: that it is routed, what its entries show, which it refuses, how it is filtered and ordered."""

from uuid import UUID

import pytest

from tests.cells import each
from tests.sandbox.bodies import BATCHES, BODIES, Body
from tests.sandbox.sandbox import Sandbox
from worker.sandbox import SandboxOptions
from worker.sandbox.routing import ROUTES

ONE = {"GET", "PATCH", "DELETE"}
OPERATIONS = {
    *((method, f"settings/{name}") for name in BODIES for method in ("GET", "POST")),
    *((method, f"settings/{name}/{{id}}") for name in BODIES for method in ("GET", "PATCH", "DELETE")),
    ("POST", "settings/allow_policies/batch"),
    ("POST", "settings/block_senders/batch"),
    ("POST", "settings/content_policies/batch"),
    ("POST", "settings/domains/batch"),
    ("POST", "settings/sending_domain_restrictions/batch"),
    ("POST", "settings/trusted_domains/batch"),
    ("DELETE", "settings/domains"),
    ("PUT", "settings/domains/{id}"),
    ("GET", "settings/domains/{id}/verification"),
}
STAMPS = {"id", "created_at", "modified_at"}
PATTERN = STAMPS | {"pattern", "comments", "last_modified"}
SHOWN = {
    "block_senders": PATTERN | {"is_regex", "pattern_type"},
    "allow_policies": PATTERN
    | {"is_regex", "pattern_type", "is_acceptable_sender", "is_exempt_recipient", "is_trusted_sender", "verify_sender"}
    | {"is_recipient", "is_sender", "is_spoof"},
    "trusted_domains": PATTERN | {"is_recent", "is_regex", "is_similarity"},
    "content_policies": STAMPS | {"enabled", "name", "notes", "pattern", "targets"},
    "impersonation_registry": STAMPS
    | {"comments", "directory_id", "directory_node_id", "email", "external_directory_node_id", "is_email_regex"}
    | {"last_modified", "name", "provenance"},
    "sending_domain_restrictions": STAMPS | {"comments", "domain", "exclude", "last_modified"},
    "url_ignore_patterns": PATTERN,
    "domains": STAMPS
    | {"allowed_delivery_modes", "authorization", "dmarc_status", "domain", "drop_dispositions", "emails_processed"}
    | {"folder", "inbox_provider", "integration_id", "ip_restrictions", "last_modified", "lookback_hops"}
    | {"o365_tenant_id", "regions", "require_tls_inbound", "require_tls_outbound", "spf_status", "status", "transport"},
}
OLD = {"last_modified", "is_recipient", "is_sender", "is_spoof"}


def emptied(sandbox: Sandbox, name: str) -> str:
    """Take what the account began with out of a list, and return the list's path."""
    sandbox.world.lists.get(name, {}).clear()
    return f"settings/{name}"


def test_every_documented_settings_operation_is_routed_and_no_other() -> None:
    assert len(OPERATIONS) == 49
    assert {way for way in ROUTES if way[1].startswith("settings/")} == OPERATIONS


@each("name", BODIES)
def test_an_entry_lives_from_its_creation_to_its_deletion(name: str) -> None:
    sandbox = Sandbox()
    path = emptied(sandbox, name)
    body = BODIES[name]("ada")
    made = sandbox.ask("POST", path, body)
    assert (made.status, body.items() <= made.result.items()) == (201, True)
    one = f"{path}/{UUID(made.result['id'])}"
    assert sandbox.ask("GET", one).result == made.result
    assert sandbox.ask("PATCH", one, {}).result == made.result
    assert sandbox.ask("POST", path, body).status == 409
    assert sandbox.ask("GET", path).result == [made.result]
    assert sandbox.ask("DELETE", one).result == {"id": made.result["id"]}
    assert [sandbox.ask(method, one, {}).status for method in sorted(ONE)] == [404, 404, 404]
    assert sandbox.ask("GET", path).body["result_info"]["total_count"] == 0


@each("name", BODIES)
def test_an_entry_shows_every_documented_field_and_the_old_ones_by_an_option(name: str) -> None:
    for options, shown in ((SandboxOptions(), SHOWN[name] - OLD), (SandboxOptions(deprecated=True), SHOWN[name])):
        sandbox = Sandbox(options=options)
        made = sandbox.ask("POST", f"settings/{name}", BODIES[name]("ada"))
        assert made.result.keys() == shown
        assert {row.keys() == shown for row in sandbox.ask("GET", f"settings/{name}").result} == {True}


def test_old_fields_show_and_set_their_successors_while_they_are_there() -> None:
    for deprecated in (True, False):
        sandbox = Sandbox(options=SandboxOptions(deprecated=deprecated))
        made = sandbox.ask("POST", "settings/allow_policies", BODIES["allow_policies"]("ada")).result
        sandbox.time += 5
        edited = sandbox.ask(
            "PATCH", f"settings/allow_policies/{made['id']}", {"is_sender": True, "last_modified": 5}
        ).result
        assert edited["is_trusted_sender"] is deprecated
        if deprecated:
            assert (edited["is_spoof"], edited["is_sender"], edited["is_recipient"]) == (True, True, False)
            assert edited["last_modified"] == edited["modified_at"] > made["modified_at"]


@each("name", BODIES)
def test_what_a_whole_body_must_have_is_said(name: str) -> None:
    sandbox, body = Sandbox(), BODIES[name]("ada")
    lacking = {field: {key: value for key, value in body.items() if key != field} for field in body}
    statuses = {field: sandbox.ask("POST", f"settings/{name}", less).status for field, less in lacking.items()}
    optional = {"comments", "notes", "provenance", "lookback_hops", "folder"}
    assert {field for field, status in statuses.items() if status == 400} == body.keys() - optional


WRONG: dict[str, dict[str, list[object]]] = {
    "allow_policies": {"verify_sender": [None], "pattern_type": ["UNKNOWN", "DOMAIN"], "comments": [5]},
    "trusted_domains": {"pattern": ["a@b.example", "("], "is_recent": [1]},
    "content_policies": {
        "targets": [["SUBJECT", "FOOT"], "BODY"],
        "pattern": ["", "x" * 1025],
        "name": [5],
        "enabled": ["true"],
    },
    "impersonation_registry": {"email": ["ada"], "provenance": ["ELSEWHERE"], "name": [None], "directory_id": ["5"]},
    "sending_domain_restrictions": {"domain": ["a b", "nodot"], "exclude": [[5], None]},
    "url_ignore_patterns": {"pattern": ["", "x" * 1025], "comments": ["x" * 1025]},
    "domains": {
        "lookback_hops": [0, 21, True],
        "regions": [["FR"]],
        "drop_dispositions": [["BAD"]],
        "allowed_delivery_modes": [["REVIEW_SUBMISSION"]],
        "ip_restrictions": [["x"]],
        "integration_id": ["5"],
        "folder": ["Sent"],
    },
}


@each(
    ("name", "field", "value"),
    [(name, field, value) for name, wrong in WRONG.items() for field, values in wrong.items() for value in values],
)
def test_a_value_that_does_not_fit_is_refused(name: str, field: str, value: object) -> None:
    sandbox = Sandbox()
    path = emptied(sandbox, name)
    refused = sandbox.ask("POST", path, BODIES[name]("ada") | {field: value})
    assert (refused.status, sandbox.ask("GET", path).result, sandbox.world.effects) == (400, [], [])
    assert refused.body["errors"][0]["message"].split()[0] in {field, "pattern"}


@pytest.mark.parametrize("wrong", ["(", "a{9999999999}", "(" * 512 + ")" * 512])
def test_what_is_no_regular_expression_is_refused_where_one_is_wanted(wrong: str) -> None:
    block, person = BODIES["block_senders"]("ada"), BODIES["impersonation_registry"]("ada")
    assert Sandbox().ask("POST", "settings/block_senders", block | {"is_regex": True, "pattern": wrong}).status == 400
    person |= {"is_email_regex": True, "email": wrong}
    assert Sandbox().ask("POST", "settings/impersonation_registry", person).status == 400


@each(
    ("name", "right"),
    [
        ("block_senders", {"is_regex": True, "pattern": "[[a-z]&&[^b]]++"}),
        ("trusted_domains", {"pattern": "xn--80ak6aa92e.xn--p1ai"}),
        ("trusted_domains", {"pattern": r".*\.example", "is_regex": True}),
        ("content_policies", {"targets": [], "notes": "x" * 2000}),
        ("impersonation_registry", {"email": r"ada\+.*", "is_email_regex": True, "directory_id": 7}),
        ("url_ignore_patterns", {"pattern": "x" * 1024, "comments": "x" * 1024}),
        ("domains", {"ip_restrictions": ["10.0.0.0/8"], "lookback_hops": 20, "require_tls_inbound": None}),
        ("domains", {"lookback_hops": None, "folder": None, "integration_id": "7D0F8A4E-9c1b-4f7e-8a55-3f2b6f1c9d20"}),
    ],
)
def test_a_value_that_fits_is_taken(name: str, right: Body) -> None:
    reply = Sandbox().ask("POST", f"settings/{name}", BODIES[name]("new") | right)
    assert (reply.status, right.items() <= reply.result.items()) == (201, True)


def test_an_old_entry_of_unknown_type_is_shown_found_and_may_be_commented() -> None:
    sandbox = Sandbox()
    ident = sandbox.world.add_entry("block_senders", pattern="what?", pattern_type="UNKNOWN")
    assert sandbox.ask("GET", "settings/block_senders", pattern_type="UNKNOWN").ids == [ident]
    edited = sandbox.ask("PATCH", f"settings/block_senders/{ident}", {"comments": "why?"})
    assert (edited.status, edited.result["comments"], edited.result["pattern_type"]) == (200, "why?", "UNKNOWN")
    assert sandbox.ask("PATCH", f"settings/block_senders/{ident}", {"pattern_type": "UNKNOWN"}).status == 400


FILTERS: list[tuple[str, Body, dict[str, str]]] = [
    ("block_senders", {"pattern": "9.9.9.9", "pattern_type": "IP"}, {"pattern_type": "IP"}),
    ("allow_policies", {"is_exempt_recipient": True}, {"is_exempt_recipient": "true", "is_trusted_sender": "false"}),
    ("allow_policies", {"verify_sender": False}, {"verify_sender": "false"}),
    ("trusted_domains", {"is_similarity": True}, {"is_similarity": "true"}),
    ("content_policies", {"enabled": False}, {"enabled": "false"}),
    ("content_policies", {}, {"name": "odd"}),
    ("content_policies", {"notes": "Needle"}, {"search": "nEEDle"}),
    ("impersonation_registry", {"provenance": "SNOOPY-OFFICE_365"}, {"provenance": "SNOOPY-OFFICE_365"}),
    ("sending_domain_restrictions", {}, {"search": "ODD"}),
    ("domains", {"allowed_delivery_modes": ["BCC", "API"]}, {"allowed_delivery_mode": "BCC"}),
    ("domains", {"allowed_delivery_modes": ["BCC", "API"]}, {"active_delivery_mode": "BCC", "status": "ACTIVE"}),
    (
        "domains",
        {"integration_id": "5d0f8a4e-9c1b-4f7e-8a55-3f2b6f1c9d20"},
        {"integration_id": "5d0f8a4e-9c1b-4f7e-8a55-3f2b6f1c9d20"},
    ),
]


@each(("name", "odd", "query"), FILTERS)
def test_a_filter_leaves_the_one_that_it_means(name: str, odd: Body, query: dict[str, str]) -> None:
    sandbox = Sandbox()
    path = emptied(sandbox, name)
    sandbox.ask("POST", path, BODIES[name]("even"))
    meant = sandbox.ask("POST", path, BODIES[name]("odd") | odd).result["id"]
    sandbox.time += 3600
    assert sandbox.ask("GET", path, **query).ids == [meant]


@each(
    ("name", "query"),
    [
        ("block_senders", {"pattern_type": "HOST"}),
        ("block_senders", {"order": "name"}),
        ("content_policies", {"enabled": "1"}),
        ("impersonation_registry", {"provenance": "ELSEWHERE"}),
        ("domains", {"status": "active"}),
        ("domains", {"active_delivery_mode": "MAIL"}),
        ("domains", {"direction": "up"}),
        ("url_ignore_patterns", {"per_page": "1001"}),
    ],
)
def test_a_word_that_a_filter_does_not_know_is_refused(name: str, query: dict[str, str]) -> None:
    assert Sandbox().ask("GET", f"settings/{name}", **query).status == 400


@each(
    ("name", "order"),
    [
        ("content_policies", "name"),
        ("impersonation_registry", "email"),
        ("sending_domain_restrictions", "domain"),
        ("domains", "domain"),
        ("trusted_domains", "pattern"),
    ],
)
def test_a_list_is_ordered_as_asked(name: str, order: str) -> None:
    sandbox = Sandbox()
    path = emptied(sandbox, name)
    for about in ("b", "a", "c"):
        sandbox.time += 1
        sandbox.ask("POST", path, BODIES[name](about))
    assert [row[order][0] for row in sandbox.ask("GET", path, order=order, direction="asc").result] == ["a", "b", "c"]
    assert [row[order][0] for row in sandbox.ask("GET", path).result] == ["c", "a", "b"]


def test_the_ignored_addresses_know_neither_order_nor_search() -> None:
    sandbox = Sandbox()
    path = emptied(sandbox, "url_ignore_patterns")
    for about in ("b", "a"):
        sandbox.time += 1
        sandbox.ask("POST", path, BODIES["url_ignore_patterns"](about))
    shown = sandbox.ask("GET", path, order="name", search="b", direction="asc").result
    assert [row["pattern"] for row in shown] == ["https://a.example/", "https://b.example/"]


@each("name", [name for name, parts in BATCHES.items() if "puts" in parts])
def test_a_batch_of_any_list_has_four_parts(name: str) -> None:
    sandbox, path, body = Sandbox(), f"settings/{name}", BODIES[name]
    gone, put = (sandbox.ask("POST", path, body(about)).result["id"] for about in ("a", "b"))
    whole = {"deletes": [{"id": gone}], "patches": [], "puts": [{"id": put, **body("b")}], "posts": [body("a")]}
    done = sandbox.ask("POST", f"{path}/batch", whole)
    assert (done.status, {part: len(rows) for part, rows in done.result.items()}) == (
        200,
        {"deletes": 1, "patches": 0, "puts": 1, "posts": 1},
    )
    assert {row.keys() == SHOWN[name] - OLD for part in ("puts", "posts") for row in done.result[part]} == {True}


def test_a_batch_of_restrictions_only_deletes() -> None:
    sandbox, path = Sandbox(), "settings/sending_domain_restrictions"
    idents = [sandbox.ask("POST", path, BODIES["sending_domain_restrictions"](about)).result["id"] for about in "ab"]
    asked = {"deletes": [{"id": ident} for ident in idents]}
    assert sandbox.ask("POST", f"{path}/batch", {"deletes": [*asked["deletes"], {"id": "none"}]}).status == 404
    assert sandbox.ask("POST", f"{path}/batch", asked).result == asked
    assert not set(idents) & set(sandbox.ask("GET", path).ids)
