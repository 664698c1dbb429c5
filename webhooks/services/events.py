"""What there is to tell: read from rows that other apps have written, never heard from them.

Each webhook remembers how far it has read. What is read and the deliveries made of it are one transaction,
and a delivery exists once per webhook and event: a kill or a second worker tells nothing twice and leaves
nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import BooleanField, F, Func, Q, Value
from django.utils import timezone

from audit.models import AuditEvent
from audit.selectors import chain_head
from inference.models import Prediction
from webhooks.models import Delivery, EventKind, Webhook
from webhooks.services.notices import notices
from webhooks.told import STEP, TOLD, Data

#: With so many deliveries that wait, the webhook reads no further: what happened meanwhile stays where it is.
MOST_WAITING = 1_000
#: Younger predictions are left for later: one that is written meanwhile may be older than those read.
SETTLING = timedelta(seconds=30)
#: Predictions are looked through in windows, so that no query grows with the time that nobody looked.
WINDOW = timedelta(minutes=10)
WINDOWS = 12


@transaction.atomic
def events_take(*, webhook: Webhook, now: datetime | None = None) -> int:
    """Make deliveries of what happened since this webhook last read; returns how many."""
    reader = (
        Webhook.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("project")
        .filter(pk=webhook.pk, off_at=None)
        .first()
    )
    if reader is None:  # switched off, or somebody else reads for it
        return 0
    if reader.deliveries.filter(status=Delivery.Status.WAITING)[:MOST_WAITING].count() >= MOST_WAITING:
        return 0
    now = now or timezone.now()
    due = notices(reader, now) if reader.is_for_people else [*_audited(reader), *_unsure(reader, now)]
    made = Delivery.objects.bulk_create(due, ignore_conflicts=True)
    reader.save(update_fields=["read_number", "read_urgent", "read_until", "read_prediction"])
    return len(made)


def reading_begins_now(webhook: Webhook) -> None:
    """What happened before this moment is not told to it. The caller saves the row."""
    head = chain_head(chain=webhook.project.slug)
    webhook.read_number = webhook.read_urgent = head.number if head else 0
    webhook.read_until, webhook.read_prediction = timezone.now(), None


def _audited(webhook: Webhook) -> Iterator[Delivery]:
    """Events of the project's audit chain, whose numbers have no gap and grow in the order of commits."""
    head = chain_head(chain=webhook.project.slug)
    actions = [action for action, (kind, _) in TOLD.items() if kind in webhook.kinds]
    if head is None or not actions:
        webhook.read_number = head.number if head else 0
        return
    unread = AuditEvent.objects.filter(
        chain=webhook.project.slug, number__gt=webhook.read_number, number__lte=head.number
    )
    events = list(unread.filter(action__in=actions).order_by("number")[:STEP])
    for event in events:
        kind, data_of = TOLD[event.action]
        if (data := data_of(event)) is not None:
            yield _delivery(webhook, kind, f"audit:{event.number}", event.at, data)
    webhook.read_number = events[-1].number if len(events) == STEP else head.number


def _unsure(webhook: Webhook, now: datetime) -> Iterable[Delivery]:
    """Answers to callers whose least sure span is below the project's bar."""
    horizon = now - SETTLING
    if EventKind.LOW_CONFIDENCE not in webhook.kinds:
        webhook.read_until, webhook.read_prediction = max(horizon, webhook.read_until), None
        return
    bar = webhook.project.traffic_bar
    for _ in range(WINDOWS):
        if webhook.read_until >= horizon:
            return
        until = min(horizon, webhook.read_until + WINDOW)
        later = Q(created_at__gte=webhook.read_until)
        if webhook.read_prediction is not None:
            later &= Q(created_at__gt=webhook.read_until) | Q(pk__gt=webhook.read_prediction)
        sent = Prediction.objects.filter(project=webhook.project, document=None, api_key__isnull=False)
        unsure = Func(
            F("spans"),
            Value(f"$[*].confidence ? (@ < {bar!r})"),
            function="jsonb_path_exists",
            output_field=BooleanField(),
        )
        found = list(
            sent.filter(later, unsure, created_at__lt=until)
            .select_related("version")
            .defer("text")
            .order_by("created_at", "id")[:STEP]
        )
        for prediction in found:
            yield _delivery(
                webhook,
                EventKind.LOW_CONFIDENCE,
                f"prediction:{prediction.pk}",
                prediction.created_at,
                _unsure_data(prediction, bar),
            )
        if len(found) == STEP:
            webhook.read_until, webhook.read_prediction = found[-1].created_at, found[-1].pk
            return
        webhook.read_until, webhook.read_prediction = until, None


def _unsure_data(prediction: Prediction, bar: float) -> Data:
    confidences = [span["confidence"] for span in prediction.spans if span.get("confidence") is not None]
    return {
        "prediction": str(prediction.pk),
        "version": str(prediction.version),
        "slot": prediction.slot,
        "spans": len(prediction.spans),
        "least_confidence": min(confidences),
        "bar": bar,
    }


def _delivery(webhook: Webhook, kind: str, event: str, at: datetime, data: Data) -> Delivery:
    return Delivery(
        webhook=webhook,
        event=event,
        kind=kind,
        occurred_at=at,
        data={"project": webhook.project.slug, **data},
    )
