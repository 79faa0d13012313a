"""Opening: the rules, the ledger, a connection per credential, and a worker per account."""

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from worker.api import ApiClock, Budget, Clock, Credential, HttpTransport
from worker.api.pacing import UNDATED
from worker.audit.deliveries import Deliveries
from worker.audit.signers import open_signer
from worker.daemon.account import AccountWorker, ApiConnection, Services
from worker.daemon.app import App
from worker.daemon.figures import describe_walls
from worker.judging.services import Timing
from worker.ledger.ledger import Ledger, open_ledger
from worker.mime.process import LetterOpener
from worker.notifiers import Channels, open_channels
from worker.rulehost.host import Host
from worker.settings import Account, Settings
from worker.telemetry import Outlets
from worker.walls import Standing, explain_missing

WAY_BACK = "stop this version, put the copy in the ledger's place, and start the version before"


@asynccontextmanager
async def open_app(
    settings: Settings, outlets: Outlets, *, clock: Clock | None = None, gather_notices: float = 60.0
) -> AsyncIterator[App]:
    """Open the rules, the ledger and one worker per account, without waiting for the API.

    Raises SettingsError, RuleError or StoreError.
    """
    accounts, channels = settings.accounts(), _open_channels(settings, outlets)
    # Before any rule runs: no file of a key is opened again.
    signer = open_signer(settings.audit_key.get_secret_value() if settings.audit_key else "", settings.audit_signer)
    clock = clock or ApiClock()
    timing = Timing(settle=settings.settle, timeout=settings.request_timeout, gather_notices=gather_notices)
    async with AsyncExitStack() as stack:
        owner = secrets.token_hex(8)
        # The rules come first: when they are refused, no empty ledger is left behind.
        host = await stack.enter_async_context(
            Host(
                settings.rules,
                channels=channels.names,
                sandbox=settings.sandbox,
                on_calls=outlets.metrics.on_rule_calls,
            )
        )
        opening = open_ledger(
            settings.store_url,
            owner=owner,
            exclusive=True,
            on_migration=lambda copy: outlets.log.warning("ledger migrated", copy=str(copy), back=WAY_BACK),
            latest=clock.latest,
        )
        ledger = await stack.enter_async_context(opening)
        clock.remember(await ledger.find_newest_end())
        deliveries = Deliveries(channels, clock, outlets.log)
        opener = stack.enter_context(LetterOpener(on_start=lambda standing: _tell_walls(outlets, standing)))
        services = Services(settings, outlets, clock, ledger, host, channels, timing, deliveries, opener, signer)
        connections = await _open_connections(stack, services, accounts)
        prefixes = {one.id: f"{one.id} " if len(accounts) > 1 else "" for one in accounts}
        workers = [AccountWorker(id_, connections[id_], services, prefix=prefix) for id_, prefix in prefixes.items()]
        yield App(services, workers)


def _tell_walls(outlets: Outlets, standing: Standing) -> None:
    """Log and measure which walls stand around the first mail that is taken apart; a warning if not all do."""
    describe_walls(outlets.metrics.mail_walls, standing)
    walls = ", ".join(wall for wall, why in standing.items() if not why)
    if missing := explain_missing(standing):
        outlets.log.warning("mail is taken apart without some walls around it", walls=walls, missing=missing)
    else:
        outlets.log.info("mail is taken apart behind walls", walls=walls)


def _open_channels(settings: Settings, outlets: Outlets) -> Channels:
    """Open the channels for notices; log:// goes to the operations log."""

    def log(channel: str, text: str) -> None:
        outlets.log.info("notice", channel=channel, text=text)

    addresses = {name: address.get_secret_value() for name, address in settings.channels.items()}
    return open_channels(addresses, log)


async def _open_connections(
    stack: AsyncExitStack, services: Services, accounts: Iterable[Account]
) -> dict[str, ApiConnection]:
    """Open one connection per credential; return the connection of each account."""
    credentials = {account.id: make_credential(account) for account in accounts}
    connections: dict[str, ApiConnection] = {}
    for credential in credentials.values():
        key = credential.fingerprint
        if key not in connections:
            mine = [id_ for id_, one in credentials.items() if one.fingerprint == key]
            spent = await _read_spent(services.ledger, [key, *mine])
            connections[key] = await _connect(stack, services, credential, spent)
    return {id_: connections[credential.fingerprint] for id_, credential in credentials.items()}


async def _connect(
    stack: AsyncExitStack, services: Services, credential: Credential, spent: list[tuple[float, int]]
) -> ApiConnection:
    """Open a connection whose budget starts with what earlier processes have spent."""
    settings = services.settings
    transport = HttpTransport(settings.base_url, credential, settings.request_timeout)
    budget = Budget(services.clock, *settings.budget, settings.budget_share, spent)
    return ApiConnection(await stack.enter_async_context(transport), budget, credential.fingerprint)


def make_credential(account: Account) -> Credential:
    """Return the credential of an account; raises SettingsError for text that cannot be one."""
    if account.token:
        return Credential.from_text(account.token.get_secret_value())
    return Credential.from_key(account.email, account.key.get_secret_value() if account.key else "")


async def _read_spent(ledger: Ledger, names: Iterable[str]) -> list[tuple[float, int]]:
    """Return what was spent lately: it is kept under several names, whole under each, and the newest counts."""
    written = [sorted(await ledger.read_spent(name)) for name in names]
    return max(written, key=lambda spent: (_find_newest(spent), sum(count for _, count in spent)))


def _find_newest(spent: list[tuple[float, int]]) -> float:
    """Return the last second that is known in API time."""
    return max((second for second, _ in spent if second != UNDATED), default=0.0)
