"""Settings: what is read, and the sentence for everything that is wrong."""

from pathlib import Path

import pytest

from tests.cells import each
from worker.errors import SettingsError
from worker.language.rules import Mode
from worker.settings import NAMES, Listen, RequestQuota, Settings, describe

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
TOKEN = "s3cret-token"  # noqa: S105 (made up)


def refusal(**environment: str) -> str:
    """Return the sentence these variables are refused with."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(environment)
    return str(caught.value)


def test_an_empty_environment_is_the_defaults_of_the_table() -> None:
    settings = Settings.load({})
    assert (settings.settle, settings.lapse, settings.sweep, settings.keep) == (120, 72 * 3600, 3 * 86400, 400 * 86400)
    assert (settings.budget, settings.budget_share) == (RequestQuota(1200, 300), 0.8)
    assert (settings.listen, settings.ceiling) == (Listen("127.0.0.1", 8080), Mode.OBSERVE)
    assert (settings.store_url, settings.rules) == ("sqlite:///worker.db", Path("rules"))


def test_every_default_in_the_table_is_what_one_would_write() -> None:
    written = {row.name: row.default for row in describe() if row.default}
    assert Settings.load(written) == Settings.load({})
    assert all(row.meaning for row in describe())


def test_variables_are_read() -> None:
    settings = Settings.load({
        "WORKER_CEILING": "Enforce",
        "WORKER_SETTLE": "50ms",
        "WORKER_BUDGET": "40/10s",
        "WORKER_LISTEN": "[::1]:0",
        "WORKER_LOG_LEVEL": "debug",
        "WORKER_SWEEP": "0s",
        "CLOUDFLARE_BASE_URL": "http://127.0.0.1:8788/client/v4/",
    })  # fmt: skip
    assert (settings.ceiling, settings.settle, settings.budget) == (Mode.ENFORCE, 0.05, RequestQuota(40, 10))
    assert (settings.listen, settings.log_level, settings.sweep) == (Listen("::1", 0), "DEBUG", 0)
    assert settings.base_url == "http://127.0.0.1:8788/client/v4"


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert Settings.load({"WORKER_SETTLE": "", "WORKER_ACCOUNTS": "", "WORKER_NOTIFY_SOC": ""}) == Settings.load({})


@each(
    ("name", "value", "expected"),
    [
        ("WORKER_CEILING", "sometimes", "observe, approve or enforce"),
        ("WORKER_SETTLE", "two minutes", "such as 15m"),
        ("WORKER_POLL_EVERY", "0s", "more than zero"),
        ("WORKER_STALE", "9999999d", "3653d (ten years) or less"),
        ("WORKER_LOOKBACK", "367d", "366d or less"),
        ("WORKER_SWEEP", "367d", "366d or less"),
        ("WORKER_BUDGET", "1200", "such as 1200/300s"),
        ("WORKER_BUDGET", "1200/soon", "such as 15m"),
        ("WORKER_BUDGET_SHARE", "80", "at most 1"),
        ("WORKER_BUDGET_SHARE", "most", "at most 1"),
        ("WORKER_LISTEN", "8080", "such as 127.0.0.1:8080"),
        ("WORKER_LISTEN", "127.0.0.1:99999", "such as 127.0.0.1:8080"),
        ("WORKER_RULES_SANDBOX", "strong", "require, best-effort or off"),
        ("WORKER_LOG_LEVEL", "loud", "debug, info, warning or error"),
    ],
)
def test_a_bad_value_is_named_with_what_to_write(name: str, value: str, expected: str) -> None:
    sentence = refusal(**{name: value})
    assert sentence.startswith(f"{name} is {value!r}: ")
    assert expected in sentence


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WORKER_STORE_URL", "postgresql://me:s3cret@host/db", "sqlite:///worker.db"),
        ("CLOUDFLARE_ACCOUNT_ID", "s3cret-token-pasted-here", "from the dashboard"),
        ("CLOUDFLARE_BASE_URL", "ftp://me:s3cret@host", "https://"),
        ("CLOUDFLARE_BASE_URL", "api.cloudflare.com", "https://"),
    ],
)
def test_what_may_hold_a_secret_is_not_shown_with_what_to_write(name: str, value: str, expected: str) -> None:
    sentence = refusal(**{name: value})
    assert sentence.startswith(f"{name}: ")
    assert expected in sentence
    assert "s3cret" not in sentence


@each("host", ["api.cloudflare.com", "10.0.0.1", "proxy", "127.0.0.1.example", "localhost.example", "[2001:db8::1]:80"])
def test_a_credential_leaves_this_machine_encrypted_unless_one_insists(host: str) -> None:
    base = {"CLOUDFLARE_BASE_URL": f"http://{host}/client/v4"}
    assert "set WORKER_PLAIN_HTTP=yes" in refusal(**base)
    assert Settings.load(base | {"WORKER_PLAIN_HTTP": "yes"}).sends_unencrypted
    assert not Settings.load({"CLOUDFLARE_BASE_URL": f"https://{host}/client/v4"}).sends_unencrypted


@each("host", ["127.0.0.1:8788", "localhost", "[::1]:1", "127.9.9.9"])
def test_on_this_machine_a_credential_needs_no_encryption(host: str) -> None:
    assert not Settings.load({"CLOUDFLARE_BASE_URL": f"http://{host}/client/v4"}).sends_unencrypted


def test_public_names_of_the_web_server_are_read() -> None:
    found = Settings.load({"WORKER_HOSTS": "Worker.corp.example, metrics.corp.example,"}).hosts
    assert found == {"worker.corp.example", "metrics.corp.example"}
    assert "names without a port" in refusal(WORKER_HOSTS="worker.corp.example:8080")


def test_every_bad_value_is_named_at_once() -> None:
    sentence = refusal(WORKER_CEILING="sometimes", WORKER_SETTLE="soon")
    assert "WORKER_CEILING" in sentence
    assert "WORKER_SETTLE" in sentence


def test_an_unknown_variable_is_named_with_its_nearest_known_one() -> None:
    assert refusal(WORKER_CELING="enforce") == "WORKER_CELING is not a setting; did you mean WORKER_CEILING?"
    assert refusal(WORKER_FOO="x") == "WORKER_FOO is not a setting: `worker run --help` lists all settings"
    assert "WORKER_POLL_EVERY" in refusal(WORKER_POLLEVERY="1s")


def test_variables_of_others_are_none_of_our_business() -> None:
    assert Settings.load({"PATH": "/bin", "CLOUDFLARE_ZONE_ID": "x", "HOME": "/"}) == Settings.load({})


def test_a_notification_channel_is_named_by_its_variable() -> None:
    settings = Settings.load({"WORKER_NOTIFY_SOC": "slack://a/b/c", "WORKER_NOTIFY_ON_CALL": "log://"})
    assert {name: url.get_secret_value() for name, url in settings.channels.items()} == {
        "soc": "slack://a/b/c",
        "on_call": "log://",
    }
    assert "slack" not in repr(settings)


def test_a_channel_without_a_name_is_refused() -> None:
    assert "WORKER_NOTIFY_SOC" in refusal(WORKER_NOTIFY_="log://")


def test_files_of_the_secrets_folder_stand_over_the_environment(tmp_path: Path) -> None:
    (tmp_path / "CLOUDFLARE_API_TOKEN").write_text(TOKEN + "\n")
    (tmp_path / "worker_notify_soc").write_text("log://")
    (tmp_path / "..data").mkdir()
    (tmp_path / "ca.pem").write_text("somebody else's")
    settings = Settings.load({"WORKER_SECRETS": str(tmp_path), "CLOUDFLARE_API_TOKEN": "older"})
    assert settings.token is not None
    assert settings.token.get_secret_value() == TOKEN
    assert set(settings.channels) == {"soc"}


def test_a_secrets_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    sentence = refusal(WORKER_SECRETS=str(tmp_path / "none"))
    assert "WORKER_SECRETS" in sentence
    assert "No such file" in sentence


def test_an_unknown_file_in_the_secrets_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "WORKER_NOTIFI_SOC").write_text("log://")
    assert "WORKER_NOTIFI_SOC is not a setting" in refusal(WORKER_SECRETS=str(tmp_path))


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "CLOUDFLARE_API_KEY").write_bytes(b"\xff\xfe")
    assert "xff" not in refusal(WORKER_SECRETS=str(tmp_path))
    settings = Settings.load({"CLOUDFLARE_API_TOKEN": TOKEN, "CLOUDFLARE_ACCOUNT_ID": ACCOUNT})
    assert TOKEN not in f"{settings!r} {settings} {settings.accounts()!r} {settings.model_dump_json()}"


def test_an_account_without_a_credential_says_what_to_set() -> None:
    with pytest.raises(SettingsError, match="CLOUDFLARE_API_TOKEN"):
        Settings.load({"CLOUDFLARE_ACCOUNT_ID": ACCOUNT, "CLOUDFLARE_EMAIL": "a@corp.example"}).accounts()


def test_a_credential_without_an_account_says_what_to_set() -> None:
    with pytest.raises(SettingsError, match="CLOUDFLARE_ACCOUNT_ID"):
        Settings.load({"CLOUDFLARE_API_TOKEN": TOKEN}).accounts()


def test_an_address_and_its_key_are_a_credential() -> None:
    (account,) = Settings.load({
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "CLOUDFLARE_EMAIL": "a@corp.example",
        "CLOUDFLARE_API_KEY": "k",
    }).accounts()  # fmt: skip
    assert (account.id, account.email, account.has_credential) == (ACCOUNT, "a@corp.example", True)


def accounts_file(folder: Path, text: str) -> dict[str, str]:
    """Write a file of accounts and return the variable that names it."""
    (folder / "accounts.toml").write_text(text)
    return {"WORKER_ACCOUNTS": str(folder / "accounts.toml")}


def test_many_accounts_come_from_a_file(tmp_path: Path) -> None:
    environment = accounts_file(
        tmp_path, '[[account]]\nid = "a1"\ntoken = "t1"\n[[account]]\nid = "a2"\ntoken = "t2"\n'
    )
    accounts = Settings.load(environment).accounts()
    assert [account.id for account in accounts] == ["a1", "a2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[[account]]\nid = "../x"\ntoken = "t1"', "from the dashboard"),
        ('[[account]]\nid = "a1"\ntokn = "t1"', "tokn: not a key of an account; write id, token"),
        ("account = [", "cannot be read"),
        ("", "CLOUDFLARE_ACCOUNT_ID"),
        ('[[account]]\nid = "a1"', "account a1 has no credential: give it a token in .*accounts.toml"),
        ('[[account]]\nid = "a1"\ntoken = 5', "token"),
        ('[[account]]\nid = "a1"\ntoken = "t"\n[[account]]\nid = "a1"\ntoken = "u"', "account a1 is named twice"),
    ],
)
def test_a_bad_file_of_accounts_is_told_without_its_secrets(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected) as caught:
        Settings.load(accounts_file(tmp_path, text)).accounts()
    assert "t1" not in str(caught.value)


def test_a_file_of_accounts_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        Settings.load({"WORKER_ACCOUNTS": str(tmp_path / "none.toml")}).accounts()


def test_the_table_names_every_variable() -> None:
    assert {row.name for row in describe()} == set(NAMES)
    assert "WORKER_NOTIFY_<CHANNEL>" in NAMES


def test_heads_go_to_a_file_or_to_a_syslog_server() -> None:
    for place in ("heads.jsonl", "/var/log/heads", "syslog://collector.example", "syslog+tcp://[::1]:601"):
        assert Settings.load({"WORKER_AUDIT_HEADS": place}).audit_heads == place
    for place in ("https://collector.example", "syslog://", "syslog://me@collector.example", "syslog+tcp://host:port"):
        assert "write the path of a file, syslog://host:514 (UDP) or" in refusal(WORKER_AUDIT_HEADS=place)


def test_a_key_that_signs_is_never_shown() -> None:
    settings = Settings.load({"WORKER_AUDIT_KEY": "-----BEGIN PRIVATE KEY-----"})
    assert "BEGIN" not in repr(settings)
