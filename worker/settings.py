"""The settings: one frozen tree, made from the environment and a folder of secrets. Only cli and daemon read it."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.errors import SettingsError
from worker.language.rules import Mode, parse_duration

PREFIX = "WORKER_"
NOTIFY = f"{PREFIX}NOTIFY_"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
NO_LOGIN = "set CLOUDFLARE_API_TOKEN to a token with the permission Cloud Email Security: Write"
CEILINGS = {"observe": Mode.OBSERVE, "approve": Mode.APPROVE, "enforce": Mode.ENFORCE}


class Quota(NamedTuple):
    """How many requests in how many seconds a credential may make."""

    requests: int
    window: float


class Listen(NamedTuple):
    """Where the web server listens; port 0 takes a free one."""

    host: str
    port: int


LONGEST = 3653 * 86400.0
A_YEAR = 366 * 86400.0


def _duration(said: str) -> float:
    """Read a duration, or say what one looks like."""
    try:
        duration = parse_duration(said)
    except ValueError:
        raise ValueError("write a number and ms, s, m, h or d, such as 15m") from None
    if duration > LONGEST:
        raise ValueError("it is ten years (3653d) at most")
    return duration


def _some(duration: float) -> float:
    """Refuse a duration of nothing."""
    if duration <= 0:
        raise ValueError("it must be longer than nothing")
    return duration


def _kept(duration: float) -> float:
    """Refuse to look for mail that the API does not keep any more."""
    if duration > A_YEAR:
        raise ValueError("the API keeps mail for a year: it is 366d at most")
    return duration


def _quota(said: str) -> Quota:
    """Read ``1200/300s``."""
    found = re.fullmatch(r"([1-9]\d*)\s*/\s*(\S+)", said.strip())
    if not found:
        raise ValueError("write requests and a window, such as 1200/300s")
    return Quota(int(found[1]), _some(_duration(found[2])))


def _listen(said: str) -> Listen:
    """Read ``127.0.0.1:8080`` or ``[::1]:8080``."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:]+):(\d{1,5})", said.strip())
    if not found or int(found[2]) > 65535:  # noqa: PLR2004 (the highest port)
        raise ValueError("write an address and a port, such as 127.0.0.1:8080")
    return Listen(found[1].strip("[]"), int(found[2]))


def _ceiling(said: str) -> Mode:
    """Read how far any rule may go."""
    if said.lower() not in CEILINGS:
        raise ValueError("write observe, approve or enforce")
    return CEILINGS[said.lower()]


def _level(said: str) -> str:
    """Read a log level, in any case."""
    if said.upper() not in LEVELS:
        raise ValueError("write debug, info, warning or error")
    return said.upper()


def _share(said: str) -> float:
    """Read a share between 0 and 1."""
    try:
        share = float(said)
    except ValueError:
        share = 0
    if not 0 < share <= 1:
        raise ValueError("write a share above 0 and at most 1, such as 0.8")
    return share


def _account(said: str) -> str:
    """Refuse what would end up in a path as something else than an account id."""
    if not re.fullmatch(r"[0-9A-Za-z]{1,32}", said):
        raise ValueError("copy the account id from the dashboard: up to 32 letters and digits")
    return said


def _base(said: str) -> str:
    """Refuse an address that is none; a trailing slash is dropped."""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", said):
        raise ValueError("write an address that begins with https://")
    return said.rstrip("/")


def _store(said: str) -> str:
    """Refuse a ledger that this version cannot keep."""
    if not said.startswith("sqlite:///"):
        raise ValueError("write sqlite:/// and a path, such as sqlite:///worker.db")
    return said


Duration = Annotated[float, BeforeValidator(_duration)]
SomeTime = Annotated[Duration, AfterValidator(_some)]
Back = Annotated[Duration, AfterValidator(_kept)]
AccountId = Annotated[str, AfterValidator(_account)]


class Account(BaseModel):
    """One account and what opens it, as a table of the file WORKER_ACCOUNTS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: AccountId
    token: SecretStr | None = None
    email: str = ""
    key: SecretStr | None = None

    @property
    def opened(self) -> bool:
        """Whether there is a credential."""
        return bool(self.token or (self.email and self.key))


def _setting(name: str, default: Any, meaning: str) -> Any:  # noqa: ANN401 (a field of any type)
    """Declare one variable; its default is written as a person would write it."""
    return Field(default=default, validation_alias=name, description=meaning, validate_default=default is not None)


class Settings(BaseSettings):
    """Everything that can be set. Durations are seconds. What is secret prints as stars."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    token: SecretStr | None = _setting("CLOUDFLARE_API_TOKEN", None, "API token with Cloud Email Security: Write")
    email: str = _setting("CLOUDFLARE_EMAIL", "", "instead of a token: the address of a user …")
    key: SecretStr | None = _setting("CLOUDFLARE_API_KEY", None, "… and that user's global API key")
    account_id: Annotated[str, AfterValidator(lambda said: said and _account(said))] = _setting(
        "CLOUDFLARE_ACCOUNT_ID", "", "the account to watch"
    )
    base_url: Annotated[str, AfterValidator(_base)] = _setting(
        "CLOUDFLARE_BASE_URL", "https://api.cloudflare.com/client/v4", "where the API is"
    )
    accounts_file: Path | None = _setting(
        "WORKER_ACCOUNTS", None, "TOML file with many accounts: tables [[account]] with id and token"
    )
    secrets: Path | None = _setting(
        "WORKER_SECRETS", None, "folder with files named like these variables; each holds a value"
    )
    store_url: Annotated[str, AfterValidator(_store)] = _setting(
        "WORKER_STORE_URL", "sqlite:///worker.db", "where the ledger is kept"
    )
    rules: Path = _setting("WORKER_RULES", "rules", "folder of rule files; changes are taken up while running")
    ceiling: Annotated[Mode, BeforeValidator(_ceiling)] = _setting(
        "WORKER_CEILING", "observe", "how far any rule may go: observe, approve or enforce"
    )
    lookback: Back = _setting("WORKER_LOOKBACK", "1h", "how far back the very first read reaches")
    overlap: Back = _setting("WORKER_OVERLAP", "15m", "what is read again once a minute, for late arrivals")
    sweep: Back = _setting("WORKER_SWEEP", "3d", "what is read again slowly, for changed verdicts; 0s is off")
    settle: SomeTime = _setting("WORKER_SETTLE", "2m", "how long a write may stay invisible to reads")
    stale: SomeTime = _setting("WORKER_STALE", "24h", "older mail waits for a person")
    lapse: SomeTime = _setting("WORKER_LAPSE", "72h", "how long something waits for a person before it lapses")
    keep: SomeTime = _setting("WORKER_KEEP", "400d", "how long entries and records are kept")
    poll_every: SomeTime = _setting("WORKER_POLL_EVERY", "10s", "the longest pause between two polls")
    budget: Annotated[Quota, BeforeValidator(_quota)] = _setting(
        "WORKER_BUDGET", "1200/300s", "requests the API allows this credential, and in what time"
    )
    budget_share: Annotated[float, BeforeValidator(_share)] = _setting(
        "WORKER_BUDGET_SHARE", "0.8", "how much of that the worker takes; the rest is for people"
    )
    request_timeout: SomeTime = _setting("WORKER_REQUEST_TIMEOUT", "20s", "deadline of one request")
    listen: Annotated[Listen, BeforeValidator(_listen)] = _setting(
        "WORKER_LISTEN", "127.0.0.1:8080", "where /livez, /readyz and /metrics are"
    )
    log_level: Annotated[str, AfterValidator(_level)] = _setting(
        "WORKER_LOG_LEVEL", "info", "debug, info, warning or error"
    )
    drain: SomeTime = _setting("WORKER_DRAIN", "20s", "how long an orderly stop may take")
    channels: dict[str, SecretStr] = Field(
        default={},
        validation_alias=f"{NOTIFY}<CHANNEL>",
        description="where notices of a channel go: an apprise URL, or log://",
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
        """Take nothing but what is handed in: no hidden reading of the process's environment or of dotenv files."""
        return (init_settings,)

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables, and over them the files of the secrets folder.

        Raise SettingsError, which names the variable and what to write instead.
        """
        given = {name: value for name, value in environment.items() if _ours(name)}
        given |= dict(_secrets(given.get("WORKER_SECRETS", "")))
        for name in given:
            _known(name)
        written: dict[str, Any] = {name: value for name, value in given.items() if value}
        channels = {_channel(name): written.pop(name) for name in sorted(written) if name.startswith(NOTIFY)}
        try:
            return cls.model_validate(written | {f"{NOTIFY}<CHANNEL>": channels})
        except ValidationError as error:
            raise SettingsError("; ".join(_sentences(error))) from None

    def accounts(self) -> tuple[Account, ...]:
        """Every account to watch, with its credential; raise SettingsError when there is none."""
        named = _accounts(self.accounts_file) if self.accounts_file else ()
        if self.account_id:
            named = (Account(id=self.account_id, token=self.token, email=self.email, key=self.key), *named)
        if not named:
            raise SettingsError("no account is named: set CLOUDFLARE_ACCOUNT_ID to the id of the account to watch")
        for account in named:
            if not account.opened:
                raise SettingsError(f"account {account.id} has no credential: {NO_LOGIN}")
        if len({account.id for account in named}) < len(named):
            raise SettingsError("an account is named twice in WORKER_ACCOUNTS and CLOUDFLARE_ACCOUNT_ID: name it once")
        return named


class Described(NamedTuple):
    """One row of the table of settings."""

    name: str
    default: str
    meaning: str


SECRET = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY")
HIDDEN = frozenset({*SECRET, "CLOUDFLARE_BASE_URL", "WORKER_STORE_URL", "CLOUDFLARE_ACCOUNT_ID"})
"""Never shown: an address may hold a password, and an account's id is where a token is pasted by mistake."""
NAMES = {str(field.validation_alias): field for field in Settings.model_fields.values()}


def describe() -> tuple[Described, ...]:
    """Return every setting with its default as it would be written, and what it means."""
    return tuple(
        Described(name, field.default if isinstance(field.default, str) else "", field.description or "")
        for name, field in NAMES.items()
    )


def _ours(name: str) -> bool:
    """Whether a variable is meant for us. Cloudflare's other variables belong to other programs."""
    return name.startswith(PREFIX) or name in NAMES


def _known(name: str) -> None:
    """Refuse a variable that nobody reads, and name the one that was meant."""
    if name.startswith(NOTIFY) or (name in NAMES and "<" not in name):
        return
    bare = {one.removeprefix(PREFIX): one for one in NAMES}  # what all have in common brings none of them nearer
    near = get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    told = f"; did you mean {bare[near[0]]}?" if near else ": `worker run --help` lists those there are"
    raise SettingsError(f"{name} is not a setting{told}")


def _channel(name: str) -> str:
    """Return the channel that a variable is about."""
    channel = name.removeprefix(NOTIFY).lower()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", channel):
        raise SettingsError(f"{name} names no channel: write {NOTIFY} and a name, such as {NOTIFY}SOC")
    return channel


def _secrets(folder: str) -> Iterator[tuple[str, str]]:
    """Read each file of the secrets folder that is named like a variable, in lower or upper case."""
    if not folder:
        return
    try:
        files = sorted(path for path in Path(folder).iterdir() if _ours(path.name.upper()) and path.is_file())
        for path in files:
            yield path.name.upper(), path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"WORKER_SECRETS is {folder!r}, which cannot be read: {_why(error)}") from None


def _accounts(file: Path) -> tuple[Account, ...]:
    """Read the file of accounts."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("account", [])
        return tuple(Account.model_validate(table) for table in tables)
    except ValidationError as error:
        raise SettingsError(f"WORKER_ACCOUNTS, {file}: {'; '.join(_sentences(error))}") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"WORKER_ACCOUNTS is '{file}', which cannot be read: {_why(error)}") from None


def _why(error: Exception) -> str:
    """Say why a file could not be read, without its name and without what is in it."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text"
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def _sentences(error: ValidationError) -> Iterator[str]:
    """Turn each thing pydantic objects to into a sentence; only what holds no secret is shown."""
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        shown = f" is {problem['input']!r}" if name in NAMES and name not in HIDDEN else ""
        known = "; known are id, token, email and key" if problem["type"] == "extra_forbidden" else ""
        yield f"{name}{shown}: {problem['msg'].removeprefix('Value error, ')}{known}"
