"""People: what entries keep of a mail's sender and recipients, and what the mail proves about its sender."""

from collections.abc import Callable
from functools import partial

from msgspec import field

from worker.language.base import Flag, Noun, Nullable, Text, Texts
from worker.language.domains import authenticate, is_freemail
from worker.language.models import Properties, Report, Submission, Validation
from worker.language.reading import read
from worker.ledger.values import Reading


class People(Noun, frozen=True, kw_only=True):
    """The fields of a message that entries keep, for people and for limits, and those that tell who really wrote."""

    sender: Text = field(name="from", default="")
    client_recipients: Texts = ()
    subject: Text = ""
    is_phish_submission: Flag = False
    envelope_from: Text = ""
    smtp_helo_server_ip: Text = ""
    validation: Nullable[Validation] = Validation()
    properties: Nullable[Properties] = Properties()

    @property
    def met(self) -> str:
        """The pattern of the block list that the mail met, in lower case."""
        return self.properties.blocklisted_pattern.lower()

    def name_proof(self, target: str) -> str:
        """Return what the mail proves to come from, of the kind that a target is: of an IP, the server that sent it.

        At a mail provider that is one address, elsewhere the domain.
        """
        if target.startswith("IP:"):
            return self.smtp_helo_server_ip
        domain = authenticate(self.sender, self.envelope_from, self.validation.spf, self.validation.dmarc)
        return self.sender.lower() if domain and is_freemail(domain) else domain


def read_people(subject: Reading) -> People:
    """Return sender, recipients and subject; empty when they cannot be read, since they are only shown and counted."""
    try:
        return PEOPLE.get(subject.thing.kind, _read_nobody)(subject.raw)
    except ValueError:
        return People()


def _read_nobody(_: bytes) -> People:
    return People()


def _read_report_people(raw: bytes) -> People:
    """Return sender and recipients of the mail that a report is about, and the report's title."""
    report = read(Report, raw)
    return People(sender=report.fields.sender, client_recipients=report.fields.to, subject=report.title)


PEOPLE: dict[str, Callable[[bytes], People]] = {
    "Message": partial(read, People),
    "Report": _read_report_people,
    "Submission": lambda raw: People(subject=read(Submission, raw).subject),
}
