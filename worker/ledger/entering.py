"""Entering what was decided: a wish joins an equal one, waits behind a different one, or finds its effect done."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from msgspec.structs import replace
from sqlalchemy import Row, delete, select

from worker.language.actions import Adding, Move
from worker.language.models import PatternType
from worker.language.rules import Mode
from worker.ledger.cascade import choose_fate, go_on, is_end, took_effect
from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import reasons
from worker.ledger.doubts import choose_proof, covers
from worker.ledger.entries import FINAL, LASTING, OPEN, RETIRABLE, Draft, Entry, WantedEffect, is_accepted, is_under_way
from worker.ledger.records import Json, harmless
from worker.ledger.repeats import find_same, stands_on
from worker.ledger.unit_of_work import UnitOfWork, last_of
from worker.ledger.values import Held, Sight, thing_of

WRITTEN_BY_STRANGERS = frozenset({"because", "subject", "sender", "authenticated"})


def place(work: UnitOfWork, drafts: Sequence[Draft]) -> None:
    """Enter drafts; notices come last, because they are sent when the rest of their decision has settled."""
    work.survey((draft.lane, draft.target) for draft in drafts if draft.lane != "notice")
    drafts = _judge_by_our_blocks(work, drafts)
    pending: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        if draft.lane != "notice" and _stands(work, draft):
            pending[draft.cause].append(draft)
    for draft in drafts:
        if draft.lane == "notice":
            _place_notice(work, draft, pending[draft.cause])


def retire(work: UnitOfWork, sights: Mapping[str, Sight], drafts: Sequence[Draft], held: Sequence[Held] = ()) -> None:
    """Take back what older sights of these things asked for; ``sights`` has the newest one of each thing.

    What others asked for as well stands on their word alone. What is on its way runs to its end. What a thing that is
    judged again asks for again, by these drafts, stands, and so does what it may still ask for, since it is held.
    """
    still = {thing_of(item.sight.key): item.pending for item in held if item.sight.lacked}
    asked: dict[str, list[Row[tuple[object, ...]]]] = defaultdict(list)
    for chunk in chunks(sights):
        query = select(reasons).where(reasons.c.account == work.account, reasons.c.thing.in_(chunk))
        for row in work.conn.execute(query):
            asked[row.entry].append(row)
    again: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        if draft.again:
            again[thing_of(draft.cause)].append(draft)
    for entry in work.fetch(asked):
        stay = {
            row.thing
            for row in asked[entry.id]
            if row.cause == sights[row.thing].key
            or any(stands_on(entry, row, one) for one in again[row.thing])
            or (row.thing in still and still[row.thing].may_want(row.rules))
        }
        things = {row.thing for row in asked[entry.id]} - stay
        if entry.state in RETIRABLE and things:
            _withdraw(work, entry, things, sights)


def _judge_by_our_blocks(work: UnitOfWork, drafts: Sequence[Draft]) -> list[Draft]:
    """Doubt what is wanted of mail that a block of ours has judged: whoever is forged as one that we blocked has it."""
    met = {draft.met for draft in drafts if draft.met}
    work.survey(("block", f"{kind}:{pattern}") for pattern in met for kind in get_args(PatternType))
    held = {pattern: target for pattern in met if (target := _find_block(work, pattern))}
    return [_doubt(draft, held[draft.met]) if draft.met in held else draft for draft in drafts]


def _find_block(work: UnitOfWork, pattern: str) -> str:
    """Return the target of a block of ours that stands on a pattern; empty when there is none."""
    targets = (f"{kind}:{pattern}" for kind in get_args(PatternType))
    return next((target for target in targets if _may_stand(work.on("block", target))), "")


def _may_stand(on: Sequence[Entry]) -> bool:
    """Tell whether a list entry of ours stands, or may already."""
    tried = any(entry.attempts and isinstance(entry.action, Adding) and is_under_way(entry) for entry in on)
    last = last_of(filter(took_effect, on))
    return tried or (last is not None and isinstance(last.action, Adding))


def _doubt(draft: Draft, block: str) -> Draft:
    """Let such mail change no list, and be moved without a person only if it proves to be from whom we blocked."""
    if draft.state in {"observed", "moot"}:
        return draft
    if isinstance(draft.action, Adding):
        return replace(
            draft, state="moot", why_waiting=f"its mail is judged by our block of {block}: it changes no list"
        )
    if not isinstance(draft.action, Move) or draft.state != "ready" or _is_from(draft, block):
        return draft
    said = f"judged so because of our block of {block}, and the mail does not prove to be from there"
    return replace(draft, state="waiting", why="met_our_block", why_waiting=said)


def _is_from(draft: Draft, block: str) -> bool:
    """Tell whether a mail proves to be from whom a block is about; which server it came from needs no proof."""
    return block.startswith("IP:") or covers(draft.authenticated, block)


def _stands(work: UnitOfWork, draft: Draft) -> bool:
    """Enter a draft; tell whether it is still to be settled."""
    if draft.again and (same := find_same(work, draft)):
        return _join_again(work, same, draft)
    twin = None if draft.state in {"observed", "moot"} else _twin(work, draft)
    if twin:
        _join(work, twin, draft)
        return not is_accepted(twin)
    wish = _entry(work, draft)
    if draft.state == "ready":
        found = choose_fate(work, wish)
        wish = replace(wish, state=found.state, behind=found.behind, said=found.why or wish.said, remote=found.remote)
    elif draft.state == "waiting" and _is_done(work, wish):
        wish = replace(wish, state="moot", said="was done already")
    work.enter(wish)
    if wish.state not in RETIRABLE:
        return False
    _note_reason(work, wish, draft)
    return True


def _place_notice(work: UnitOfWork, draft: Draft, pending: Sequence[Draft]) -> None:
    """Enter a notice; it is held while something that its rules said with it is pending, under whosever name."""
    if draft.again and (same := find_same(work, draft)):
        _join_again(work, same, draft)
        return
    notice = _entry(work, draft)
    others = [other for other in pending if not set(draft.rules).isdisjoint(other.rules)]
    if others and draft.state in {"ready", "waiting"}:
        of = next((other for other in others if other.item == draft.item), others[0])
        said = "is sent when the rule's other actions have ended"
        notice = replace(notice, state="held", item=of.item, item_kind=of.item_kind, item_of=of.item_of, said=said)
    work.enter(notice)
    if notice.state in {"ready", "waiting"}:
        # Under an item of its own, so that it holds no other notice of its decision back.
        _note_reason(work, notice, replace(draft, item=notice.id, item_kind="decision", item_of=""))


def _twin(work: UnitOfWork, draft: Draft) -> Entry | None:
    """Find an equal wish that is not settled, unless joining it would pass something else that is on its way."""
    on = [entry for entry in work.on(draft.lane, draft.target) if not (is_end(entry) and entry.ready_at > work.now)]
    busy = any(is_under_way(entry) and entry.action != draft.action for entry in on)
    for entry in on:
        if entry.action != draft.action or entry.state not in {*OPEN, "waiting", "held"}:
            continue
        if not (busy and _wakes(entry, draft)):
            return entry
    return None


def _wakes(entry: Entry, draft: Draft) -> bool:
    """Tell whether a stronger wish lets a waiting entry go; about one that was tried already a person decides."""
    return entry.state == "waiting" and draft.state == "ready" and not entry.attempts and entry.why not in LASTING


def _join(work: UnitOfWork, entry: Entry, draft: Draft) -> None:
    """Add a further reason to an entry; a stronger one makes a waiting entry ready."""
    rules = {
        **dict(zip(entry.rules, entry.fingerprints, strict=True)),
        **dict(zip(draft.rules, draft.fingerprints, strict=True)),
    }
    joined = replace(
        entry,
        rules=tuple(rules),
        fingerprints=tuple(rules.values()),
        mode=max(entry.mode, draft.mode),
        authenticated=choose_proof(entry.authenticated, draft.authenticated, entry.target),
    )
    told = _describe_reason(draft, joined.authenticated)
    if _wakes(entry, draft):
        go_on(work, joined, "joined", told)
    else:
        work.touch(joined)
        work.chain.add("joined", entry=entry.id, lane=entry.lane, target=entry.target, **told)
    _note_reason(work, entry, draft)


def _join_again(work: UnitOfWork, entry: Entry, draft: Draft) -> bool:
    """Note that an event which is judged again wants what it has got before; tell whether that is to be settled."""
    told = _describe_reason(draft, entry.authenticated)
    work.chain.add("joined", entry=entry.id, lane=entry.lane, target=entry.target, **told)
    if entry.state in FINAL:
        return False
    _note_reason(work, entry, draft)
    return not is_accepted(entry)


def _describe_reason(draft: Draft, authenticated: str) -> dict[str, Json]:
    """Say why a draft joins an entry, and what is proved by all that ask for it."""
    rules = [list(pair) for pair in zip(draft.rules, draft.fingerprints, strict=True)]
    return {"because": draft.because, "cause": draft.cause, "rules": rules, "authenticated": authenticated}


def _is_done(work: UnitOfWork, wish: Entry) -> bool:
    """Tell whether asking a person would be for nothing: the last effect on the target is this very one."""
    on = work.on(wish.lane, wish.target)
    last = last_of(entry for entry in on if took_effect(entry))
    return last is not None and last.action == wish.action and not any(map(is_under_way, on))


def _entry(work: UnitOfWork, draft: Draft) -> Entry:
    """Write a draft as an entry, with everything that strangers wrote made harmless."""
    return Entry(
        **{name: getattr(draft, name) for name in WantedEffect.__struct_fields__ if name not in WRITTEN_BY_STRANGERS},
        id=work.mint(work.now),
        account=work.account,
        because=harmless(draft.because, 500),
        subject=harmless(draft.subject, 200),
        sender=harmless(draft.sender, 320),
        authenticated=harmless(draft.authenticated, 320),
        said=harmless(draft.why_waiting, 500),
        why=draft.why,
        created_at=work.now,
        next_at=draft.ready_at,
        waits_since=work.now if draft.state == "waiting" else 0.0,
    )


def _note_reason(work: UnitOfWork, entry: Entry, draft: Draft) -> None:
    work.give_reason(
        entry,
        thing_of(draft.cause),
        draft.item,
        item_kind=draft.item_kind,
        item_of=draft.item_of,
        cause=draft.cause,
        because=harmless(draft.because, 500),
        mode=draft.mode,
        rules=draft.rules,
        fingerprints=draft.fingerprints,
        authenticated=harmless(draft.authenticated, 320),
    )


def _withdraw(work: UnitOfWork, entry: Entry, things: set[str], sights: Mapping[str, Sight]) -> None:
    """Take the word of some things away from an entry, which falls when no other stands for it."""
    why = ", ".join(_explain_newer([sights[thing] for thing in sorted(things)]))
    rows = work.conn.execute(select(reasons).where(reasons.c.entry == entry.id).order_by(reasons.c.cause)).all()
    rest = [row for row in rows if row.thing not in things]
    if not rest:
        work.move(entry, "moot", "retired", said=why)
        return
    work.conn.execute(delete(reasons).where(reasons.c.entry == entry.id, reasons.c.thing.in_(things)))
    work.free_items.update(row.item for row in rows if row.thing in things)
    rules = {rule: mark for row in rest for rule, mark in zip(row.rules, row.fingerprints, strict=True)}
    proved = next((row.authenticated for row in rest if covers(row.authenticated, entry.target)), rest[0].authenticated)
    work.touch(
        replace(
            entry,
            cause=rest[0].cause,
            item=rest[0].item,
            item_kind=rest[0].item_kind,
            item_of=rest[0].item_of,
            because=rest[0].because,
            mode=Mode(max(row.mode for row in rest)),
            rules=tuple(rules),
            fingerprints=tuple(rules.values()),
            authenticated=proved,
        )
    )
    told = {"rules": [list(pair) for pair in rules.items()], "authenticated": proved}
    work.chain.add("withdrawn", entry=entry.id, target=entry.target, why=why, **told)


def _explain_newer(newer: Sequence[Sight]) -> Iterator[str]:
    """Yield why what older sights asked for does not stand."""
    if changed := [sight.key for sight in newer if not sight.lacked]:
        yield f"verdict changed, see {', '.join(changed)}"
    for lacked in sorted({sight.lacked for sight in newer if sight.lacked}):
        keys = [sight.key for sight in newer if sight.lacked == lacked]
        yield f"judged again, as {' and '.join(lacked)} was missing, see {', '.join(keys)}"
