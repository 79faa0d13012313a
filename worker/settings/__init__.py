"""Settings: what an operator writes, and what is wrong with it. Only cli and daemon import them."""

from worker.settings.settings import NAMES, NOTIFY, SECRET, Account, SettingRow, Settings, describe
from worker.settings.values import Listen, RequestQuota

__all__ = ["NAMES", "NOTIFY", "SECRET", "Account", "Listen", "RequestQuota", "SettingRow", "Settings", "describe"]
