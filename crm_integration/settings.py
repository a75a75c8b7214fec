"""One typed settings object from the environment.

Prevents a mistyped variable from being noticed hours later inside a run, and a secret value
from being printed in the complaint about it: everything is read and checked once, at the start,
and a refusal names the variable and the fix, never the value.
"""

from __future__ import annotations

import base64
import binascii
import os
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from crm_integration.errors import BadSetting

PREFIX = "CRM_INTEGRATION_"
ROOT_HOME = Path("/var/lib/crm_integration")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_FIXES = {
    "home": "Give the absolute path of a folder for the database and the keys.",
    "pg_bin": "Give the folder that holds initdb, pg_ctl, pg_isready and postgres.",
    "master_key": "Give 32 random bytes in base64, for example: openssl rand -base64 32",
    "master_key_file": "Name an existing file that only its owner can read.",
    "master_key_command": "Give a command that prints 32 bytes in base64, such as: vault kv get …",
    "master_key_previous": "Give the keys before the last rotations, in base64, with commas.",
    "database": "Use a-z, 0-9 and _, starting with a letter (embedded server only).",
    "window": "Use day or month.",
    "start_day": "Use an ISO day such as 2024-01-01.",
    "alert_url": "Use an https address (http only on 127.0.0.1, ::1 or localhost).",
    "receiver_url": "Give the https address that stores reach, such as https://hooks.example.com",
    "receiver_proxies": "Give addresses or networks with commas, such as 10.0.0.5,10.1.0.0/24",
    "receiver_rate": "Give deliveries a second for one connection, such as 100",
    "live_groups": "Give how many live runs share the lanes, 1 to 16.",
    "live_life": "Give the seconds after which a live run hands over, 30 to 86400.",
    "webserver_url": "Give the address of the Dagster UI, such as http://127.0.0.1:3000",
    "mappings": "Name the folder with the mapping files, or install with pip install -e.",
    "log_level": "Use DEBUG, INFO, WARNING or ERROR.",
}
_URL_FIX = "Use postgresql://role@host:port/database?sslmode=verify-full"


def _default_home() -> Path:
    """As root not below /root: the server runs as an unprivileged user who cannot enter there."""
    return ROOT_HOME if os.geteuid() == 0 else Path.home() / ".crm_integration"


def _default_mappings() -> Path:
    return Path(__file__).resolve().parents[1] / "mappings"


class Settings(BaseSettings):
    """Every setting, from variables `CRM_INTEGRATION_<NAME>`; immutable once read.

    `start_day` is the first UTC day of the windows; `database` names the embedded server's
    database, a server of one's own is named by the URLs.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    home: Path = Field(default_factory=_default_home)
    owner_url: SecretStr | None = None
    app_url: SecretStr | None = None
    intake_url: SecretStr | None = None
    ops_url: SecretStr | None = None
    dagster_url: SecretStr | None = None
    database: str = Field(default="crm_integration", pattern="^[a-z][a-z0-9_]{0,50}$")
    pg_bin: Path | None = None
    master_key: SecretStr | None = None
    master_key_file: Path | None = None
    master_key_command: str | None = Field(default=None, repr=False)
    master_key_previous: SecretStr | None = None
    window: Literal["day", "month"] = "day"
    start_day: date = date(2024, 1, 1)
    alert_url: str | None = Field(default=None, repr=False)
    receiver_url: str | None = None
    receiver_proxies: str | None = None
    receiver_rate: float = Field(default=100.0, ge=1, le=100_000)
    live_groups: int = Field(default=1, ge=1, le=16)
    live_life: float = Field(default=900.0, ge=30, le=86_400)
    webserver_url: str | None = None
    mappings: Path = Field(default_factory=_default_mappings)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("home", "mappings", "pg_bin", "master_key_file")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("pg_bin")
    @classmethod
    def _holds_a_server(cls, folder: Path | None) -> Path | None:
        if folder is not None and not (folder / "pg_ctl").is_file():
            raise ValueError("there is no pg_ctl in this folder")
        return folder

    @field_validator("master_key")
    @classmethod
    def _thirty_two_bytes(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and _decoded_length(key.get_secret_value()) != 32:
            raise ValueError("it is not base64 of exactly 32 bytes")
        return key

    @field_validator("master_key_previous")
    @classmethod
    def _each_thirty_two_bytes(cls, keys: SecretStr | None) -> SecretStr | None:
        each = [] if keys is None else keys.get_secret_value().split(",")
        if any(_decoded_length(one) != 32 for one in each):
            raise ValueError("one of them is not base64 of exactly 32 bytes")
        return keys

    @field_validator("alert_url", "receiver_url", "webserver_url")
    @classmethod
    def _sealed_on_the_way(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        loopback = parts.hostname in _LOOPBACK
        if not parts.hostname or parts.scheme not in ({"http", "https"} if loopback else {"https"}):
            raise ValueError("it is not an https address")
        return url

    @field_validator("mappings")
    @classmethod
    def _is_there(cls, folder: Path) -> Path:
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}")
        return folder

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @model_validator(mode="after")
    def _one_master_key(self) -> Settings:
        ways = ("master_key", "master_key_file", "master_key_command")
        named = [f"{PREFIX}{one.upper()}" for one in ways if getattr(self, one) is not None]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} are both set: unset all but one")
        return self


def _decoded_length(text: str) -> int:
    try:
        return len(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError):
        return -1


def _complaint(error: ValidationError) -> str:
    """One line a problem: variable, what is wrong, the fix; the value is left out on purpose."""
    lines: list[str] = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            lines.append(message)
            continue
        name = str(problem["loc"][0])
        lines.append(f"{PREFIX}{name.upper()}: {message}. {_FIXES.get(name, _URL_FIX)}")
    return "\n".join(lines)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once. Raises `BadSetting` naming variable and fix."""
    try:
        return Settings()
    except ValidationError as error:
        # "from None": pydantic's own error would carry the values into a traceback.
        raise BadSetting(_complaint(error)) from None


def reset_settings() -> None:
    """Forget what was read, so that a test (or the demo) can change the environment."""
    get_settings.cache_clear()
