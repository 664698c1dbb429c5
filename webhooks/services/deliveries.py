"""Telling: one worker at a time sends what is due to a webhook, and writes down every try.

The row is the record; the broker only wakes workers. A worker holds a lease on the webhook, so that a slow
receiver costs one place at most; a killed worker's lease lapses, and what it had begun is tried again. So an
event arrives at least once, under the same `webhook-id`.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from audit.services import SYSTEM, Actor, event_record
from inference.services.leases import task_publish
from webhooks import mail, wire
from webhooks.errors import StillWaiting
from webhooks.models import TEST, Attempt, Delivery, Webhook
from webhooks.sentences import as_slack, as_text, message_of
from webhooks.services.endpoints import audit_subject, switched_off
from webhooks.services.events import events_take
from webhooks.signing import headers_of

log = structlog.get_logger(__name__)
Status, Outcome, Form = Delivery.Status, Attempt.Outcome, Webhook.Form

#: A worker that has not come back for this long is taken for dead: longer than any try.
LEASE = timedelta(seconds=60)
#: A turn ends with the try that passes so many seconds: a slow receiver holds no worker for long.
TURN_SECONDS = 2.0
#: The beat asks so often; a message that no worker took by then has a successor.
WAKE_SECONDS = 5
#: A delivery is tried for this long, at growing distances, and then given up.
TRIED_FOR = timedelta(hours=24)
#: A day has room for some fifteen tries; only one that kills its process each time comes so far.
MOST_TRIES = 40
FIRST_DELAY, DELAY_GROWTH, LONGEST_DELAY = 5.0, 4.0, 3 * 3600.0
#: Tries are scattered by this share, so that many do not come at once.
JITTER = 0.2
#: How long an address that does not answer is left alone: half as long as it has been failing, within these.
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 600.0
#: A webhook that has accepted nothing for this long, though it was tried, is switched off.
SWITCHED_OFF_AFTER = timedelta(days=3)
#: The receiver said that it is gone for good.
GONE = 410
#: What says that nobody is there, rather than that this message is not liked.
_SILENT = {
    Outcome.UNRESOLVED,
    Outcome.UNREACHED,
    Outcome.TLS,
    Outcome.TIMEOUT,
    Outcome.GARBLED,
    Outcome.ADDRESS,
}


def webhooks_wake() -> None:
    """One step for every webhook: read what there is to tell, and wake a worker where something is due."""
    for webhook in Webhook.objects.filter(off_at=None).select_related("project"):
        try:
            events_take(webhook=webhook)
        except DatabaseError:
            # One that cannot be read for now must not keep the others from being told.
            log.exception("webhook_not_read", webhook=str(webhook.pk))
    for pk in _with_something_due().values_list("pk", flat=True):
        webhook_publish(webhook_id=pk)


def webhook_publish(*, webhook_id: uuid.UUID) -> None:
    """Wake a worker for a webhook. When the broker cannot hear, the next beat asks again."""
    task_publish("webhooks.tasks.webhook_turn", webhook_id, expires=2 * WAKE_SECONDS)


def webhook_turn(*, webhook_id: uuid.UUID) -> int:
    """Send what is due to one webhook, for some seconds at most; returns how many were tried.

    Does nothing where another worker has its turn.
    """
    token = uuid.uuid4()
    claimable = _with_something_due().filter(pk=webhook_id)
    # PostgreSQL looks at the row again when it has waited for it: of two workers one gets it.
    if not Webhook.objects.filter(
        Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now()), pk__in=claimable
    ).update(lease_token=token, lease_expires_at=Now() + LEASE):
        return 0
    ends, tried = time.monotonic() + TURN_SECONDS, 0
    try:
        while time.monotonic() < ends and _lease_renew(webhook_id, token):
            delivery = _next_due(webhook_id)
            if delivery is None:
                break
            tried += 1
            if not delivery_try(delivery=delivery):
                break
    finally:
        Webhook.objects.filter(pk=webhook_id, lease_token=token).update(
            lease_token=None, lease_expires_at=None
        )
    if _with_something_due().filter(pk=webhook_id).exists():
        webhook_publish(webhook_id=webhook_id)  # behind those of others that wait
    return tried


def delivery_try(*, delivery: Delivery) -> bool:
    """One try, written down before and after; False where the address should now be left alone."""
    if delivery.retry_number >= MOST_TRIES:
        _give_up(delivery)
        return True
    number = delivery.attempts + 1
    with transaction.atomic():
        # Whoever lost the lease meanwhile finds the number taken, and stops.
        if not Delivery.objects.filter(
            pk=delivery.pk, status=Status.WAITING, attempts=delivery.attempts
        ).update(attempts=number, retry_number=F("retry_number") + 1, due_at=Now() + LEASE):
            return False
        attempt = Attempt.objects.create(delivery=delivery, number=number)
    began = time.monotonic()
    answer = _send(delivery)
    _write_down(attempt, answer, milliseconds=round(1000 * (time.monotonic() - began)))
    log.info(
        "webhook_tried",
        webhook=str(delivery.webhook_id),
        delivery=str(delivery.pk),
        kind=delivery.kind,
        number=number,
        outcome=str(answer.outcome),
        status=answer.http_status,
    )
    return answer.outcome not in _SILENT


def _send(delivery: Delivery) -> wire.Answer:
    webhook, body = delivery.webhook, body_of(delivery)
    if webhook.form == Form.MAIL:
        return mail.send(
            mail.recipients_of(webhook.url),
            message_id=delivery.message_id,
            subject=message_of(delivery).subject,
            text=body,
        )
    headers = {
        "content-type": "application/json",
        "user-agent": f"nerapp/{settings.VERSION}",
        # To chats, too: whoever stands between can tell a repetition.
        "webhook-id": delivery.message_id,
    }
    if webhook.form == Form.SIGNED:
        now = datetime.now(tz=UTC)
        headers |= headers_of(webhook, message_id=delivery.message_id, body=body, now=now)
    return wire.post(webhook.url, body=body.encode(), headers=headers)


def body_of(delivery: Delivery) -> str:
    """The message. To systems: what happened, when, and the ids to look it up by, the same for every try."""
    if delivery.webhook.form == Form.MAIL:
        return as_text(message_of(delivery))
    if delivery.webhook.form == Form.SLACK:
        return as_slack(message_of(delivery))
    content = {"type": delivery.kind, "timestamp": delivery.occurred_at.isoformat(), "data": delivery.data}
    return json.dumps(content, separators=(",", ":"), sort_keys=True)


def delay_after(tries: int) -> float:
    """Seconds until the next try: 5, 20, 80, ... up to 3 hours, each scattered."""
    delay = min(FIRST_DELAY * DELAY_GROWTH ** (tries - 1), LONGEST_DELAY)
    return delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (not a secret)


@transaction.atomic
def delivery_resend(*, delivery: Delivery, actor: Actor) -> Delivery:
    """Try an ended delivery again, for another day, under its old id. Raises StillWaiting."""
    again = Delivery.objects.filter(pk=delivery.pk).exclude(status=Status.WAITING)
    if not again.update(status=Status.WAITING, ended_at=None, due_at=Now(), retry_from=Now(), retry_number=0):
        raise StillWaiting()
    event_record(
        action=f"{delivery.webhook.noun}.resend",
        actor=actor,
        subject=audit_subject(delivery.webhook),
        chain=delivery.webhook.project.slug,
        data={"delivery": str(delivery.pk), "kind": delivery.kind},
    )
    _try_now(delivery.webhook)
    delivery.refresh_from_db()
    return delivery


@transaction.atomic
def webhook_test(*, webhook: Webhook, actor: Actor) -> Delivery:
    """A message that says nothing, by the way of all others; to one that is switched off, too."""
    delivery = Delivery.objects.create(
        webhook=webhook,
        event=f"test:{uuid.uuid4()}",
        kind=TEST,
        occurred_at=timezone.now(),
        data={"project": webhook.project.slug, "webhook": str(webhook.pk)},
    )
    event_record(
        action=f"{webhook.noun}.test",
        actor=actor,
        subject=audit_subject(webhook),
        chain=webhook.project.slug,
        data={"delivery": str(delivery.pk)},
    )
    _try_now(webhook)
    return delivery


def deliveries_forget() -> int:
    """Remove what ended long ago; returns how many deliveries."""
    old = Delivery.objects.filter(ended_at__lt=Now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS))
    _, removed = old.delete()
    return removed.get("webhooks.Delivery", 0)


def _try_now(webhook: Webhook) -> None:
    """A person asks for it: the address is tried at once, however it has been."""
    Webhook.objects.filter(pk=webhook.pk).update(paused_until=None)
    transaction.on_commit(partial(webhook_publish, webhook_id=webhook.pk))


def _with_something_due() -> QuerySet[Webhook]:
    due = Delivery.objects.filter(webhook=OuterRef("pk"), status=Status.WAITING, due_at__lte=Now())
    return Webhook.objects.filter(
        Exists(due),
        Q(paused_until=None) | Q(paused_until__lte=Now()),
        Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now()),
    ).order_by("pk")


def _next_due(webhook_id: uuid.UUID) -> Delivery | None:
    return (
        Delivery.objects.filter(webhook=webhook_id, status=Status.WAITING, due_at__lte=Now())
        .select_related("webhook__project")
        .order_by("due_at", "occurred_at")
        .first()
    )


def _lease_renew(webhook_id: uuid.UUID, token: uuid.UUID) -> bool:
    return bool(
        Webhook.objects.filter(pk=webhook_id, lease_token=token).update(lease_expires_at=Now() + LEASE)
    )


@transaction.atomic
def _write_down(attempt: Attempt, answer: wire.Answer, *, milliseconds: int) -> None:
    """How a try went, what follows for its delivery, and what it says about the address."""
    Attempt.objects.filter(pk=attempt.pk).update(
        outcome=answer.outcome,
        http_status=answer.http_status,
        excerpt=answer.excerpt,
        milliseconds=milliseconds,
    )
    webhook = Webhook.objects.select_for_update(no_key=True).get(pk=attempt.delivery.webhook_id)
    # Of two tries of one delivery, the later one's word counts; and acceptance always does.
    waiting = Delivery.objects.filter(pk=attempt.delivery_id, status=Status.WAITING)
    if answer.outcome == Outcome.OK:
        waiting.update(status=Status.DELIVERED, ended_at=Now())
        Webhook.objects.filter(pk=webhook.pk).update(failing_since=None, paused_until=None)
        return
    delivery = waiting.filter(attempts=attempt.number).first()
    if delivery is not None:
        _put_off(delivery)
    _hold_against(webhook, answer)


def _put_off(delivery: Delivery) -> None:
    wait = timedelta(seconds=delay_after(delivery.retry_number))
    if timezone.now() + wait < delivery.retry_from + TRIED_FOR:
        Delivery.objects.filter(pk=delivery.pk).update(due_at=Now() + wait)
    else:
        _give_up(delivery)


def _give_up(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk, status=Status.WAITING).update(status=Status.DEAD, ended_at=Now())


def _hold_against(webhook: Webhook, answer: wire.Answer) -> None:
    """An address that does not answer is left alone for a while; one that has not for days, for good."""
    now = timezone.now()
    failing = now - webhook.failing_since if webhook.failing_since else timedelta()
    changed: dict[str, Any] = {"failing_since": Coalesce("failing_since", Now())}
    if answer.outcome in _SILENT:
        pause = min(max(failing.total_seconds() / 2, SHORTEST_PAUSE), LONGEST_PAUSE)
        changed["paused_until"] = Now() + timedelta(seconds=pause)
    Webhook.objects.filter(pk=webhook.pk).update(**changed)
    if webhook.off_at is not None:
        return
    if answer.http_status == GONE:
        switched_off(webhook, actor=SYSTEM, reason="The receiver answered 410: it is gone for good.")
    elif failing > SWITCHED_OFF_AFTER:
        last = " ".join(str(part) for part in (answer.outcome, answer.http_status) if part)
        switched_off(
            webhook,
            actor=SYSTEM,
            reason=f"Nothing was accepted for {SWITCHED_OFF_AFTER.days} days; the last try: {last}.",
        )
