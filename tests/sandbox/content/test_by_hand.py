"""Mail that is added by hand: it takes all that the sandbox's own mail has, and refuses the rest by name."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cells import each
from tests.sandbox.sandbox import Sandbox
from tests.sandbox.test_control import stir
from worker.sandbox.account.traffic import KINDS
from worker.sandbox.content.by_hand import CHECKS, KNOWN, OF_THE_RECORD, RESULTS

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
NAMES = WORDS.filter(lambda name: name == name.strip().strip('"<>'))
"""Names of files; who reads mail takes off blanks and quotes around them."""


def add(sandbox: Sandbox, **fields: object) -> str:
    """Add a message; return its id."""
    reply = stir(sandbox, "messages", {"add": [fields]})
    assert reply.status == 200, reply.body
    [ident] = reply.body["added"]
    return str(ident)


def refusal(fields: object, of: str = "add") -> str:
    """Return the sentence with which a message is not added, or not changed."""
    sandbox = Sandbox()
    sandbox.world.add_message(id="known")
    reply = stir(sandbox, "messages", {of: [fields]})
    assert (reply.status, len(sandbox.world.mails), sandbox.world.effects) == (400, 1, [])
    return str(reply.body["error"])


@each("kind", KINDS)
def test_the_record_of_any_mail_of_its_own_can_be_added_again(kind: str) -> None:
    sandbox, other = Sandbox(), Sandbox()
    for mail in sandbox.world.arrive(20, kind):
        record = msgspec.json.decode(mail.head + b"}")
        known = other.world.by_id[add(other, **record, disposition=mail.now.disposition, links=mail.links)]
        assert (msgspec.json.decode(known.head + b"}"), known.links) == (record, mail.links)


@each("name", sorted(KNOWN))
def test_each_field_is_known_and_its_neighbours_are_not(name: str) -> None:
    for wrong in (f"{name}s", name.upper(), f"{name}\x1b"):
        if wrong not in KNOWN:
            said = refusal({wrong: None})
            assert f"a message to add has no field {wrong!r}" in said
            assert all(known in said for known in KNOWN)
    assert "has no field" not in refusal({name: {"of": "no type that any field has"}, "disposition": "WRONG"})


@each(
    ("fields", "said"),
    [
        ({"disposition": "WRONG"}, "disposition cannot be 'WRONG': write one of BULK, ENCRYPTED"),
        ({"final_disposition": "bulk"}, "disposition cannot be 'bulk': write one of"),
        ({"folder": "Junk"}, "folder cannot be 'Junk': write one of DeletedItems, Inbox, JunkEmail"),
        ({"quarantined": "yes"}, "quarantined: Expected `bool`, got `str`"),
        ({"recipients": "ada@corp.example"}, "recipients: Expected `array`, got `str`"),
        ({"recipients": [5]}, "recipients[0]: Expected `str`, got `int`"),
        ({"links": ["pay.example/x"]}, "links cannot lead to 'pay.example/x': write an address such as https://"),
        ({"links": [{"href": "ftp://a.example/"}]}, "links cannot lead to"),
        ({"links": [{"text": "here"}]}, "links[0]: Object missing required field `href`"),
        ({"attachments": [{"nam": "x"}]}, "attachments[0]: Object contains unknown field `nam`"),
        ({"attachments": [""]}, "attachments[0]"),
        ({"attachments": [{"name": "x", "content_type": "message/rfc822"}]}, "attachments[0].content_type"),
        ({"dmarc": "passed"}, "dmarc cannot be 'passed': write one of error, fail, neutral, none, pass"),
        ({"validation": {"arc": "pass"}}, "validation has no field 'arc'"),
        ({"validation": {"spf": "yes"}}, "spf cannot be 'yes'"),
        ({"sender": "a@b.example", "from": "a@b.example"}, "a field is given by both its names: sender is from"),
        ({"id": "known"}, "id cannot be 'known': leave it out"),
        ({"text": 5}, "text: Expected `str`, got `int`"),
    ],
)
def test_what_no_message_has_is_refused_with_what_one_has(fields: dict[str, object], said: str) -> None:
    assert said in refusal(fields)


@each(
    ("change", "said"),
    [
        ({"id": "none", "disposition": "SPAM"}, "there is no message 'none'"),
        ({"id": "known", "disposition": "WRONG"}, "disposition cannot be 'WRONG'"),
        ({"id": "known", "folder": "In"}, "folder cannot be 'In'"),
        ({"id": "known", "foldr": "Inbox"}, "a change has no field 'foldr', perhaps folder"),
        ({"disposition": "SPAM"}, "Object missing required field `id`"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_and_none_is_made(change: dict[str, object], said: str) -> None:
    assert said in refusal(change, of="change")
    sandbox = Sandbox()
    sandbox.world.add_message(id="known")
    assert stir(sandbox, "messages", {"change": [{"id": "known", "folder": "JunkEmail"}, change]}).status == 400
    assert sandbox.world.effects == []


def test_one_message_that_does_not_fit_keeps_all_others_out() -> None:
    sandbox = Sandbox()
    for wish in ({"add": [{}, {"x": 1}]}, {"add": [{"id": "a"}, {"id": "a"}]}, {"add": [{}], "arrive": {"spm": 1}}):
        assert stir(sandbox, "messages", wish).status == 400
    assert sandbox.world.mails == []


def test_short_words_stand_for_several_fields_of_the_api() -> None:
    sandbox, people = Sandbox(), ["ada@corp.example", "ben@corp.example"]
    ident = add(sandbox, recipients=people, dmarc="fail", spf="pass", sender="x@y.example", is_quarantined=True)
    found = sandbox.ask("GET", f"investigate/{ident}").result
    assert [found[name] for name in ("client_recipients", "envelope_to", "to")] == [people] * 3
    assert found["validation"] == {"comment": None, "dkim": None, "dmarc": "fail", "spf": "pass"}
    assert (found["from"], found["is_quarantined"]) == ("x@y.example", True)
    assert set(CHECKS) | {"recipients"} == KNOWN - OF_THE_RECORD - {"sender", "final_disposition", "is_quarantined"} - {
        *("attachments", "disposition", "folder", "indexed", "links", "quarantined", "scanned", "text")
    }
    assert "softfail" not in RESULTS


@pytest.mark.slow
@settings(max_examples=25)
@given(text=WORDS, names=st.lists(NAMES, min_size=1, max_size=3), shown=st.from_regex(r"[a-z]{1,9}", fullmatch=True))
def test_text_attachments_and_links_are_shown_as_they_were_given(text: str, names: list[str], shown: str) -> None:
    sandbox = Sandbox()
    files = [{"name": name, "text": text, "encrypted": place == 1} for place, name in enumerate(names)]
    ident = add(sandbox, text=text, attachments=files, links=[{"href": "https://a.example/b", "text": shown}])
    found = sandbox.ask("GET", f"investigate/{ident}/detections").result
    assert [(one["name"], one["encrypted"]) for one in found["attachments"]] == [
        (name, place == 1) for place, name in enumerate(names)
    ]
    assert found["attachments"][0]["size"] == len(text.encode())
    assert {"href": "https://a.example/b", "text": shown} in found["links"]
    assert sandbox.ask("GET", "investigate", domain="a.example").ids == [ident]


def test_a_link_in_the_text_is_a_link() -> None:
    sandbox = Sandbox()
    ident = add(sandbox, text="Pay at https://pay.example/now, today", attachments=["form.html", "list.pdf", "x.xyz"])
    assert sandbox.ask("GET", "investigate", domain="pay.example").ids == [ident]
    found = sandbox.ask("GET", f"investigate/{ident}/detections").result
    assert found["links"] == [{"href": "https://pay.example/now", "text": None}]
    kinds = ["text/html", "application/pdf", "application/octet-stream"]
    assert [one["content_type"] for one in found["attachments"]][:2] == kinds[:2]
    assert found["attachments"][0]["detection"] == "MALICIOUS"
