"""What mypy tells a rule author. Type-checked and never run; an ``ignore`` that ignores nothing is an error too."""

from worker import ENFORCE, Detection, Message, Move, Notify, Release, example, rule, sample

mail = sample.message()

sample.message(sendr="a@b.example")  # type: ignore[call-arg]
sample.message(final_disposition="SPAMM")  # type: ignore[arg-type]
Move("Trash")  # type: ignore[arg-type]
rule(mode="enforce")  # type: ignore[call-overload]
rule(dispositions=("MALICOUS",))  # type: ignore[arg-type]


@rule(mode=ENFORCE)
def misspelt(message: Message) -> Move | None:
    """A field that does not exist."""
    return Move("Inbox") if message.sendr else None  # type: ignore[attr-defined]


@rule
def unadmitted(message: Message) -> Move | None:
    """An action that the signature does not admit."""
    return Release() if message.is_quarantined else None  # type: ignore[return-value]


@example(mail, gives=None)  # type: ignore[arg-type]
def too_few(message: Message, detection: Detection) -> Notify | None:
    """An example that leaves out a fact."""
    return Notify("soc") if message.subject and detection.links else None


@example(sample.report(), gives=None)  # type: ignore[arg-type]
def other_noun(message: Message) -> Notify | None:
    """An example about something else."""
    return Notify("soc") if message.subject else None


@example(mail, gives="nothing")  # type: ignore[arg-type]
def no_action(message: Message) -> Notify | None:
    """An example whose answer is no action."""
    return Notify("soc") if message.subject else None
