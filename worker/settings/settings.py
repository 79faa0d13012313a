"""The settings, read from the environment and a folder of secrets."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.errors import SettingsError
from worker.language.rules import Mode
from worker.loopback import is_loopback
from worker.settings.values import (
    Listen,
    RequestQuota,
    check_account_id,
    check_base_url,
    check_heads,
    check_store_url,
    parse_ceiling,
    parse_hosts,
    parse_level,
    parse_listen,
    parse_quota,
    parse_sandbox,
    parse_share,
    parse_time_span,
    parse_yes,
    require_a_year_at_most,
    require_positive,
)
from worker.walls import Sandbox

PREFIX = "WORKER_"
NOTIFY = f"{PREFIX}NOTIFY_"
NO_LOGIN = "set CLOUDFLARE_API_TOKEN to a token with the permission Cloud Email Security: Write"
UNENCRYPTED = (
    "CLOUDFLARE_BASE_URL begins with http://, so everybody on the way could read the credential: write https://, or "
    "set WORKER_PLAIN_HTTP=yes if that network is yours"
)


Duration = Annotated[float, BeforeValidator(parse_time_span)]
SomeTime = Annotated[Duration, AfterValidator(require_positive)]
Back = Annotated[Duration, AfterValidator(require_a_year_at_most)]
AccountId = Annotated[str, AfterValidator(check_account_id)]


class Account(BaseModel):
    """One account with its credential: a table in the file WORKER_ACCOUNTS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: AccountId
    token: SecretStr | None = None
    email: str = ""
    key: SecretStr | None = None

    @property
    def has_credential(self) -> bool:
        """Whether there is a token, or an email address with its key."""
        return bool(self.token or (self.email and self.key))


def _declare(name: str, default: Any, meaning: str) -> Any:  # noqa: ANN401 (a field of any type)
    """Declare a setting; its default is written the way an operator would write it."""
    return Field(default=default, validation_alias=name, description=meaning, validate_default=default is not None)


class Settings(BaseSettings):
    """All settings. Durations are in seconds; secrets print as stars."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    token: SecretStr | None = _declare(
        "CLOUDFLARE_API_TOKEN", None, "API token with the permission Cloud Email Security: Write"
    )
    email: str = _declare("CLOUDFLARE_EMAIL", "", "instead of a token, with CLOUDFLARE_API_KEY: a user's email address")
    key: SecretStr | None = _declare(
        "CLOUDFLARE_API_KEY", None, "instead of a token, with CLOUDFLARE_EMAIL: that user's global API key"
    )
    account_id: Annotated[str, AfterValidator(lambda text: text and check_account_id(text))] = _declare(
        "CLOUDFLARE_ACCOUNT_ID", "", "ID of the account to watch"
    )
    base_url: Annotated[str, AfterValidator(check_base_url)] = _declare(
        "CLOUDFLARE_BASE_URL", "https://api.cloudflare.com/client/v4", "base URL of the API"
    )
    plain_http: Annotated[bool, BeforeValidator(parse_yes)] = _declare(
        "WORKER_PLAIN_HTTP",
        "no",
        "yes sends the credential unencrypted where CLOUDFLARE_BASE_URL begins with http:// and is not this machine",
    )
    accounts_file: Path | None = _declare(
        "WORKER_ACCOUNTS", None, "TOML file that lists several accounts: [[account]] tables with id and token"
    )
    secrets: Path | None = _declare(
        "WORKER_SECRETS",
        None,
        "folder of files named like settings, each with its value; files override the environment",
    )
    store_url: Annotated[str, AfterValidator(check_store_url)] = _declare(
        "WORKER_STORE_URL", "sqlite:///worker.db", "where the ledger is: sqlite:/// and a path"
    )
    rules: Path = _declare("WORKER_RULES", "rules", "folder of rule files; reloaded when a file changes")
    ceiling: Annotated[Mode, BeforeValidator(parse_ceiling)] = _declare(
        "WORKER_CEILING", "observe", "the most any rule may do: observe, approve or enforce"
    )
    sandbox: Annotated[Sandbox, BeforeValidator(parse_sandbox)] = _declare(
        "WORKER_RULES_SANDBOX",
        "best-effort",
        "walls around the rules: require all, best-effort puts up those that this machine has, off none",
    )
    lookback: Back = _declare("WORKER_LOOKBACK", "1h", "how far back the very first start reads")
    overlap: Back = _declare(
        "WORKER_OVERLAP", "15m", "how much recent mail is read again every minute, to find mail indexed late"
    )
    sweep: Back = _declare(
        "WORKER_SWEEP", "3d", "how far back mail is slowly read again, to find changed verdicts; 0s turns it off"
    )
    settle: SomeTime = _declare("WORKER_SETTLE", "2m", "how long a write may take to show up in reads")
    stale: SomeTime = _declare("WORKER_STALE", "24h", "actions on mail older than this wait for a person")
    lapse: SomeTime = _declare("WORKER_LAPSE", "72h", "how long a decision waits for a person before it lapses")
    keep: SomeTime = _declare("WORKER_KEEP", "400d", "how long ledger entries and audit records are kept")
    poll_every: SomeTime = _declare("WORKER_POLL_EVERY", "10s", "longest pause between two polls")
    budget: Annotated[RequestQuota, BeforeValidator(parse_quota)] = _declare(
        "WORKER_BUDGET", "1200/300s", "requests the API allows this credential per time window"
    )
    budget_share: Annotated[float, BeforeValidator(parse_share)] = _declare(
        "WORKER_BUDGET_SHARE", "0.8", "share of that budget the worker may use; the rest is left for people"
    )
    request_timeout: SomeTime = _declare("WORKER_REQUEST_TIMEOUT", "20s", "deadline for a single request")
    listen: Annotated[Listen, BeforeValidator(parse_listen)] = _declare(
        "WORKER_LISTEN", "127.0.0.1:8080", "address and port that serve /livez, /readyz and /metrics"
    )
    hosts: Annotated[frozenset[str], BeforeValidator(parse_hosts)] = _declare(
        "WORKER_HOSTS", "", "public names by which that address is called, separated by commas; others are refused"
    )
    log_level: Annotated[str, AfterValidator(parse_level)] = _declare(
        "WORKER_LOG_LEVEL", "info", "least severe messages to log: debug, info, warning or error"
    )
    drain: SomeTime = _declare("WORKER_DRAIN", "20s", "how long an orderly shutdown may take")
    audit_key: SecretStr | None = _declare(
        "WORKER_AUDIT_KEY",
        None,
        "what signs the audit records: the file of a key from `worker audit key`, or in WORKER_SECRETS the key itself",
    )
    audit_signer: str = _declare(
        "WORKER_AUDIT_SIGNER",
        "",
        "instead of a key: a command that reads bytes and writes their Ed25519 signature within 5 s",
    )
    audit_heads: Annotated[str, AfterValidator(check_heads)] = _declare(
        "WORKER_AUDIT_HEADS",
        "",
        "where signed heads go besides stdout: a file, syslog://host:514 (UDP) or syslog+tcp://host:601",
    )
    actor: str = _declare(
        "WORKER_ACTOR", "", "your name in the audit records, for a command without --as; the daemon does not use it"
    )
    channels: dict[str, SecretStr] = Field(
        default={},
        validation_alias=f"{NOTIFY}<CHANNEL>",
        description="where notices to this channel are sent: an apprise URL, or log://",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read only what ``load`` is given, never the process's environment or a dotenv file."""
        return (init_settings,)

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """Read the environment, then the files in WORKER_SECRETS, which override it.

        Raises SettingsError, which names the setting and what to write instead.
        """
        given = {name: value for name, value in environment.items() if _is_ours(name)}
        given |= dict(_read_secrets(given.get("WORKER_SECRETS", "")))
        for name in given:
            _check_name(name)
        written: dict[str, Any] = {name: value for name, value in given.items() if value}
        channels = {_parse_channel(name): written.pop(name) for name in sorted(written) if name.startswith(NOTIFY)}
        try:
            settings = cls.model_validate(written | {f"{NOTIFY}<CHANNEL>": channels})
        except ValidationError as error:
            raise SettingsError("; ".join(_explain_each(error))) from None
        if settings.sends_unencrypted and not settings.plain_http:
            raise SettingsError(UNENCRYPTED)
        return settings

    @property
    def sends_unencrypted(self) -> bool:
        """Whether the credential leaves this machine unencrypted."""
        url = urlsplit(self.base_url)
        return url.scheme == "http" and not is_loopback(url.hostname or "")

    def accounts(self) -> tuple[Account, ...]:
        """Return every account to watch, each with a credential; raise SettingsError when there is none."""
        named = _read_accounts(self.accounts_file) if self.accounts_file else ()
        if self.account_id:
            mine = Account(id=self.account_id, token=self.token, email=self.email, key=self.key)
            named = (_require_credential(mine, NO_LOGIN), *named)
        if not named:
            raise SettingsError("no account is named: set CLOUDFLARE_ACCOUNT_ID to the ID of the account to watch")
        (name, times), *_ = Counter(account.id for account in named).most_common()
        if times > 1:
            raise SettingsError(f"account {name} is named twice: keep it in CLOUDFLARE_ACCOUNT_ID or WORKER_ACCOUNTS")
        return named


class SettingRow(NamedTuple):
    """One row of the table of settings, as --help and the README show it."""

    name: str
    default: str
    meaning: str


SECRET = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "WORKER_AUDIT_KEY")
HIDDEN = frozenset({*SECRET, "CLOUDFLARE_BASE_URL", "WORKER_STORE_URL", "CLOUDFLARE_ACCOUNT_ID"})
"""Settings whose values errors never show: a URL may hold a password, and tokens get pasted as account IDs."""
NAMES = {str(field.validation_alias): field for field in Settings.model_fields.values()}


def describe() -> tuple[SettingRow, ...]:
    """Return every setting with its default, as an operator would write it, and its meaning."""
    return tuple(
        SettingRow(name, field.default if isinstance(field.default, str) else "", field.description or "")
        for name, field in NAMES.items()
    )


def _is_ours(name: str) -> bool:
    """Tell whether a variable is meant for the worker; other CLOUDFLARE_ variables belong to other programs."""
    return name.startswith(PREFIX) or name in NAMES


def _check_name(name: str) -> None:
    """Refuse an unknown setting and suggest the one that was probably meant."""
    if name.startswith(NOTIFY) or (name in NAMES and "<" not in name):
        return
    bare = {one.removeprefix(PREFIX): one for one in NAMES}  # the shared prefix would make all names alike
    near = get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    advice = f"; did you mean {bare[near[0]]}?" if near else ": `worker run --help` lists all settings"
    raise SettingsError(f"{name} is not a setting{advice}")


def _parse_channel(name: str) -> str:
    channel = name.removeprefix(NOTIFY).lower()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", channel):
        raise SettingsError(f"{name} names no channel: write {NOTIFY} and a name, such as {NOTIFY}SOC")
    return channel


def _read_secrets(folder: str) -> Iterator[tuple[str, str]]:
    """Yield each setting that is a file in the secrets folder, its name in lower or upper case."""
    if not folder:
        return
    try:
        files = sorted(path for path in Path(folder).iterdir() if _is_ours(path.name.upper()) and path.is_file())
        for path in files:
            yield path.name.upper(), path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"WORKER_SECRETS is {folder!r}, which cannot be read ({_explain(error)}): name a folder of files"
        ) from None


def _read_accounts(file: Path) -> tuple[Account, ...]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("account", [])
        accounts = [Account.model_validate(table) for table in tables]
    except ValidationError as error:
        raise SettingsError(f"WORKER_ACCOUNTS, {file}: {'; '.join(_explain_each(error))}") from None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"WORKER_ACCOUNTS is '{file}', which cannot be read ({_explain(error)}): name a TOML file of accounts"
        ) from None
    return tuple(_require_credential(account, f"give it a token in {file}") for account in accounts)


def _require_credential(account: Account, advice: str) -> Account:
    if not account.has_credential:
        raise SettingsError(f"account {account.id} has no credential: {advice}")
    return account


def _explain(error: Exception) -> str:
    """Say why a file could not be read, without quoting its contents: they may be secret."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def _explain_each(error: ValidationError) -> Iterator[str]:
    """Turn each of pydantic's errors into a sentence, quoting only values that hold no secret."""
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        shown = f" is {problem['input']!r}" if name in NAMES and name not in HIDDEN else ""
        wrong = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            wrong = "not a key of an account; write id, token, email or key"
        yield f"{name}{shown}: {wrong}"
