"""`worker audit verify`: whether the audit records are intact, in the ledger or in files."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import msgspec
import typer

from worker.cli import context, output
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.audit.heads import SignedHead
    from worker.audit.keys import PublicKey
    from worker.audit.proof import Proof
    from worker.audit.verify import Verdict
    from worker.settings import Settings

FILES = "Files of records, one JSON object per line, the oldest file first. Default: the ledger."
HEADS = "Signed heads that were kept elsewhere: a file of them, or collected logs. May be repeated, the oldest first."
PUBLIC = "The public half of the key that signed them. May be repeated."
SQLITE = b"SQLite format 3\0"
"""How a ledger begins."""
UNPROVED = (
    "Not proved: that nobody who can write this wrote it anew, cut off its end, or gave it another",
    "beginning. Signed heads that were kept elsewhere prove that: name them with --heads and --key.",
)
LONGEST = 1 << 20
"""Bytes of a line; no record is as long."""


class Trust(NamedTuple):
    """Signed heads, and the keys that may have signed them."""

    heads: tuple[Path, ...]
    keys: "tuple[PublicKey, ...]"

    def open_proof(self, account: str) -> "Proof | None":
        """Read the heads of an account, as they are needed; None when no heads were named."""
        from worker.audit.proof import Proof, verify_heads

        return Proof(verify_heads(self._read(), account, self.keys)) if self.heads else None

    def list_accounts(self) -> set[str]:
        """Return the accounts that the heads are about."""
        from worker.audit.heads import BrokenHeadError
        from worker.audit.proof import list_signed

        try:
            return list_signed(self._read())
        except BrokenHeadError as error:
            raise SettingsError(f"{error}: name heads that nobody could change") from None

    def _read(self) -> Iterator[bytes]:
        return chain.from_iterable(map(_read_lines, self.heads))


class Findings(NamedTuple):
    """What came of verifying: by account, which records the ledger says are signed, and files with a torn end."""

    verdicts: "dict[str, Verdict]"
    claimed: "dict[str, SignedHead | None]"
    torn: list[str]


def verify(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help=FILES)] = None,
    *,
    as_json: context.Json = False,
    heads: Annotated[list[Path] | None, typer.Option("--heads", metavar="FILE", help=HEADS)] = None,
    keys: Annotated[list[Path] | None, typer.Option("--key", metavar="PUB", help=PUBLIC)] = None,
) -> None:
    """Check that the records are as they were written.

    Checks the ledger, its entries included, or files of records such as collected logs. By itself it finds what does
    not fit together; it cannot find that whoever can write the ledger wrote it anew or cut off its end, and says so.
    With signed heads that were kept elsewhere, and the public half of their key, it proves that no record that they
    cover was changed, removed or put in. Ends with 1 if something is wrong, if the heads cover no record of an account,
    or if the last line of a file is incomplete.

    Example: worker audit verify --heads heads.jsonl --key audit.pub
    """
    trust = _read_trust(heads or [], keys or [])
    found = _verify_files(files, trust) if files else context.wait(_verify_ledger(context.read_settings(), trust))
    if as_json:
        _print_json(found)
    else:
        _print_verdicts(found, proves=bool(trust.heads))
    verdicts = found.verdicts.values()
    unproved = [verdict for verdict in verdicts if trust.heads and verdict.records and not verdict.signed]
    context.exit_on_finding([*found.torn, *unproved, *(verdict for verdict in verdicts if verdict.problem)])


def _read_trust(heads: Sequence[Path], keys: Sequence[Path]) -> Trust:
    from worker.audit.keys import read_public

    if bool(heads) != bool(keys):
        raise SettingsError(
            "signed heads and the public half of their key prove something together: name --heads and --key"
        )
    try:
        return Trust(tuple(heads), tuple(read_public(file.read_text("ascii"), str(file)) for file in keys))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no PEM file"
        raise SettingsError(
            f"--key cannot be read ({why}): name the file with what `worker audit key` printed"
        ) from None


async def _verify_ledger(settings: "Settings", trust: Trust) -> Findings:
    from worker.audit.heads import find_last
    from worker.audit.inspection import inspect_ledger
    from worker.audit.verify import Age

    age, found = Age(settings.keep, time.time()), Findings({}, {}, [])
    async with context.read_ledger(settings) as (ledger, accounts):
        every = {*accounts, *await ledger.list_chains(), *trust.list_accounts()}
        for account in accounts if settings.account_id else sorted(every):
            found.verdicts[account] = await inspect_ledger(ledger, account, age, trust.open_proof(account))
            found.claimed[account] = find_last(await ledger.list_heads(account))
    return found


def _verify_files(files: Iterable[Path], trust: Trust) -> Findings:
    """Verify the records in files, by account; name each file whose last line is torn, and leave that line out."""
    from worker.audit.heads import SIGNED
    from worker.audit.verify import ChainVerifier

    verifiers = {account: ChainVerifier(cut=True, proof=trust.open_proof(account)) for account in trust.list_accounts()}
    torn = []
    for file in files:
        for number, read in enumerate(_read_lines(file), 1):
            line, account = read.rstrip(b"\r\n"), _find_account(read)
            if not account and _is_torn(read):
                torn.append(_describe_torn(file, number))
            elif not SIGNED.search(line):  # heads lie between the records
                proof = trust.open_proof(account) if account not in verifiers else None
                verifiers.setdefault(account, ChainVerifier(cut=True, proof=proof)).take(line)
    return Findings({account: verifier.finish() for account, verifier in verifiers.items()}, {}, torn)


def _read_lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file, one after the other; what is too long for one comes in parts."""
    try:
        with file.open("rb") as stream:
            _refuse_ledger(file, stream)
            while line := stream.readline(LONGEST):
                yield line
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None


def _refuse_ledger(file: Path, stream: BinaryIO) -> None:
    if stream.read(len(SQLITE)) == SQLITE:
        raise SettingsError(
            f"{file} is a ledger, not a file of records: set WORKER_STORE_URL to sqlite:///{file}, and name no file"
        )
    stream.seek(0)


def _describe_torn(file: Path, line: int) -> str:
    return (
        f"{file} line {line} is incomplete, as when the worker is killed while it writes: "
        "the next start writes that record again"
    )


def _is_torn(line: bytes) -> bool:
    """Tell whether a line of nobody is the beginning of a record, and no more."""
    return line.startswith(b"{") and not line.endswith(b"\n") and len(line) < LONGEST


def _find_account(line: bytes) -> str:
    """Return whose record a line is; one that cannot be read is nobody's, and breaks nobody else's chain."""
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return ""
    return str(record.get("account", "")) if isinstance(record, dict) else ""


def _print_json(found: Findings) -> None:
    from worker.audit.verify import Verdict

    told = [*found.verdicts.items(), *(("", Verdict(problem=problem)) for problem in found.torn)]
    output.print_json([_describe_verdict(account, verdict) for account, verdict in told])


def _describe_verdict(account: str, verdict: "Verdict") -> output.Row:
    names = ("problem", "records", "first", "last", "hash", "previous", "unchecked", "signed", "signed_at", "signed_by")
    return {
        "account": account,
        "whole": not verdict.problem and not verdict.unchecked,
        **{name: getattr(verdict, name) for name in names},
    }


def _print_verdicts(found: Findings, *, proves: bool) -> None:
    """Print for people what came of verifying, in lines that keep a hash in one piece."""
    for account, verdict in found.verdicts.items():
        typer.echo(f"account {output.format_cell(account) or 'unknown'}: {_sum_up(verdict)}")
        lines = _explain_break(verdict) if verdict.problem else _explain_proof(verdict)
        for line in [*lines, *(_explain_signed(verdict) if proves else _tell_claim(found.claimed, account, verdict))]:
            typer.echo(f"  {line}")
    if not found.verdicts:
        typer.echo("there are no records")
    unproved = not proves and any(verdict.records and not verdict.problem for verdict in found.verdicts.values())
    for line in [*found.torn, *(UNPROVED if unproved else ())]:
        typer.echo(line)


def _sum_up(verdict: "Verdict") -> str:
    if verdict.broken_at:
        return f"broken at record {verdict.broken_at}"
    if not verdict.records:
        return "there are no records"
    return f"{_name_range(verdict)} intact" + (", but the ledger is not" if verdict.problem else "")


def _name_range(verdict: "Verdict") -> str:
    """Name the records that hold."""
    ends = f"{verdict.first} to {verdict.last}"
    return f"records {ends} are" if verdict.records > 1 else f"record {verdict.first} is"


def _explain_break(verdict: "Verdict") -> list[str]:
    """Say where a chain is broken, and how much of it is unchanged."""
    holds = [f"before that, {_name_range(verdict)} unchanged"] if verdict.records and verdict.broken_at else []
    return [output.format_line(verdict.problem), *holds]


def _explain_proof(verdict: "Verdict") -> list[str]:
    """Say what was proved, and what could not be."""
    lines = [f"hash of record {verdict.last}: {verdict.hash}"] if verdict.records else []
    if verdict.unchecked:
        return [*lines, *_explain_missing(verdict.unchecked, verdict.previous)]
    if verdict.first > 1:
        lines.append(
            f"records up to {verdict.first - 1} were older than WORKER_KEEP and deleted; a later record has their hash"
        )
    return lines


def _explain_missing(number: int, previous: str) -> list[str]:
    return [
        f"hash of record {number}: {output.format_cell(previous)}",
        f"Records up to {number} are not here and were not checked. A file truncated to hide records looks like a",
        f"rotated one: compare the second hash with that of record {number} in an older file, or name both files,",
        "the older one first.",
    ]


def _explain_signed(verdict: "Verdict") -> list[str]:
    """Say what trusted heads prove."""
    if not verdict.signed:
        return [f"Nothing is proved: no trusted head is about {'any of these records' if verdict.records else 'it'}."]
    proved = [
        f"Up to record {verdict.signed}, nothing was changed, removed or put in since it was signed",
        f"on {verdict.signed_at} by key {verdict.signed_by}. That holds if the heads and the",
        "public half were kept where the worker's user cannot write.",
    ]
    if verdict.last > verdict.signed:
        proved.append(
            f"Records {verdict.signed + 1} to {verdict.last} are signed by no head here, so they are not proved."
        )
    return proved


def _tell_claim(claimed: "Mapping[str, SignedHead | None]", account: str, verdict: "Verdict") -> list[str]:
    """Say what a ledger itself says of signatures."""
    if account not in claimed or not verdict.records:
        return []
    head = claimed[account]
    return [f"records up to {head.number} were signed on {head.at} by key {head.key}" if head else "nothing is signed"]
