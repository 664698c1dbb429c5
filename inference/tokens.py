"""Short-lived tokens in the place of a key: JSON Web Tokens (RFC 7519), signed, never stored.

A service that holds a key hands its helpers a token instead: it ends by itself within the hour, may do no
more than the key, and ends with the key at once, for every use looks the key up.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac

from inference.models import ApiKey

SECONDS = 900
SECONDS_LIMIT = 3600
_ISSUER = "nerapp"
_ALGORITHM = "HS256"
_NEEDED = ["exp", "iat", "iss", "sub"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: in whose place it stands, and what it may do."""

    key: UUID
    scopes: frozenset[str]


def token_make(*, key: ApiKey, scopes: Sequence[str], seconds: int) -> str:
    """A token that stands for the key for so many seconds, with these of its scopes."""
    now = datetime.now(UTC)
    claims = {
        "iss": _ISSUER,
        "sub": str(key.pk),
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + timedelta(seconds=seconds),
        "jti": secrets.token_urlsafe(12),
    }
    return jwt.encode(claims, next(_signing_keys()), algorithm=_ALGORITHM)


def token_read(token: str) -> Claims | None:
    """What a token says; None for one that is not ours, was changed, or has ended."""
    for signing_key in _signing_keys():
        try:
            claims = jwt.decode(
                token, signing_key, algorithms=[_ALGORITHM], issuer=_ISSUER, options={"require": _NEEDED}
            )
            return Claims(UUID(claims["sub"]), frozenset(str(claims.get("scope", "")).split()))
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, ValueError):
            return None
    return None


def _signing_keys() -> Iterator[bytes]:
    """The present key, then former ones: a token outlives the exchange of SECRET_KEY."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        yield salted_hmac("inference.tokens", "", secret=secret, algorithm="sha256").digest()
