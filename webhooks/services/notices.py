"""What people are told: several events in one message, rollbacks at once, little during planned changes.

An event is left unread until its message is due, so there is nothing half made that a kill could lose: the
message and how far the channel has read are one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.db.models import F

from audit.models import AuditEvent
from audit.selectors import chain_head
from webhooks.models import MESSAGE, Delivery, EventKind, PlannedChange, Webhook
from webhooks.told import STEP, TOLD, Data

#: An audit event that a channel has chosen, and what is told of it.
Told = tuple[AuditEvent, EventKind, Data]


def notices(channel: Webhook, now: datetime) -> Iterator[Delivery]:
    """The messages that are due to a channel. The caller saves how far it has read."""
    head = chain_head(chain=channel.project.slug)
    if head is None:
        return
    if urgent := [told for told in _unread(channel, channel.read_urgent, head.number) if _is_urgent(told)]:
        yield _message(channel, urgent, name="urgent")
    channel.read_urgent = head.number

    waiting = list(islice(_unread(channel, channel.read_number, head.number), STEP))
    until = waiting[-1][0].number if len(waiting) == STEP else head.number
    changes = PlannedChange.objects.filter(
        project=channel.project_id, begins_at__lte=now, ends_at__gt=F("begins_at")
    )
    if waiting and changes.filter(ends_at__gt=now).exists():
        return
    is_summary = bool(waiting) and changes.filter(ends_at__gt=waiting[0][0].at).exists()
    if not is_summary:
        waiting = [told for told in waiting if not _is_urgent(told)]
        if waiting and waiting[0][0].at > now - timedelta(seconds=settings.NOTIFY_GROUP_SECONDS):
            channel.read_number = waiting[0][0].number - 1
            return
    if waiting:
        yield _message(channel, waiting, name="audit", is_summary=is_summary)
    channel.read_number = until


def _unread(channel: Webhook, after: int, until: int) -> Iterator[Told]:
    actions = [action for action, (kind, _) in TOLD.items() if kind in channel.kinds]
    events = AuditEvent.objects.filter(
        chain=channel.project.slug, number__gt=after, number__lte=until, action__in=actions
    ).order_by("number")
    for event in events.iterator(chunk_size=STEP):
        kind, data_of = TOLD[event.action]
        if (data := data_of(event)) is not None:
            yield event, kind, data


def _is_urgent(told: Told) -> bool:
    """Is it a rollback? Those wait for nothing."""
    _, kind, data = told
    return kind == EventKind.ROLLED_BACK or (kind == EventKind.PROMOTED and bool(data["rolled_back"]))


def _message(channel: Webhook, told: list[Told], *, name: str, is_summary: bool = False) -> Delivery:
    first = told[0][0]
    return Delivery(
        webhook=channel,
        event=f"{name}:{first.number}",
        kind=MESSAGE,
        occurred_at=first.at,
        data={
            "project": channel.project.slug,
            "summary": is_summary,
            "events": [
                {"type": str(kind), "at": event.at.isoformat(), "data": data} for event, kind, data in told
            ],
        },
    )
