"""`worker sandbox`: the emulated account on a port, until Ctrl-C."""

import asyncio
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context
from worker.errors import SettingsError
from worker.escaping import escaped

if TYPE_CHECKING:
    from worker.sandbox import World

ACCOUNT = re.compile(r"[0-9A-Za-z]{1,32}")
PER = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)/((?:\d{1,9}(?:\.\d{1,9})?)?)(ms|[smhd])", re.ASCII)
LONGEST = 86400.0
MOST_ARRIVALS = 1000.0
"""A second; the sandbox makes up about thirty thousand of them in one, and has to answer too."""


def sandbox(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Where to listen on 127.0.0.1; 0 takes a free port.")
    ] = 8788,
    account: Annotated[str, typer.Option(help="The account's id.")] = "023e105f4ecef8ad9ca31a8372d0c353",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same mail.")] = 1,
    messages: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="How many messages of the last hour are there at the start.")
    ] = 2000,
    arrivals: Annotated[str, typer.Option(help="How many more arrive, such as 5/s, 30/m or 5/10m.")] = "5/s",
    latency: Annotated[str, typer.Option(help="How long each answer takes.")] = "50ms",
    lag: Annotated[str, typer.Option(help="How far reads are behind writes.")] = "0s",
    quota: Annotated[str, typer.Option(help="Requests per credential, and in what time; none for no limit.")] = (
        "1200/300s"
    ),
    faults: Annotated[str, typer.Option(help="What goes wrong: none, rough or hostile.")] = "none",
    eml: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder whose *.eml files lie in the account too.")
    ] = None,
) -> None:
    """Serve an emulated account that takes any token.

    A token that begins with read- may change nothing, one that begins with wrong- is refused; any other may do all.

    To look, with GET: /_sandbox/effects is what was done to the account and by whom, /_sandbox/requests counts what was
    asked of it, /_sandbox/messages is the truth about each mail.

    To stir, POST JSON: /_sandbox/messages {"arrive": {"outbreak": 20}}, or "add" or "change" of single mails;
    /_sandbox/submissions {"ids": [...]} of mails that somebody who got them sends in; /_sandbox/faults {"script":
    [{"kind": "html", "count": 5}]}, or {"table": "hostile"}; /_sandbox/quota {"spend": 99} as somebody else who uses
    the credential.

    With --eml each file DIR/*.eml (the first 10,000 by name; up to 25 MB each, 1 GB together) is a delivered message,
    scanned at its Date if that lies within the last 30 days, else now.

    A header X-Sandbox-Disposition that names one of the ten dispositions decides how it is judged. Without one it is
    the first of these that holds. An attachment that is risky to open, such as .html or .js: MALICIOUS; dmarc=fail in
    Authentication-Results: SPOOF; a link to an IP address or a name in punycode: SUSPICIOUS; X-Spam-Flag YES: SPAM;
    List-Unsubscribe or List-Id: BULK; none of them: NONE.

    Example: worker sandbox --port 8788 --messages 500 --faults rough
    """
    context.wait(
        _serve(
            port=port,
            latency=_seconds("--latency", latency),
            account=_account(account),
            seed=seed,
            messages=messages,
            arrivals=rate(arrivals),
            lag=_seconds("--lag", lag),
            quota=budget(quota),
            faults=faults,
            eml=eml,
        )
    )


async def _serve(
    *, port: int, latency: float, account: str, seed: int, messages: int, eml: Path | None, **world: object
) -> None:
    """Serve until a signal comes."""
    from worker.sandbox import Faults, World, serve

    try:
        table = Faults(str(world.pop("faults")), seed=seed)
    except ValueError as problem:
        raise SettingsError(f"--faults: {problem}") from None
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    mail = World(account, seed=seed, now=time.time, messages=messages, faults=table, **world)  # type: ignore[arg-type]
    if eml is not None:
        _seed(mail, eml)
    try:
        async with serve(mail, port=port, latency=latency) as url:
            typer.echo(f"export CLOUDFLARE_BASE_URL={url}/client/v4")
            typer.echo(f"export CLOUDFLARE_ACCOUNT_ID={account}")
            typer.echo("export CLOUDFLARE_API_TOKEN=any")
            typer.echo(f"# what is done to it: {url}/_sandbox/effects · Ctrl-C ends it")
            await stop.wait()
    except OSError as error:
        raise SettingsError(f"--port {port} cannot be had ({error.strerror}): choose another one") from None


def _seed(world: "World", folder: Path) -> None:
    """Take in a folder of messages, and name what is not taken in."""
    from worker.sandbox.content.eml_folder import seed

    try:
        seeded = seed(world, folder)
    except OSError as error:
        raise SettingsError(f"--eml {folder} cannot be read ({error.strerror}): name a folder of .eml files") from None
    for name, why in seeded.skipped:
        typer.echo(f"skipped {escaped(name)}: {why}", err=True)
    typer.echo(f"{seeded.taken:,} messages of {escaped(str(folder))} lie there", err=True)


def _account(said: str) -> str:
    """Refuse what would be something else than an account id in a path."""
    if not ACCOUNT.fullmatch(said):
        raise SettingsError(f"--account {said!r} is not an account id: write up to 32 letters and digits")
    return said


def _seconds(option: str, said: str) -> float:
    """Read a duration."""
    from worker.language.rules import parse_duration

    try:
        read = parse_duration(said)
    except ValueError as problem:
        raise SettingsError(f"{option}: {problem}") from None
    if read > LONGEST:
        raise SettingsError(f"{option} {said!r} is too long: write 1d or less")
    return read


def rate(said: str) -> float:
    """Read ``5/s`` or ``5/30s`` as arrivals per second."""
    number, window = _per(said)
    if not window or number / window > MOST_ARRIVALS:
        raise SettingsError(f"--arrivals {said!r} is not a rate up to 1000/s: write one such as 5/s, 30/m or 5/10m")
    return number / window


def budget(said: str) -> tuple[int, float] | None:
    """Read ``1200/300s``; none is no limit."""
    if said == "none":
        return None
    requests, window = _per(said)
    if window < 1 or not requests.is_integer():
        raise SettingsError(
            f"--quota {said!r} is not one: write requests and a window of 1s or more such as 1200/300s, or none"
        )
    return int(requests), window


def _per(said: str) -> tuple[float, float]:
    """Read ``5/s`` or ``5/30s`` as a number and seconds, of which there are none where it is neither."""
    from worker.language.rules import parse_duration

    found = PER.fullmatch(said)
    return (float(found[1]), parse_duration(f"{found[2] or 1}{found[3]}")) if found else (0.0, 0.0)
