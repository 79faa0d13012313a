"""`worker sandbox`: the emulated account on a port, until Ctrl-C."""

import asyncio
import re
import signal
import time
from enum import StrEnum
from errno import EADDRINUSE
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker import wording
from worker.cli import context
from worker.errors import SettingsError
from worker.escaping import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sandbox import Faults, World

ACCOUNT = re.compile(r"[0-9A-Za-z]{1,32}")
PER = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)/((?:\d{1,9}(?:\.\d{1,9})?)?)(ms|[smhd])", re.ASCII)
LONGEST = 86400.0
MOST_ARRIVALS = 1000.0
"""Most arrivals a second: the sandbox can make about thirty thousand, and has to answer requests too."""


class Era(StrEnum):
    """Which API the account speaks."""

    TODAY = "today"
    SEEDS = "seeds"


def sandbox(
    *,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65_535, help="Port on 127.0.0.1; 0 picks a free one.")
    ] = 8788,
    account: Annotated[str, typer.Option(metavar="ID", help="ID of the account.")] = "023e105f4ecef8ad9ca31a8372d0c353",
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=2**32 - 1, help="The same seed makes the same mail.")
    ] = 1,
    messages: Annotated[
        int, typer.Option(metavar="COUNT", min=0, max=1_000_000, help="Messages of the last hour at the start.")
    ] = 2000,
    arrivals: Annotated[
        str, typer.Option(metavar="RATE", help="How fast more mail arrives, such as 5/s, 30/m or 5/10m.")
    ] = "5/s",
    latency: Annotated[str, typer.Option(metavar="DURATION", help="How long each answer takes.")] = "50ms",
    lag: Annotated[str, typer.Option(metavar="DURATION", help="How far reads lag behind writes.")] = "0s",
    quota: Annotated[
        str, typer.Option(metavar="QUOTA", help="Requests per time window for each credential, or none.")
    ] = "1200/300s",
    faults: Annotated[str, typer.Option(metavar="LEVEL", help="How much goes wrong: none, rough or hostile.")] = "none",
    era: Annotated[
        Era, typer.Option(metavar="ERA", help="Whose API: that of today, or seeds, of Cloudflare's older pages.")
    ] = Era.TODAY,
    eml: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of .eml files to add to the account.")] = None,
) -> None:
    """Serve an emulated account to try rules and settings on.

    Prints the settings that point a worker at it and send its notices to the log, and runs until Ctrl-C. It takes any
    token: one that begins with read- may only read, one that begins with wrong- is rejected.

    To look at it, GET /_sandbox/effects lists what was done to the account and by whom, /_sandbox/requests counts the
    requests, and /_sandbox/messages shows the true state of each mail.

    To change it, POST JSON: /_sandbox/messages {"arrive": {"outbreak": 20}}, or "add" or "change" for single mails;
    /_sandbox/submissions {"ids": [...]} for mails that a recipient submits; /_sandbox/faults {"script": [{"kind":
    "html", "count": 5}]}, or {"table": "hostile"}; /_sandbox/quota {"spend": 99} for requests that somebody else makes
    with the credential. An unknown field is answered with the list of those that are known.

    With --era seeds, entries of lists have numbers as ids, fields have their older names, and mail is named by postfix
    ids in paths and bodies.

    With --eml, each file DIR/*.eml (the first 10,000 by name; up to 64 MB each, 1 GB together) is a delivered message,
    scanned at its Date if that is within the last 30 days, otherwise now.

    A header X-Sandbox-Disposition with one of the ten dispositions sets the verdict. Without it, the first match does.
    An attachment that is risky to open, such as .html or .js: MALICIOUS; dmarc=fail in Authentication-Results: SPOOF; a
    link to an IP address or a punycode name: SUSPICIOUS; X-Spam-Flag YES: SPAM; List-Unsubscribe or List-Id: BULK;
    otherwise: NONE.

    Example: worker sandbox --port 8788 --messages 500 --faults rough
    """
    from worker.sandbox import MailFlow, SandboxOptions, World

    build = partial(
        World,
        _check_account(account),
        seed=seed,
        now=time.time,
        mail_flow=MailFlow(messages=messages, arrivals=parse_rate(arrivals)),
        quota=parse_budget(quota),
        faults=_read_faults(faults, seed),
        options=SandboxOptions(era=era.value, lag=_parse_seconds("--lag", lag)),
    )
    context.wait(_serve(build, port=port, latency=_parse_seconds("--latency", latency), eml=eml))


async def _serve(build: "Callable[[], World]", *, port: int, latency: float, eml: Path | None) -> None:
    """Build an account and serve it until a signal comes; a signal that comes while it is built counts too."""
    from worker.sandbox import serve

    stop = _stop_by_signal()
    world = build()
    if world.mails:
        world.add_regulars()
    if eml is not None:
        _seed(world, eml)
    try:
        async with serve(world, port=port, latency=latency) as url:
            _print_address(url, world.account)
            await stop.wait()
    except OSError as error:
        why = "is in use" if error.errno == EADDRINUSE else f"cannot be used ({error.strerror})"
        raise SettingsError(f"port {port} {why}: choose another with --port") from None


def _stop_by_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _print_address(url: str, account: str) -> None:
    typer.echo(f"export CLOUDFLARE_BASE_URL={url}/client/v4")
    typer.echo(f"export CLOUDFLARE_ACCOUNT_ID={account}")
    typer.echo("export CLOUDFLARE_API_TOKEN=any")
    typer.echo("export WORKER_NOTIFY_SOC=log://")
    typer.echo(f"# see what is done to it: {url}/_sandbox/effects · Ctrl-C ends it")


def _read_faults(name: str, seed: int) -> "Faults":
    from worker.sandbox import Faults

    try:
        return Faults(name, seed=seed)
    except ValueError as problem:
        raise SettingsError(f"--faults: {problem}") from None


def _seed(world: "World", folder: Path) -> None:
    """Add a folder of messages, and name each file that is skipped."""
    from worker.sandbox.content.eml_folder import seed_folder

    try:
        seeded = seed_folder(world, folder)
    except OSError as error:
        raise SettingsError(f"--eml {folder} cannot be read ({error.strerror}): name a folder of .eml files") from None
    for name, why in seeded.skipped:
        typer.echo(f"skipped {escape(name)}: {why}", err=True)
    typer.echo(f"added {wording.count(seeded.taken, 'message')} from {escape(str(folder))}", err=True)


def _check_account(text: str) -> str:
    """Refuse what would change the path of a request, in which the ID stands."""
    if not ACCOUNT.fullmatch(text):
        raise SettingsError(f"--account {text!r} is not an account ID: write up to 32 letters and digits")
    return text


def _parse_seconds(option: str, text: str) -> float:
    from worker.language.rules import parse_duration

    try:
        read = parse_duration(text)
    except ValueError as problem:
        raise SettingsError(f"{option}: {problem}") from None
    if read > LONGEST:
        raise SettingsError(f"{option} {text!r} is too long: write 1d or less")
    return read


def parse_rate(text: str) -> float:
    """Read ``5/s`` or ``5/30s`` as arrivals per second."""
    number, window = _parse_per(text)
    if not window or number / window > MOST_ARRIVALS:
        raise SettingsError(f"--arrivals {text!r} is not a rate up to 1000/s: write one such as 5/s, 30/m or 5/10m")
    return number / window


def parse_budget(text: str) -> tuple[int, float] | None:
    """Read ``1200/300s``, or ``none`` for no limit."""
    if text == "none":
        return None
    requests, window = _parse_per(text)
    if window < 1 or not requests.is_integer():
        raise SettingsError(
            f"--quota {text!r} is not a quota: write requests and a window of 1s or more, such as 1200/300s, or none"
        )
    return int(requests), window


def _parse_per(text: str) -> tuple[float, float]:
    """Read ``5/s`` or ``5/30s`` as a number and seconds; zeros for anything else."""
    from worker.language.rules import parse_duration

    found = PER.fullmatch(text)
    return (float(found[1]), parse_duration(f"{found[2] or 1}{found[3]}")) if found else (0.0, 0.0)
