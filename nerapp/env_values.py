"""What single values of the environment must be. Each says what is wrong with one, and never the value."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

_KNOWN_KEYS: Final = (
    "django-insecure",
    "changeme",
    "change-me",
    "secret-key",
    "example",
    "your-secret",
)


def words(value: str) -> tuple[str, ...]:
    """Split a comma-separated variable; pydantic then checks the parts."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def strong(value: SecretStr) -> SecretStr:
    """Refuse a secret that a stranger could guess or find in a tutorial."""
    text = value.get_secret_value()
    if len(text) < 50:
        raise ValueError(f"has {len(text)} characters")
    if len(set(text)) < 5:
        raise ValueError("has fewer than 5 distinct characters")
    if any(known in text.lower() for known in _KNOWN_KEYS):
        raise ValueError("is a known example, not a secret")
    return value


def postgres(value: str) -> str:
    parts = url(value)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError("is not a PostgreSQL address")
    if not parts.username or not parts.path.strip("/"):
        raise ValueError("names no user or no database")
    return value


def redis(value: str) -> str:
    parts = url(value)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("is not a Redis address")
    if parts.scheme != "unix" and not parts.hostname:
        raise ValueError("names no host")
    return value


def url(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (reading it is what checks it)
    except ValueError:
        raise ValueError("is not an address") from None
    return parts


def origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = url(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path:
            raise ValueError("holds something that is not an origin")
    return values


def site(value: str) -> str:
    parts = url(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("is not an origin")
    return value.rstrip("/")


def mail_server(value: str) -> str:
    parts = url(value)
    if parts.scheme not in {"smtp", "smtp+starttls", "smtps"} or not parts.hostname:
        raise ValueError("is not the address of a mail server")
    if parts.password and parts.scheme == "smtp":
        raise ValueError("would send a password unencrypted")
    return value


def sender(value: str) -> str:
    if not value.isascii() or not re.fullmatch(r"[^\s<>@,;]+@[^\s<>@,;]+", value):
        raise ValueError("is not a mail address")
    return value


def networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ip_network(value)
        except ValueError:
            raise ValueError("holds something that is not a network") from None
    return values
