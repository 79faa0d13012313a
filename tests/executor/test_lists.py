"""Whose a list entry is, what is never listed, and what the whole list proves: alike for all lists."""

from datetime import timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from tests.cells import each
from tests.executor.test_postconditions import SETTLE, T, entry, state_of
from worker.api.collection import Whole
from worker.api.models import TrustedDomain
from worker.executor.lists import (
    ListLine,
    ListReading,
    Opposition,
    comment,
    find_opposition,
    find_own,
    find_related,
    no_addition,
    owner,
)
from worker.executor.postconditions import judge_adding, judge_removing
from worker.language.actions import (
    Adding,
    AllowSender,
    AnyAction,
    BlockSender,
    Disallow,
    Distrust,
    Removing,
    TrustDomain,
    Unblock,
)
from worker.language.policies import AllowPolicy, BlockedSender, Policies
from worker.ledger.entries import Entry

DAY = 86_400.0
OURS = Policies(domains=("corp.example",), allowed=("partner.example",), trusted=("fine.example",))


class Kind(NamedTuple):
    """One of the lists: what adds to it, what removes, and a line of it that is the same pattern."""

    adding: Adding
    removing: Removing
    line: ListLine

    def made(self, **fields: Any) -> Entry:  # noqa: ANN401 (fields of an entry)
        """Give an entry that was to add."""
        return entry(self.adding, target=self.adding.on, **fields)

    def taken(self, **fields: Any) -> Entry:  # noqa: ANN401
        """Give an entry that was to remove."""
        return entry(self.removing, target=self.adding.on, **fields)

    def listed(self, comments: str, **fields: object) -> ListLine:
        """Give a line of the list."""
        return replace(self.line, comments=comments, **fields)


DAYS = timedelta(days=1)
BLOCKS = Kind(
    BlockSender(pattern="Ada@C0rp.example"),
    Unblock(pattern="ada@c0rp.example"),
    BlockedSender(id="L1", pattern="ada@C0RP.example", pattern_type="EMAIL"),
)
ALLOWS = Kind(
    AllowSender("Ada@C0rp.example"),
    Disallow("ada@c0rp.example"),
    AllowPolicy(id="L1", pattern="ada@C0RP.example", pattern_type="EMAIL", is_acceptable_sender=True),
)
TRUSTS = Kind(TrustDomain("C0rp.example"), Distrust("c0rp.example"), TrustedDomain(id="L1", pattern="C0RP.example"))
each_list = each("kind", [BLOCKS, ALLOWS, TRUSTS])


@each_list
def test_a_list_entry_is_ours_only_by_its_comment(kind: Kind) -> None:
    made, other = kind.made(), (kind.listed("worker E11 lookalike"),)
    ours = judge_adding(made, ListReading(T + 1, (kind.listed("worker E1 lookalike"),)), SETTLE)
    assert ours is not None
    assert (ours.state, ours.remote) == ("done", "L1")
    assert judge_adding(made, ListReading(T + 1, other), SETTLE) is None
    assert state_of(judge_adding(made, ListReading(T + 142, other), SETTLE)) == "moot"
    regex = (kind.listed("worker E1 lookalike", is_regex=True),)
    assert state_of(judge_adding(made, ListReading(T + 142, regex), SETTLE)) == "ready"
    assert judge_adding(made, ListReading(T + 141, ()), SETTLE) is None


@each_list
def test_a_list_that_cannot_be_read_whole_says_yes_but_not_no(kind: Kind) -> None:
    made, ours = kind.made(), (kind.listed("worker E1 lookalike"),)
    assert state_of(judge_adding(made, ListReading(T + 500, ours, whole=False), SETTLE)) == "done"
    assert judge_adding(made, ListReading(T + 500, (), whole=False), SETTLE) is None
    assert judge_adding(made, ListReading(T + 500, (kind.listed("by hand"),), whole=False), SETTLE) is None
    assert state_of(judge_adding(made, ListReading(T + 21 + DAY, (), whole=False), SETTLE)) == "waiting"


@each_list
def test_a_removal_is_done_when_no_entry_of_ours_is_left(kind: Kind) -> None:
    taken, made = kind.taken(), kind.made(state="done", remote="L1")
    still = (kind.listed("worker E1 lookalike"),)
    assert state_of(judge_removing(taken, ListReading(T + 1, ()), (made,), SETTLE)) == "done"
    assert judge_removing(taken, ListReading(T + 1, still), (made,), SETTLE) is None
    assert state_of(judge_removing(taken, ListReading(T + 142, still), (made,), SETTLE)) == "ready"
    adopted = (kind.listed("keep this, says Ada"),)
    assert state_of(judge_removing(taken, ListReading(T + 142, adopted), (made,), SETTLE)) == "done"


@each_list
def test_a_removal_is_not_done_while_a_part_of_the_list_cannot_be_read(kind: Kind) -> None:
    taken, made = kind.taken(), kind.made(state="done", remote="L1")
    assert judge_removing(taken, ListReading(T + 500, (), whole=False), (made,), SETTLE) is None
    assert state_of(judge_removing(taken, ListReading(T + 500, (), whole=True), (made,), SETTLE)) == "done"
    assert state_of(judge_removing(taken, ListReading(T + 21 + DAY, (), whole=False), (made,), SETTLE)) == "waiting"


@each_list
@each("gone", ["pattern", "pattern_type", "comments"])
def test_a_removal_is_not_done_while_the_list_lacks_what_says_whose_its_entries_are(kind: Kind, gone: str) -> None:
    taken, made = kind.taken(), kind.made(state="done", remote="L1")
    line = kind.listed("worker E1 lookalike")
    if gone in line.__struct_fields__:
        line = replace(line, **{gone: ""})
    listed = ListReading.from_answer(T + 500, Whole((line,), ()))
    assert state_of(judge_removing(taken, listed, (made,), SETTLE)) != "done"


@each_list
@each(
    ("comments", "owned"),
    [
        ("worker E1 lookalike", True),
        ("worker E1 lookalike, kept by ada", False),
        ("worker E2 lookalike", False),
    ],
)
def test_an_edited_comment_means_that_somebody_adopted_it(kind: Kind, comments: str, *, owned: bool) -> None:
    made, line = kind.made(state="done", remote="L1"), kind.listed(comments)
    assert bool(owner(line, (made,))) is owned
    assert owner(line, (kind.made(state="done", remote="L2"),)) is None
    own = find_own(kind.taken(), ListReading(T, (line,)), (made,))
    assert (own.remote, own.adopted, "adopted" in own.why) == (("L1", False, False) if owned else ("", True, True))
    nobodys = find_own(kind.taken(), ListReading(T, (line,)), ())
    assert (nobodys.remote, nobodys.why) == ("", "there is no list entry of ours (any more)")


@each_list
def test_without_a_comment_nobody_says_whose_a_list_entry_is(kind: Kind) -> None:
    made, listed = kind.made(state="done", remote="L1", id="E0"), ListReading(T + 500, (kind.listed(""),))
    unknown = "has no comment (any more), so whose it is cannot be known"
    own = find_own(kind.taken(), listed, (made,))
    assert (own.remote, unknown in own.why) == ("", True)
    assert unknown in no_addition(kind.made(state="ready"), listed, Policies(), (made,))
    assert "not this worker's" in no_addition(kind.made(state="ready"), listed, Policies(), ())
    sent, unsure = (judge_adding(kind.made(state=state), listed, SETTLE) for state in ("sent", "unsure"))
    assert (sent and (sent.state, unknown in sent.said)) == ("waiting", True)
    assert state_of(unsure) == "moot"


@each_list
def test_the_end_in_a_comment_may_be_any_time_but_nothing_else(kind: Kind) -> None:
    made = entry(replace(kind.adding, for_=DAYS), "done", target=kind.adding.on)
    assert comment(made, T) == "worker E1 lookalike, until 2026-09-22T14:13:20Z"
    assert owner(kind.listed(comment(made, T + 5)), (made,)) is made
    assert owner(kind.listed("worker E1 lookalike, until further notice, says Ada"), (made,)) is None
    assert owner(kind.listed("worker E1 lookalike"), (made,)) is None


@each_list
def test_an_equal_pattern_is_not_listed_again_unless_we_have_removed_it(kind: Kind) -> None:
    wish, there = kind.made(state="ready"), ListReading(T, (kind.listed("by hand"),))
    assert no_addition(wish, there, Policies(), ()).endswith("entry L1, which is not this worker's")
    before = kind.made(state="done", remote="L1", id="E0")
    ours = ListReading(T, (kind.listed("worker E0 lookalike"),))
    assert no_addition(wish, ours, Policies(), (before,)).endswith("entry L1, which is ours")
    assert no_addition(wish, ours, Policies(), (before, kind.taken(state="done", remote="L1", id="E2"))) == ""
    assert no_addition(wish, ListReading(T, (kind.listed("by hand", is_regex=True),)), Policies(), ()) == ""


@each(
    ("action", "said"),
    [
        (BlockSender("boss@corp.example"), "is one of our own domains, or above or below one: never blocked"),
        (BlockSender("mail.corp.example", "DOMAIN"), "is one of our own domains, or above or below one: never blocked"),
        (BlockSender("partner.example", "DOMAIN"), "is allowed by an allow policy, whole or in part: never blocked"),
        (BlockSender("a@fine.example"), "a@fine.example: fine.example is a trusted domain: never blocked"),
        (BlockSender("gmail.com", "DOMAIN"), ""),
        (AllowSender("boss@Corp.example"), "in whose name strangers write: never let through"),
        (AllowSender("corp.example", "DOMAIN"), "in whose name strangers write: never let through"),
        (AllowSender("Gmail.com", "DOMAIN"), "an address at gmail.com: never let through as a whole"),
        (AllowSender("carol@gmail.com"), ""),
        (AllowSender("192.0.2.1", "IP"), ""),
        (AllowSender("partner.example", "DOMAIN"), ""),
        (TrustDomain("corp.example"), "in whose name strangers write: never let through"),
        (TrustDomain("outlook.com"), "an address at outlook.com: never let through as a whole"),
        (TrustDomain("c0rp.example"), ""),
        (BlockSender("ada@corp.example."), "is not a plain address, domain or IP: never listed"),
        (BlockSender("<ada@corp.example>"), "is not a plain address, domain or IP: never listed"),
        (AllowSender("ada@\u200bcorp.example"), "is not a plain address, domain or IP: never listed"),
        (AllowSender("ada@\uff43orp.example"), "is not a plain address, domain or IP: never listed"),
        (TrustDomain("gmail.com."), "is not a plain address, domain or IP: never listed"),
        (BlockSender("a@b@c.example"), "is not a plain address, domain or IP: never listed"),
        (BlockSender("grün@bücher.example"), ""),
        (BlockSender("2001:db8::/32", "IP"), ""),
    ],
)
def test_some_patterns_are_never_listed_whatever_a_rule_says(action: AnyAction, said: str) -> None:
    why = no_addition(entry(action, target=action.on), ListReading(T, ()), OURS, ())
    assert why.endswith(said)
    assert bool(why) is bool(said)


def test_a_block_of_an_address_or_of_its_domain_speaks_against_letting_it_through() -> None:
    assert find_related("EMAIL:ada@c0rp.example") == ("EMAIL:ada@c0rp.example", "DOMAIN:c0rp.example")
    assert find_related("DOMAIN:c0rp.example") == ("DOMAIN:c0rp.example",)
    on, blocked = BLOCKS.adding.on, ListReading(T, (BLOCKS.listed("by hand"),))
    assert find_opposition(on, blocked, ()) == Opposition("list entry L1", ("L1",))
    assert find_opposition(on, blocked, (BLOCKS.taken(state="done", remote="L1"),)) is None
    assert find_opposition(on, ListReading(T, ()), (BLOCKS.made(state="done"), BLOCKS.taken(state="ready"))) is None
    on_its_way = find_opposition(on, ListReading(T, ()), (BLOCKS.made(state="ready"),))
    assert on_its_way is not None
    assert on_its_way.say("block") == "entry E1 of the ledger is about to block this sender"


def test_what_was_on_its_way_is_still_the_same_once_it_is_listed() -> None:
    on, made = BLOCKS.adding.on, BLOCKS.made(state="done", remote="L1")
    before = find_opposition(on, ListReading(T, ()), (BLOCKS.made(state="ready"),))
    listed = find_opposition(on, ListReading(T, (BLOCKS.listed("worker E1 lookalike"),)), (made,))
    assert before is not None
    assert listed is not None
    assert before.ids[0] in listed.ids
