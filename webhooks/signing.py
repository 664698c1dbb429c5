"""Standard Webhooks: the secret of an endpoint, and what a message is signed with.

A secret is derived, not stored: HMAC-SHA-256 of the webhook's id and the secret's number under
`API_KEY_PEPPER`, which is not in the database. So a copy of the database signs nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime

from django.conf import settings
from standardwebhooks.webhooks import Webhook as Signer

from webhooks.models import Webhook


def secret_of(webhook: Webhook, *, number: int | None = None) -> str:
    """The secret as the receiver keeps it: `whsec_` and 256 bits in base64."""
    named = f"webhook:{webhook.pk}:{webhook.secret_number if number is None else number}"
    key = hmac.new(settings.API_KEY_PEPPER.encode(), named.encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(key).decode()


def headers_of(webhook: Webhook, *, message_id: str, body: str, now: datetime) -> dict[str, str]:
    """The three headers of Standard Webhooks. During a rotation both secrets sign."""
    secrets = [secret_of(webhook)]
    if webhook.former_secret_until is not None and now < webhook.former_secret_until:
        secrets.append(secret_of(webhook, number=webhook.secret_number - 1))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(message_id, now, body) for secret in secrets),
    }
