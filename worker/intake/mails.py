"""Mails: what people know a mail by is kept of the mail that a rule hears; of all other mail, only its id is."""

from collections.abc import Sequence

from msgspec.structs import replace

from worker.ledger.values import Held, Judgement, NewSights, RuleTable, Sight
from worker.observations import try_names
from worker.rulehost.evaluation import is_heard


def name_heard(news: NewSights, table: RuleTable) -> NewSights:
    """Give the mail that a rule hears its names; where nobody knows which rules were asked, all mail."""
    verdicts = {sight.reading.verdict for sight in news.sights if sight.reading.thing.kind == "Message"}
    heard = {verdict for verdict in verdicts if not table.fingerprint or is_heard(table.rules, "Message", verdict)}
    return replace(news, sights=tuple(_name(sight, heard) for sight in news.sights)) if heard else news


def name_renewed(judgements: Sequence[Judgement], items: Sequence[Held]) -> tuple[Judgement, ...]:
    """Give the mail its names once more that waited for fields which could not be read, as they may be among them."""
    waited = {item.sight.key for item in items if item.pending.fields and item.sight.reading.thing.kind == "Message"}
    return tuple(replace(one, sight=_give_names(one.sight)) if one.sight.key in waited else one for one in judgements)


def _name(sight: Sight, heard: set[str]) -> Sight:
    reading = sight.reading
    if reading.thing.kind != "Message" or reading.verdict not in heard:
        return sight
    return _give_names(sight)


def _give_names(sight: Sight) -> Sight:
    return replace(sight, reading=replace(sight.reading, names=try_names(sight.reading.raw)))
