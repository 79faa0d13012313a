"""Answers: what came of asking each rule about a sight, as the ledger keeps it. Pure, and decides nothing."""

from collections.abc import Iterator, Sequence

from worker.judging.decide import DecidedAction
from worker.language.actions import Keep
from worker.language.rules import Ask, Lowered, Proposal
from worker.ledger.values import AnswerResult, RuleAnswer
from worker.rulehost.evaluation import Said

NAMED, MENDED = "Message", "a mended rule"
"""What an event needs that names a message which could not be fetched, or of which a rule stops its process."""


def list_answers(
    said: Said, wanted: Sequence[Proposal], late: Sequence[Proposal], decided: Sequence[DecidedAction]
) -> tuple[RuleAnswer, ...]:
    """Return one answer for each rule that said something; ``late`` waits for the rules that need facts."""
    if said.unreadable:
        return (RuleAnswer(result="unreadable"),)
    if not (said.failed or said.asks or wanted):
        return ()
    lowered = {one.rule: one.lowered for one in wanted}
    asking = tuple(one.rule for one in said.asks)
    found = [
        *(RuleAnswer(rule=one.rule, result="failed") for one in said.failed),
        *(
            RuleAnswer(rule=one.rule, result="held", needs=(*one.facts, *one.unread, *_name_stop(one)))
            for one in said.asks
        ),
        *(RuleAnswer(rule=one.rule, result="held", by=asking, lowered=one.lowered) for one in late),
        *(answer for one in decided for answer in _describe_decided(one, lowered)),
    ]
    return tuple({answer.rule: answer for answer in reversed(found)}.values())


def _name_stop(ask: Ask) -> tuple[str, ...]:
    """Return what a rule needs that stopped its process."""
    return (MENDED,) if ask.stopped else ()


def list_held(proposals: Sequence[Proposal]) -> tuple[RuleAnswer, ...]:
    """Return the answers about an event of which nothing can be entered before the message it names is fetched."""
    return tuple(RuleAnswer(rule=one.rule, result="held", needs=(NAMED,), lowered=one.lowered) for one in proposals)


def _describe_decided(one: DecidedAction, lowered: dict[str, Lowered]) -> Iterator[RuleAnswer]:
    """Yield an answer for each rule that wanted an action."""
    for rule in one.rules:
        yield RuleAnswer(rule=rule, result=_name_result(one), by=one.outranked_by, lowered=lowered.get(rule, ""))


def _name_result(one: DecidedAction) -> AnswerResult:
    if one.outranked_by:
        return "outranked"
    if one.disputed:
        return "disputed"
    return "kept" if isinstance(one.action, Keep) else "wanted"
