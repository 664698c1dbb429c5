"""The environment, read once, checked as a whole before Django starts.

`load()` returns a frozen `Env`; `nerapp/settings.py` takes every outside value from it and from nowhere else:

    from nerapp import env
    ENV = env.load()
    ENV.env, ENV.debug, ENV.secret_key, ENV.allowed_hosts, ENV.database_url, ENV.redis_url, ...

Where a value comes from, first hit wins: the variable `NAME`; the file that `NAME_FILE` points to; outside
production what the supervisor left in the home folder (`secrets.env`, and `run/services.env` while the
embedded services run); the default. A mistake ends the process with exit code 78 and one line per variable:
its name, what is wrong, what is expected. Values are never printed.

Outside production a process may start without `DATABASE_URL` (a type checker, `makemigrations`):
`Env.detached` is then true, and placeholders that reach no server stand in for services and secrets.
"""

from __future__ import annotations

import difflib
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from nerapp import env_values

EXIT_CONFIG: Final = 78  # EX_CONFIG of sysexits.h
PROJECT: Final = Path(__file__).resolve().parent.parent

# Nothing listens on port 1, so a command that needs a service fails at once instead of reaching a stranger's.
_NO_DATABASE: Final = "postgresql://nerapp_app@127.0.0.1:1/nerapp"
_NO_REDIS: Final = "redis://127.0.0.1:1/0"

StrongSecret = Annotated[SecretStr, AfterValidator(env_values.strong)]
PostgresUrl = Annotated[str, AfterValidator(env_values.postgres)]
RedisUrl = Annotated[str, AfterValidator(env_values.redis)]
Words = Annotated[tuple[str, ...], BeforeValidator(env_values.words)]
Port = Annotated[int, Field(ge=1, le=65535)]
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]

_RANDOM = "at least 50 random characters: python3 -c 'import secrets; print(secrets.token_urlsafe(64))'"


class Env(BaseModel):
    """Every outside value of nerapp. A field's `description` is what an error message says is expected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["development", "test", "production"] = Field(
        "development", validation_alias="ENV", description="development, test or production"
    )
    debug: bool = Field(
        False, validation_alias="DEBUG", description="true or false; never true in production"
    )
    secret_key: StrongSecret = Field(validation_alias="SECRET_KEY", description=_RANDOM)
    secret_key_fallbacks: Words = Field(
        (),
        repr=False,
        validation_alias="SECRET_KEY_FALLBACKS",
        description="former keys, separated by commas",
    )
    api_key_pepper: StrongSecret = Field(validation_alias="API_KEY_PEPPER", description=_RANDOM)
    allowed_hosts: Words = Field(
        (),
        validation_alias="ALLOWED_HOSTS",
        description="host names separated by commas; no * in production",
    )
    csrf_trusted_origins: Annotated[Words, AfterValidator(env_values.origins)] = Field(
        (),
        validation_alias="CSRF_TRUSTED_ORIGINS",
        description="origins such as https://ner.example.org, separated by commas; https in production",
    )
    cors_allowed_origins: Annotated[Words, AfterValidator(env_values.origins)] = Field(
        (),
        validation_alias="CORS_ALLOWED_ORIGINS",
        description="origins whose pages may call the API, such as https://shop.example.org, separated by "
        "commas; https in production",
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        validation_alias="TRUSTED_PROXIES",
        description="how many reverse proxies stand in front, 0 to 10",
    )

    database_url: PostgresUrl = Field(
        repr=False,
        validation_alias="DATABASE_URL",
        description="postgresql://USER:PASSWORD@HOST:PORT/NAME of the role that runs",
    )
    database_owner_url: PostgresUrl | None = Field(
        None,
        repr=False,
        validation_alias="DATABASE_OWNER_URL",
        description="postgresql://USER:PASSWORD@HOST:PORT/NAME of the role that migrates, not that runs",
    )
    redis_url: RedisUrl = Field(
        repr=False,
        validation_alias="REDIS_URL",
        description="redis://:PASSWORD@HOST:PORT/DB of the broker (noeviction, AOF)",
    )
    cache_url: RedisUrl = Field(
        repr=False,
        validation_alias="CACHE_URL",
        description="redis://:PASSWORD@HOST:PORT/DB of the cache; in production not REDIS_URL's server",
    )
    mlflow_tracking_uri: str = Field(
        repr=False,
        validation_alias="MLFLOW_TRACKING_URI",
        description="an MLflow address: postgresql://, http:// or https://",
    )

    home: Folder = Field(
        PROJECT / ".local",
        validation_alias="NERAPP_HOME",
        description="the folder for everything kept on this machine",
    )
    data_dir: Folder = Field(
        validation_alias="NERAPP_DATA_DIR",
        description="a writable folder for trained bundles and artifacts",
    )
    models_dir: Folder = Field(
        PROJECT / "models",
        validation_alias="NERAPP_MODELS_DIR",
        description="the folder of the bundled base models",
    )

    upload_limit_bytes: int = Field(
        2 * 1024**3,
        ge=1,
        validation_alias="UPLOAD_LIMIT_BYTES",
        description="how large an imported file may be, in bytes",
    )

    job_limit_bytes: int = Field(
        1024**3,
        ge=1,
        validation_alias="JOB_LIMIT_BYTES",
        description="how large a file for a bulk prediction may be, in bytes",
    )
    job_keep_days: int = Field(
        7,
        ge=1,
        le=3650,
        validation_alias="JOB_KEEP_DAYS",
        description="for how many days the result of a bulk prediction is kept, 1 to 3650",
    )
    shared_cache_seconds: int = Field(
        600, ge=0, le=86_400, validation_alias="SHARED_CACHE_SECONDS", description="0 to 86400 seconds"
    )
    prediction_recording: Literal["durable", "stream"] = Field(
        "durable", validation_alias="PREDICTION_RECORDING", description="durable or stream"
    )
    cascade_margin: float = Field(
        0.01,
        ge=0,
        le=0.5,
        validation_alias="CASCADE_MARGIN",
        description="how much F1 a cascade may lose against its better version, 0 to 0.5",
    )
    webhook_allow_http: bool = Field(
        False, validation_alias="WEBHOOK_ALLOW_HTTP", description="true or false"
    )
    webhook_ports: Annotated[tuple[Port, ...], BeforeValidator(env_values.words)] = Field(
        (80, 443, 8443),
        validation_alias="WEBHOOK_PORTS",
        description="TCP ports separated by commas",
    )
    webhook_networks: Annotated[Words, AfterValidator(env_values.networks)] = Field(
        (),
        validation_alias="WEBHOOK_NETWORKS",
        description="networks such as 10.20.0.0/16, separated by commas",
    )
    site_url: Annotated[str, AfterValidator(env_values.site)] | None = Field(
        None,
        validation_alias="SITE_URL",
        description="the origin that people open nerapp at, such as https://ner.example.org",
    )
    email_url: Annotated[str, AfterValidator(env_values.mail_server)] | None = Field(
        None,
        repr=False,
        validation_alias="EMAIL_URL",
        description="smtp+starttls://USER:PASSWORD@HOST:587, smtps://USER:PASSWORD@HOST:465 or smtp://HOST:25",
    )
    email_from: Annotated[str, AfterValidator(env_values.sender)] = Field(
        "nerapp@localhost",
        validation_alias="EMAIL_FROM",
        description="the sender of mails, such as nerapp@example.org",
    )
    notify_group_seconds: int = Field(
        60,
        ge=0,
        le=3600,
        validation_alias="NOTIFY_GROUP_SECONDS",
        description="events of so many seconds are one message to people, 0 to 3600",
    )

    port: int = Field(8000, ge=1, le=65535, validation_alias="PORT", description="a TCP port, 1 to 65535")
    web_workers: int = Field(2, ge=1, le=64, validation_alias="WEB_WORKERS", description="a number, 1 to 64")
    web_threads: int = Field(8, ge=1, le=64, validation_alias="WEB_THREADS", description="a number, 1 to 64")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="LOG_LEVEL", description="DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Literal["console", "json"] = Field(
        validation_alias="LOG_FORMAT", description="console or json"
    )

    detached: bool = Field(False, validation_alias="detached")


class EnvRefused(Exception):
    """The environment cannot be used; `lines` says why, one line per variable."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def names() -> dict[str, str]:
    """Every variable and what is expected of it, in the order of the documentation."""
    return {
        str(field.validation_alias): field.description or ""
        for field in Env.model_fields.values()
        if field.description
    }


def read_env_file(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a file that the supervisor wrote; nothing when there is none."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def read(environ: Mapping[str, str]) -> Env:
    """Check an environment; `EnvRefused` tells every mistake at once."""
    values, wrong = _read(environ)
    wrong = _unknown(environ) + wrong
    if values.get("ENV", "development") != "production":
        home = Path(values.get("NERAPP_HOME", PROJECT / ".local"))
        for left in (home / "run" / "services.env", home / "secrets.env"):
            for name, value in read_env_file(left).items():
                values.setdefault(name, value)
    filled = _derived(values)
    try:
        checked = Env.model_validate(filled)
    except ValidationError as error:
        wrong += _told(error)
    wrong += _contradictions(filled)
    told = {line.split(":", 1)[0]: line for line in reversed(wrong)}  # the first finding per variable
    if told:
        raise EnvRefused([told[name] for name in reversed(told)])
    return checked


def load() -> Env:
    """The checked environment, or the end of this process."""
    try:
        return read(os.environ)
    except EnvRefused as refused:
        print("nerapp cannot start with this environment:", file=sys.stderr)
        for line in refused.lines:
            print(f"  {line}", file=sys.stderr)
        raise SystemExit(EXIT_CONFIG) from None


def _read(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The variables of ours that are set, those by `NAME_FILE` included, and what is wrong with them."""
    values: dict[str, str] = {}
    wrong: list[str] = []
    for name, expected in names().items():
        value = environ.get(name)
        pointer = environ.get(f"{name}_FILE")
        if value is not None and pointer is not None:
            wrong.append(f"{name}: is set twice, here and by {name}_FILE; expected one of them")
        elif pointer is not None:
            try:
                value = Path(pointer).read_text("utf-8")
            except (OSError, ValueError):
                wrong.append(
                    f"{name}: {name}_FILE names no readable file; expected one that holds {expected}"
                )
                continue
        if value is None:
            continue
        if not value.strip():
            wrong.append(f"{name}: is empty; expected {expected}")
        values[name] = value.strip()
    return values, wrong


def _derived(values: dict[str, str]) -> dict[str, Any]:
    """Fill in what follows from the rest, so that a default never hides a mistake in production."""
    filled: dict[str, Any] = dict(values)
    production = values.get("ENV") == "production"
    if not production and "DATABASE_URL" not in values:
        filled["detached"] = True
        filled["DATABASE_URL"] = _NO_DATABASE
        filled.setdefault("REDIS_URL", _NO_REDIS)
        filled.setdefault("SECRET_KEY", secrets.token_urlsafe(64))
        filled.setdefault("API_KEY_PEPPER", secrets.token_urlsafe(64))
    if not production:
        filled.setdefault("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
        if "REDIS_URL" in filled:
            filled.setdefault("CACHE_URL", _sibling(filled["REDIS_URL"], "1"))
    filled.setdefault("MLFLOW_TRACKING_URI", _sibling(filled.get("DATABASE_URL", _NO_DATABASE), "mlflow"))
    filled.setdefault("LOG_FORMAT", "json" if production else "console")
    filled.setdefault("NERAPP_DATA_DIR", str(Path(values.get("NERAPP_HOME", PROJECT / ".local")) / "data"))
    return filled


def _sibling(url: str, database: str) -> str:
    """The same server, another database."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(parts._replace(path=f"/{database}"))


def _contradictions(filled: Mapping[str, Any]) -> list[str]:
    """Rules that need more than one variable, told whether or not each alone is well formed."""
    found: dict[str, str] = {}
    database, owner = filled.get("DATABASE_URL", ""), filled.get("DATABASE_OWNER_URL")
    if owner and _part(owner, "username") == _part(database, "username"):
        found["DATABASE_OWNER_URL"] = "is the same role as DATABASE_URL"
    if filled.get("SECRET_KEY") and filled.get("SECRET_KEY") == filled.get("API_KEY_PEPPER"):
        found["API_KEY_PEPPER"] = "is the same as SECRET_KEY"
    if filled.get("ENV") == "production":
        if filled.get("DEBUG", "false").lower() in {"1", "true", "yes", "on", "t", "y"}:
            found["DEBUG"] = "is true in production"
        if "ALLOWED_HOSTS" not in filled:
            found["ALLOWED_HOSTS"] = "is not set"
        elif "*" in env_values.words(filled["ALLOWED_HOSTS"]):
            found["ALLOWED_HOSTS"] = "holds * in production"
        for origins in ("CSRF_TRUSTED_ORIGINS", "CORS_ALLOWED_ORIGINS"):
            if "http://" in filled.get(origins, ""):
                found[origins] = "holds an http origin in production"
        broker, cache = filled.get("REDIS_URL"), filled.get("CACHE_URL")
        if broker and cache and _server(broker) == _server(cache):
            found["CACHE_URL"] = "is the same server as REDIS_URL in production"
    expected = names()
    return [f"{name}: {what}; expected {expected[name]}" for name, what in found.items()]


def _part(url: str, part: str) -> Any:
    try:
        return getattr(urlsplit(url), part)
    except ValueError:
        return None


def _server(url: str) -> tuple[Any, Any]:
    return _part(url, "hostname") or _part(url, "path"), _part(url, "port") or 6379


def _unknown(environ: Mapping[str, str]) -> list[str]:
    """A misspelt NERAPP_* variable is a setting that silently does nothing."""
    known = [name for name in names() if name.startswith("NERAPP_")]
    known += [f"{name}_FILE" for name in known]
    lines = []
    for name in sorted(environ):
        if name.startswith("NERAPP_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            lines.append(
                f"{name}: is not a variable of nerapp; expected {near[0] if near else ' or '.join(known)}"
            )
    return lines


def _told(error: ValidationError) -> list[str]:
    """One line per variable: name, what is wrong, what is expected, and never a value."""
    expected = names()
    lines: list[str] = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(found["loc"][0])
        if found["type"] == "missing":
            what = "is not set"
        elif found["type"] == "value_error":
            what = found["msg"].removeprefix("Value error, ")
        else:
            what = "cannot be understood"
        lines.append(f"{name}: {what}; expected {expected[name]}")
    return lines
