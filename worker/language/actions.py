"""The verbs: what a rule may ask for, as frozen values with a lane, a target and, where there is one, an inverse."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

from msgspec import Meta, Struct, field

from worker.language.models import AskedDisposition, Destination, PatternType

LONGEST = timedelta(days=3653)

Lane = Literal["placement", "verdict", "block", "allow", "trust", "notice", "keep"]
MOST = 1024
"""Characters of a pattern."""


class Action(Struct, frozen=True, tag=True, eq=False, kw_only=True):
    """Something to be done, and why. The reason does not take part in equality."""

    because: str = ""

    lane: ClassVar[Lane]
    about_message: ClassVar[bool] = False
    """Whether it changes a message, which then has to exist and to be looked at first."""
    tries: ClassVar[int] = 5
    """Attempts after which it is not tried again."""
    repeat_hurts: ClassVar[bool] = False
    """Whether doing it twice does harm: after the last attempt a person decides, instead of its failing."""
    list_name: ClassVar[str] = ""
    """The list that it changes, by the API's name; empty for an action on no list."""
    opposite: ClassVar[tuple[Lane, ...]] = ()
    """The lanes of the lists on which an entry would contradict it."""

    @property
    def wish(self) -> tuple[object, ...]:
        """What is wanted, without the reason."""
        return (type(self).__name__, *(getattr(self, name) for name in self.__struct_fields__ if name != "because"))

    @property
    def on(self) -> str:
        """The target as far as the action itself names it; empty for the message the event is about."""
        return ""

    @property
    def irreversible(self) -> bool:
        """Whether nobody but an administrator of the mail system can take it back."""
        return False

    def __eq__(self, other: object) -> bool:
        """Compare wishes."""
        return isinstance(other, Action) and self.wish == other.wish

    def __ne__(self, other: object) -> bool:
        """Compare wishes; the one that Struct brings compares identities."""
        return not self == other

    def __hash__(self) -> int:
        """Hash the wish."""
        return hash(self.wish)


class Move(Action, frozen=True):
    """Move a delivered message to a folder; RecoverableItemsPurges cannot be undone."""

    destination: Destination

    lane = "placement"
    about_message = True

    @property
    def irreversible(self) -> bool:
        """A purge is."""
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


class ListAction(Action, frozen=True):
    """An action on a list of the account, whose target is a pattern: a domain, unless it says of which type."""

    pattern: str

    def __post_init__(self) -> None:
        """Refuse a pattern that no list takes."""
        _check_pattern(self.pattern)

    @property
    def on(self) -> str:
        """The pattern's type and its lower-case text."""
        return f"DOMAIN:{self.pattern.lower()}"


class SenderAction(ListAction, frozen=True):
    """An action on a list of senders."""

    pattern_type: PatternType = "EMAIL"

    @property
    def on(self) -> str:
        """The pattern's type and its lower-case text."""
        return f"{self.pattern_type}:{self.pattern.lower()}"


class Unblock(SenderAction, frozen=True):
    """Take back a block that this worker made; others' blocks are never touched."""

    lane = "block"
    list_name = "block_senders"


class Disallow(SenderAction, frozen=True):
    """Take back an allow policy that this worker made; others' are never touched."""

    lane = "allow"
    list_name = "allow_policies"


class Distrust(ListAction, frozen=True):
    """Take back a trusted domain that this worker made; others' are never touched."""

    lane = "trust"
    list_name = "trusted_domains"


class BlockSender(SenderAction, frozen=True):
    """Block future mail of a sender; with ``for_`` the block ends after that time."""

    for_: timedelta | None = field(default=None)

    lane = "block"
    list_name = "block_senders"
    opposite = ("allow", "trust")

    def __post_init__(self) -> None:
        """Refuse a time that makes no sense."""
        super().__post_init__()
        _check_time(self.for_)

    def inverse(self) -> Unblock:
        """Return what takes it back."""
        return Unblock(self.pattern, self.pattern_type)


class AllowSender(SenderAction, frozen=True):
    """Let future mail of a sender through; with ``for_`` that ends after that time.

    An acceptable sender is spared SPAM, SPOOF and BULK, a trusted one every verdict. With ``verify`` only mail that
    passes SPF, DKIM or DMARC is spared.
    """

    kind: Literal["acceptable", "trusted"] = "acceptable"
    verify: bool = True
    for_: timedelta | None = field(default=None)

    lane = "allow"
    list_name = "allow_policies"
    opposite = ("block",)

    def __post_init__(self) -> None:
        """Refuse a time that makes no sense."""
        super().__post_init__()
        _check_time(self.for_)

    def inverse(self) -> Disallow:
        """Return what takes it back."""
        return Disallow(self.pattern, self.pattern_type)


class TrustDomain(ListAction, frozen=True):
    """Stop suspecting a domain for resembling another, or for being new; with ``for_`` that ends after that time."""

    similarity: bool = True
    recent: bool = False
    for_: timedelta | None = field(default=None)

    lane = "trust"
    list_name = "trusted_domains"
    opposite = ("block",)

    def __post_init__(self) -> None:
        """Refuse a time that makes no sense, and trust in nothing."""
        super().__post_init__()
        _check_time(self.for_)
        if not (self.similarity or self.recent):
            raise ValueError("a domain is trusted in its similarity, its being recent, or both; this names neither")

    def inverse(self) -> Distrust:
        """Return what takes it back."""
        return Distrust(self.pattern)


def _check_pattern(pattern: object) -> None:
    """Refuse a text of the wrong length; what is no text at all is refused when the rule's answer is looked at."""
    if isinstance(pattern, str) and not 1 <= len(pattern) <= MOST:
        raise ValueError(f"a pattern has between 1 and {MOST:,} characters, and this one has {len(pattern) or 'none'}")


def _check_time(for_: timedelta | None) -> None:
    """Refuse an entry that would end before it begins, or after anybody's calendar."""
    if for_ is not None and for_ <= timedelta(0):
        raise ValueError(f"an entry that lasts {for_} makes no sense; for_ takes a time above zero")
    if for_ is not None and for_ > LONGEST:
        raise ValueError("an entry lasts ten years at most; leave for_ out for one that never ends")


Adding: TypeAlias = BlockSender | AllowSender | TrustDomain
"""Makes an entry on a list, which may end by itself; its ``inverse`` removes it."""
Removing: TypeAlias = Unblock | Disallow | Distrust


class Notify(Action, frozen=True):
    """Tell a channel what happened; its address is the setting WORKER_NOTIFY_<CHANNEL>."""

    channel: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{1,64}$")]

    lane = "notice"

    @property
    def on(self) -> str:
        """The channel."""
        return self.channel


class Keep(Action, frozen=True):
    """Leave everything about the message as it is; at a higher priority this is an exemption."""

    lane = "keep"


AnyAction = Move | Release | Reclassify | Adding | Removing | Notify | Keep
ACTIONS: dict[str, type[Action]] = {kind.__name__: kind for kind in get_args(AnyAction)}
LISTS: tuple[Lane, ...] = tuple(dict.fromkeys(kind.lane for kind in ACTIONS.values() if kind.list_name))
"""The lanes of the account's lists."""
LANES: tuple[Lane, ...] = tuple(dict.fromkeys(kind.lane for kind in ACTIONS.values() if kind is not Keep))
"""Every lane in which something is done."""
