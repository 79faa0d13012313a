"""Actions: what a rule can return. Each is a frozen value with a lane, a target and, where there is one, an inverse."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

from msgspec import Meta, Struct, field, json
from msgspec.structs import fields

from worker.language.models import AskedDisposition, Destination, PatternType

LONGEST = timedelta(days=3653)

Lane = Literal["placement", "verdict", "block", "allow", "trust", "notice", "keep"]
MOST = 1024
"""Characters of a pattern."""


class Action(Struct, frozen=True, tag=True, eq=False, kw_only=True):
    """Something to do, and why (``because``). Actions that differ only in the reason are equal."""

    because: str = ""

    lane: ClassVar[Lane]
    """The kind of effect. Of one lane and target, one action is under way at a time (except notices)."""
    about_message: ClassVar[bool] = False
    """Whether it changes a message, which the worker then looks at first."""
    tries: ClassVar[int] = 5
    """How often it is attempted before the worker gives up."""
    repeat_hurts: ClassVar[bool] = False
    """Whether doing it twice could do harm: after the last attempt a person decides; other actions fail."""
    list_name: ClassVar[str] = ""
    """The account list that it changes, by the API's name; empty for other actions."""
    opposite: ClassVar[tuple[Lane, ...]] = ()
    """The lanes of lists on which an entry would contradict it."""

    @property
    def wish(self) -> tuple[object, ...]:
        """What the action does, without the reason."""
        return (type(self).__name__, *(getattr(self, name) for name in self.__struct_fields__ if name != "because"))

    @property
    def on(self) -> str:
        """The target that the action names; empty when it is the message of the event."""
        return ""

    @property
    def irreversible(self) -> bool:
        """Whether only an administrator of the mail system can undo it."""
        return False

    def __eq__(self, other: object) -> bool:
        """Compare everything but the reason."""
        return isinstance(other, Action) and self.wish == other.wish

    def __ne__(self, other: object) -> bool:
        """Compare everything but the reason; Struct's own method compares identities."""
        return not self == other

    def __hash__(self) -> int:
        """Hash everything but the reason."""
        return hash(self.wish)


class Move(Action, frozen=True):
    """Move a delivered message to a folder; RecoverableItemsPurges cannot be undone."""

    destination: Destination

    lane = "placement"
    about_message = True

    @property
    def irreversible(self) -> bool:
        """A purge cannot be undone, any other move can."""
        return self.destination == "RecoverableItemsPurges"


class Release(Action, frozen=True):
    """Deliver a quarantined message to its recipients."""

    lane = "placement"
    about_message = True
    repeat_hurts = True


class Reclassify(Action, frozen=True):
    """Ask Cloudflare to judge a message anew; a request for review, not a command."""

    expected_disposition: AskedDisposition

    lane = "verdict"
    about_message = True
    tries = 3
    repeat_hurts = True


class Escalate(Reclassify, frozen=True, kw_only=True):
    """Hand what a user submitted on to Cloudflare's analysts, and ask for a verdict on its message."""

    submission_id: str = ""
    """The user's submission: the event, so the worker fills it in."""


class ListAction(Action, frozen=True):
    """An action on a list of the account. Its target is a pattern: a domain, unless the action names another type."""

    pattern: str

    def __post_init__(self) -> None:
        """Reject a pattern that no list takes."""
        _check_pattern(self.pattern)

    @property
    def on(self) -> str:
        """The pattern's type and its text in lower case."""
        return f"DOMAIN:{self.pattern.lower()}"


class SenderAction(ListAction, frozen=True):
    """An action on a list of senders."""

    pattern_type: PatternType = "EMAIL"

    @property
    def on(self) -> str:
        """The pattern's type and its text in lower case."""
        return f"{self.pattern_type}:{self.pattern.lower()}"


class Unblock(SenderAction, frozen=True):
    """Remove a block that this worker made; blocks made by others are never touched."""

    lane = "block"
    list_name = "block_senders"


class Disallow(SenderAction, frozen=True):
    """Remove an allow policy that this worker made; policies made by others are never touched."""

    lane = "allow"
    list_name = "allow_policies"


class Distrust(ListAction, frozen=True):
    """Remove a trusted domain that this worker made; entries made by others are never touched."""

    lane = "trust"
    list_name = "trusted_domains"


class BlockSender(SenderAction, frozen=True):
    """Block future mail from a sender; with ``for_`` the block ends after that time."""

    for_: timedelta | None = field(default=None)

    lane = "block"
    list_name = "block_senders"
    opposite = ("allow", "trust")

    def __post_init__(self) -> None:
        """Reject a time that makes no sense."""
        super().__post_init__()
        _check_time(self.for_)

    def inverse(self) -> Unblock:
        """Return the action that undoes this one."""
        return Unblock(self.pattern, self.pattern_type)


class AllowSender(SenderAction, frozen=True):
    """Let future mail from a sender through; with ``for_`` the policy ends after that time.

    An acceptable sender is exempt from the verdicts SPAM, SPOOF and BULK, a trusted one from every verdict. With
    ``verify`` only mail that passes SPF, DKIM or DMARC is exempt.
    """

    kind: Literal["acceptable", "trusted"] = "acceptable"
    verify: bool = True
    for_: timedelta | None = field(default=None)

    lane = "allow"
    list_name = "allow_policies"
    opposite = ("block",)

    def __post_init__(self) -> None:
        """Reject a time that makes no sense."""
        super().__post_init__()
        _check_time(self.for_)

    def inverse(self) -> Disallow:
        """Return the action that undoes this one."""
        return Disallow(self.pattern, self.pattern_type)


class TrustDomain(ListAction, frozen=True):
    """No longer treat a domain as a lookalike, or as new; with ``for_`` the entry ends after that time."""

    similarity: bool = True
    recent: bool = False
    for_: timedelta | None = field(default=None)

    lane = "trust"
    list_name = "trusted_domains"
    opposite = ("block",)

    def __post_init__(self) -> None:
        """Reject a time that makes no sense, and an entry without effect."""
        super().__post_init__()
        _check_time(self.for_)
        if not (self.similarity or self.recent):
            raise ValueError("TrustDomain needs similarity=True, recent=True or both")

    def inverse(self) -> Distrust:
        """Return the action that undoes this one."""
        return Distrust(self.pattern)


def _check_pattern(pattern: object) -> None:
    """Reject a text of the wrong length; a value that is no text is rejected when the rule's answer is checked."""
    if isinstance(pattern, str) and not 1 <= len(pattern) <= MOST:
        raise ValueError(f"a pattern must have 1 to {MOST:,} characters, not {len(pattern):,}")


def _check_time(for_: timedelta | None) -> None:
    """Reject an entry that would end before it begins, or after ten years."""
    if for_ is not None and for_ <= timedelta(0):
        raise ValueError(f"for_ must be more than zero, not {for_}")
    if for_ is not None and for_ > LONGEST:
        raise ValueError("for_ can be ten years at most; leave it out for an entry that never ends")


Adding: TypeAlias = BlockSender | AllowSender | TrustDomain
"""Makes an entry on a list, which may end after a time; its ``inverse`` removes it."""
Removing: TypeAlias = Unblock | Disallow | Distrust
ENDED_BY = {made.__name__: end.__name__ for made, end in zip(get_args(Adding), get_args(Removing), strict=True)}
"""By the name of what makes a list entry: the name of its inverse."""


class Notify(Action, frozen=True):
    """Send a notice to a channel, whose address is the setting WORKER_NOTIFY_<CHANNEL>."""

    channel: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{1,64}$")]

    lane = "notice"

    @property
    def on(self) -> str:
        """The channel."""
        return self.channel


class Keep(Action, frozen=True):
    """Change nothing about the message. At a higher priority, this exempts it from rules of lower priority."""

    lane = "keep"


AnyAction = Move | Release | Reclassify | Escalate | Adding | Removing | Notify | Keep
ACTIONS: dict[str, type[Action]] = {kind.__name__: kind for kind in get_args(AnyAction)}
LISTS: tuple[Lane, ...] = tuple(dict.fromkeys(kind.lane for kind in ACTIONS.values() if kind.list_name))
"""The lanes of the account's lists."""
LANES: tuple[Lane, ...] = tuple(dict.fromkeys(kind.lane for kind in ACTIONS.values() if kind is not Keep))
"""Every lane in which an action does something."""


def describe_action(action: Action) -> str:
    """Write an action as a rule would, without its reason and its defaults: ``Move("Inbox")``."""
    return f"{type(action).__name__}({', '.join(_arguments(action))})"


def _arguments(action: Action) -> Iterator[str]:
    for one in fields(action):
        value = getattr(action, one.name)
        if one.name != "because" and value != one.default:
            text = json.encode(value).decode() if isinstance(value, str) else repr(value)
            yield text if one.required else f"{one.name}={text}"
