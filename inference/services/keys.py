"""Making and revoking API keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.models import Project
from inference.errors import KeyNameTaken, ReasonRequired, ScopeUnknown
from inference.models import ApiKey

#: So that a secret scanner can find a leaked key.
PREFIX = "ner_live_"
_SHOWN = len(PREFIX) + 4


def key_digest(secret: str) -> str:
    """What is stored of a key: HMAC-SHA-256 under the pepper, which is not in the database."""
    return hmac.new(settings.API_KEY_PEPPER.encode(), secret.encode(), hashlib.sha256).hexdigest()


@transaction.atomic
def api_key_create(
    *,
    project: Project,
    name: str,
    scopes: Sequence[str],
    actor: Actor,
    internal: bool = False,
    rate_per_hour: int = 1000,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; returns the row and the secret, which is nowhere else and cannot be shown again."""
    for scope in scopes:
        if scope not in ApiKey.Scope.values:
            raise ScopeUnknown(pointer="/scopes", scope=scope)
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        project=project,
        name=name,
        prefix=secret[:_SHOWN],
        digest=key_digest(secret),
        scopes=sorted(set(scopes)),
        internal=internal,
        rate_per_hour=rate_per_hour,
        expires_at=expires_at,
    )
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        raise KeyNameTaken(pointer="/name", name=name) from None
    event_record(
        action="api_key.create",
        actor=actor,
        subject=key,
        chain=project.slug,
        data={"name": name, "scopes": key.scopes, "internal": internal, "rate_per_hour": rate_per_hour},
    )
    return key, secret


@transaction.atomic
def api_key_revoke(*, key: ApiKey, actor: Actor, reason: str) -> ApiKey:
    """End a key for good; every process refuses it within 5 seconds. Revoking it again changes nothing."""
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        event_record(
            action="api_key.revoke",
            actor=actor,
            subject=key,
            chain=key.project.slug,
            reason=reason.strip(),
            data={"name": key.name},
        )
    key.refresh_from_db()
    return key
