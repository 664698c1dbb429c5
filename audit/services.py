"""Writing the audit log: one event per use case, inside that use case's transaction."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from django.db import connection, models, transaction

from audit.actions import ACTIONS
from audit.models import AuditEvent

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

GENESIS = "0" * 64
SYSTEM_CHAIN = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, an API key or the system itself."""

    ref: str
    name: str

    @classmethod
    def of_user(cls, user: AbstractBaseUser | AnonymousUser) -> Actor:
        """The person signed in."""
        return cls(ref=f"user:{user.pk}", name=str(user))

    @classmethod
    def of_key(cls, key_id: object, name: str) -> Actor:
        """The holder of an API key."""
        return cls(ref=f"key:{key_id}", name=name)


SYSTEM = Actor(ref="system", name="nerapp")


def subject_of(instance: models.Model) -> str:
    """The text by which an event names a row, e.g. `inference.modelversion:7`."""
    return f"{instance._meta.label_lower}:{instance.pk}"


def event_hash(event: AuditEvent) -> str:
    """The SHA-256 (hex) of an event's content and the hash before it, over canonical JSON."""
    content = {
        "chain": event.chain,
        "number": event.number,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": event.actor,
        "actor_name": event.actor_name,
        "action": event.action,
        "subject": event.subject,
        "reason": event.reason,
        "data": event.data,
        "request_id": event.request_id,
        "previous_hash": event.previous_hash,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def event_record(
    *,
    action: str,
    actor: Actor,
    subject: models.Model | str,
    chain: str = SYSTEM_CHAIN,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append one event to a chain. Call it inside the transaction of what it records.

    Raises ValueError for an action that `audit.actions` does not list, and RuntimeError outside a
    transaction: an event must never be kept when what it records is rolled back, nor the reverse.
    """
    if action not in ACTIONS:
        raise ValueError(f"{action!r} is not an audit action; add it to audit/actions.py")
    if not connection.in_atomic_block:
        raise RuntimeError("event_record must run inside the transaction of what it records")
    with transaction.atomic(), connection.cursor() as cursor:
        # Two writers must not read the same last event: the number and the hash would fork. The lock is
        # per chain and ends with the transaction.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('audit'), hashtext(%s))", [chain])
        last = AuditEvent.objects.filter(chain=chain).order_by("-number").first()
        event = AuditEvent(
            chain=chain,
            number=last.number + 1 if last else 1,
            at=datetime.now(tz=UTC),
            actor=actor.ref,
            actor_name=actor.name[:200],
            action=action,
            subject=subject if isinstance(subject, str) else subject_of(subject),
            reason=reason,
            # Through JSON once, so that what is hashed now equals what is read back later.
            data=json.loads(json.dumps(data or {})),
            request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
            previous_hash=last.hash if last else GENESIS,
        )
        event.hash = event_hash(event)
        event.save(force_insert=True)
        return event
