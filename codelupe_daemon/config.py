"""Every setting; the only reader of the environment and of the settings file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from codelupe_daemon import spdx
from codelupe_daemon.errors import UsageError

SETTINGS_FILE = Path("/etc/codelupe/codelupe.toml")
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
SecretPolicy = Literal["reject", "redact", "redact_comments", "keep"]
POSTGRES = ("postgresql", "postgres")
SERVERS = {
    "redis": ("redis", "rediss", "unix"),
    "elasticsearch": ("http", "https"),
    "mongo": ("mongodb", "mongodb+srv"),
}
"""The settings that name a server beside the store, and what their URLs may begin with."""
SECRET = ("store", *SERVERS)
"""What may hold a password, and may be a systemd credential."""
PASSWORDS = {"password", "sslpassword"}
"""Options of a URL that are secret."""


def default_store() -> str:
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return str(Path(data_home) / "codelupe" / "codelupe.db")


def without_secrets(url: str) -> str:
    """The URL for people: without user, password or API key, and without options."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Settings(BaseSettings):
    """Options come first, then `CODELUPE_*`, systemd credentials, the settings file, defaults."""

    model_config = SettingsConfigDict(
        env_prefix="CODELUPE_", toml_file=SETTINGS_FILE, extra="forbid", frozen=True
    )

    store: str = Field(default_factory=default_store)
    scratch: Path | None = None
    redis: str | None = None
    redis_file_set: bool = True
    elasticsearch: str | None = None
    elasticsearch_ca: Path | None = None
    mongo: str | None = None
    min_quality: Share = 0.7
    near_duplicate_share: Share = 0.7

    profile: str = "qwen2.5-coder-14b"
    models_dir: Path = Path("models")
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    training_source: str = "journal"
    trainer_port: Annotated[int, Field(ge=0, le=65535)] = 8090

    repo_workers: Annotated[int, Field(ge=1, le=64)] = 4
    file_workers: Annotated[int, Field(ge=1, le=256)] = 8
    record_rows: Count = 3000
    lease_s: Seconds = 60.0
    wait_s: Seconds = 3600.0
    retry_s: Seconds = 3600.0
    revisit_s: Seconds = 7 * 86400.0
    patience_s: Seconds = 15.0
    examine_timeout_s: Seconds = 120.0

    languages: Annotated[frozenset[str], NoDecode] = frozenset()
    max_file_bytes: Annotated[int, Field(ge=1, le=8 << 20)] = 1 << 20
    min_file_chars: Annotated[int, Field(ge=0)] = 50
    max_line_chars: Count = 1000
    mean_line_chars: Count = 100
    min_alnum_share: Share = 0.25
    max_encoded_bytes: Count = 1024
    max_encoded_share: Share = 0.5
    max_backslash_share: Share = 0.1
    max_number_share: Share = 0.7
    min_table_words: Count = 500
    min_lines: Annotated[int, Field(ge=0)] = 10
    max_lines: Count = 100_000
    min_mean_line_chars: Annotated[int, Field(ge=0)] = 5
    min_letter_share: Share = 0.5
    max_digit_share: Share = 0.2
    max_blank_share: Share = 0.5
    max_comment_share: Share = 0.8
    max_duplicate_share: Share = 0.7
    max_todo_share: Share = 0.01
    max_pass_share: Share = 0.05
    max_import_share: Share = 0.3
    max_print_share: Share = 0.4

    licenses: str = "any"
    benchmarks: Annotated[frozenset[Path], NoDecode] = frozenset()
    private_keys: SecretPolicy = "redact"
    provider_tokens: SecretPolicy = "redact"
    url_passwords: SecretPolicy = "redact"
    assigned_secrets: SecretPolicy = "redact"
    emails: SecretPolicy = "redact_comments"
    ip_addresses: SecretPolicy = "keep"

    max_files: Count = 2_000_000
    max_depth: Count = 256
    max_repo_bytes: Count = 4 << 30
    git_timeout_s: Seconds = 120.0
    stall_timeout_s: Seconds = 60.0
    clone_timeout_s: Seconds = 3600.0

    @field_validator("languages", "benchmarks", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """The environment holds names separated by commas."""
        if not isinstance(value, str):
            return value
        return [name.strip() for name in value.split(",") if name.strip()]

    @field_validator("licenses")
    @classmethod
    def _known(cls, value: str) -> str:
        spdx.accepts(value)
        return value

    @field_validator("store")
    @classmethod
    def _store(cls, value: str) -> str:
        parts = urlsplit(value)
        is_file = "://" not in value or (parts.scheme == "sqlite" and not parts.netloc)
        if not is_file and parts.scheme not in POSTGRES:
            raise ValueError("give a path, sqlite:///FILE or postgresql://HOST/DATABASE")
        return value

    @field_validator(*SERVERS)
    @classmethod
    def _server(cls, value: str | None, info: ValidationInfo) -> str | None:
        schemes = SERVERS[str(info.field_name)]
        if value is not None and urlsplit(value).scheme not in schemes:
            raise ValueError(f"give a URL that begins with {schemes[0]}://")
        return value

    @property
    def is_served(self) -> bool:
        """Whether the journal lies on a Postgres server."""
        return urlsplit(self.store).scheme in POSTGRES

    @property
    def store_path(self) -> Path:
        """The file of an embedded store. A served one's local things lie where it would."""
        if self.is_served:
            return Path(default_store()).expanduser().absolute()
        path = urlsplit(self.store).path if "://" in self.store else self.store
        return Path(path).expanduser().absolute()

    @property
    def search_path(self) -> Path:
        """The embedded search index lies beside the store; of a served one, on this machine."""
        path = self.store_path
        if not self.is_served:
            return path.with_name(f"{path.stem}-search{path.suffix or '.db'}")
        digest = hashlib.blake2b(_database(self.store).encode(), digest_size=4).hexdigest()
        return path.with_name(f"search-{digest}.db")

    @property
    def scratch_path(self) -> Path:
        """Where clones are kept while they are read."""
        return self.scratch or self.store_path.with_name("scratch")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library passes it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        credentials = InitSettingsSource(settings_cls, _credentials())
        return init_settings, env_settings, credentials, TomlConfigSettingsSource(settings_cls)


def load(**options: Any) -> Settings:
    """The settings with these options of the command line. Raises `UsageError`."""
    _check_names(name for name in os.environ if name.startswith("CODELUPE_"))
    given = {name: value for name, value in options.items() if value is not None}
    for name in given.keys() & set(SECRET):
        _check_open(name, given[name])
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise UsageError(_explain(error)) from error
    except ValueError as error:  # a settings file that is not TOML
        raise UsageError(f"{SETTINGS_FILE}: {error}") from error
    return settings


def _check_names(variables: Iterable[str]) -> None:
    """A misspelt variable would be ignored without a word; what the tests read is left to them."""
    for variable in variables:
        name = variable.removeprefix("CODELUPE_").lower()
        if name not in Settings.model_fields and not name.startswith("test_"):
            raise UsageError(_unknown(name, f" (from {variable})"))


def _unknown(name: str, source: str = "") -> str:
    near = get_close_matches(name, Settings.model_fields, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no setting {name!r}{source}: {hint}docs/settings.md lists all of them"


def _database(url: str) -> str:
    """Which database a Postgres URL names, whoever asks it and how."""
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    host = parts.netloc.rpartition("@")[2] or "".join(options.get("host", ["localhost"]))
    port = "" if ":" in host else ":" + "".join(options.get("port", ["5432"]))
    return f"{host}{port}{parts.path}"


def _credentials() -> dict[str, str]:
    """What systemd's `LoadCredential=` gives this service: a file for each name."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    paths = {name: Path(folder, name) for name in SECRET} if folder else {}
    return {name: path.read_text().strip() for name, path in paths.items() if path.exists()}


def _check_open(name: str, url: str) -> None:
    """Every process on the machine can read the arguments of every other."""
    with suppress(ValueError):  # no URL at all: Settings will say so
        parts = urlsplit(url)
        is_key = name == "elasticsearch" and parts.username
        if not (parts.password or is_key or parse_qs(parts.query).keys() & PASSWORDS):
            return
        raise UsageError(
            f"--{name} holds a password, which everybody on this machine could read: set"
            f" CODELUPE_{name.upper()}, or {name} in {SETTINGS_FILE}, or a systemd credential"
        )


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return _unknown(name)
    given = first["input"]
    if name in SECRET and "://" in str(given):
        given = without_secrets(str(given))
    return (
        f"the setting {name} (CODELUPE_{name.upper()}) is {given!r}: {first['msg']};"
        " docs/settings.md says what it may be"
    )
