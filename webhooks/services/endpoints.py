"""Making and changing webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.models import Project
from inference.errors import ReasonRequired
from webhooks.addresses import addresses_of, target_of
from webhooks.errors import KindUnknown, NothingChosen
from webhooks.models import Delivery, EventKind, Webhook
from webhooks.services.events import reading_begins_now
from webhooks.signing import secret_of

#: So long the secret before a new one still signs: time to bring the new one to the receiver.
BOTH_SECRETS_FOR = timedelta(hours=24)


def webhook_create(
    *, project: Project, name: str, url: str, kinds: Sequence[str], actor: Actor
) -> tuple[Webhook, str]:
    """Make a webhook; returns it and the secret that its messages are signed with.

    It hears of what happens from now on. Raises AddressRefused, KindUnknown or NothingChosen.
    """
    addresses_of(target_of(url))  # outside the transaction: a slow resolver must hold no lock
    with transaction.atomic():
        webhook = Webhook(project=project, name=name, url=url, kinds=_kinds(kinds))
        reading_begins_now(webhook)
        webhook.save(force_insert=True)
        event_record(
            action="webhook.create",
            actor=actor,
            subject=webhook,
            chain=project.slug,
            data=_told_of(webhook),
        )
    return webhook, secret_of(webhook)


def webhook_change(*, webhook: Webhook, name: str, url: str, kinds: Sequence[str], actor: Actor) -> Webhook:
    """Change what it is called, where it leads and what it hears of. Raises as `webhook_create`."""
    addresses_of(target_of(url))
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook.pk).update(
            name=name,
            url=url,
            kinds=_kinds(kinds),
            # What was held against the address that it had is not held against the new one.
            **({} if url == webhook.url else {"failing_since": None, "paused_until": None}),
        )
        webhook.refresh_from_db()
        event_record(
            action="webhook.change",
            actor=actor,
            subject=webhook,
            chain=webhook.project.slug,
            data=_told_of(webhook),
        )
    return webhook


@transaction.atomic
def webhook_rotate(*, webhook: Webhook, actor: Actor) -> tuple[Webhook, str]:
    """A new secret; for a day the one before signs as well."""
    webhook = _locked(webhook)
    webhook.secret_number += 1
    webhook.former_secret_until = timezone.now() + BOTH_SECRETS_FOR
    webhook.save(update_fields=["secret_number", "former_secret_until"])
    event_record(
        action="webhook.rotate",
        actor=actor,
        subject=webhook,
        chain=webhook.project.slug,
        data={"secret_number": webhook.secret_number},
    )
    return webhook, secret_of(webhook)


@transaction.atomic
def webhook_switch_off(*, webhook: Webhook, actor: Actor, reason: str) -> Webhook:
    """Tell it nothing more. What waits is given up. Switching it off again changes nothing."""
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
    webhook = _locked(webhook)
    if webhook.off_at is None:
        switched_off(webhook, actor=actor, reason=reason.strip())
    return webhook


def switched_off(webhook: Webhook, *, actor: Actor, reason: str) -> None:
    """Switch off a webhook that the caller has locked."""
    webhook.off_at, webhook.off_reason = timezone.now(), reason[:500]
    webhook.save(update_fields=["off_at", "off_reason"])
    waiting = webhook.deliveries.filter(status=Delivery.Status.WAITING)
    given_up = waiting.update(status=Delivery.Status.DEAD, ended_at=Now())
    event_record(
        action=f"{webhook.noun}.switch_off",
        actor=actor,
        subject=audit_subject(webhook),
        chain=webhook.project.slug,
        reason=reason,
        data={"given_up": given_up},
    )


@transaction.atomic
def webhook_switch_on(*, webhook: Webhook, actor: Actor) -> Webhook:
    """Tell it again what happens from now on."""
    webhook = _locked(webhook)
    if webhook.off_at is not None:
        webhook.off_at, webhook.off_reason = None, ""
        webhook.failing_since = webhook.paused_until = None
        reading_begins_now(webhook)
        webhook.save()
        event_record(
            action=f"{webhook.noun}.switch_on",
            actor=actor,
            subject=audit_subject(webhook),
            chain=webhook.project.slug,
        )
    return webhook


def audit_subject(webhook: Webhook) -> str:
    """How the audit log names it: a channel by the name of its pages."""
    return f"webhooks.{webhook.noun}:{webhook.pk}"


def _kinds(kinds: Sequence[str]) -> list[str]:
    for kind in kinds:
        if kind not in EventKind.values:
            raise KindUnknown(pointer="/kinds", kind=kind)
    if not kinds:
        raise NothingChosen(pointer="/kinds")
    return [kind for kind in EventKind.values if kind in kinds]


def _told_of(webhook: Webhook) -> dict[str, Any]:
    # Not the whole address: what follows the host is often a secret, and the audit log is for ever.
    return {"name": webhook.name, "host": target_of(webhook.url).host, "kinds": webhook.kinds}


def _locked(webhook: Webhook) -> Webhook:
    return Webhook.objects.select_for_update(of=("self",)).select_related("project").get(pk=webhook.pk)
