"""Making and changing channels, and announcing changes during which they keep quiet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.models import Project
from inference.errors import ReasonRequired
from webhooks.addresses import addresses_of, target_of
from webhooks.errors import KindUnknown, NothingChosen, TooLong
from webhooks.mail import recipients_of, url_of
from webhooks.models import FOR_PEOPLE, PlannedChange, Webhook
from webhooks.services.endpoints import audit_subject
from webhooks.services.events import reading_begins_now

#: A planned change that lasts longer is how things are.
LONGEST_CHANGE = timedelta(days=7)


def channel_create(
    *, project: Project, name: str, form: str, url: str, language: str, kinds: Sequence[str], actor: Actor
) -> Webhook:
    """Tell people what happens from now on: by mail to the addresses in `url`, or by a post to it.

    Raises AddressRefused, MailNotSet, MailAddressRefused, KindUnknown or NothingChosen.
    """
    checked = _address(form, url)  # outside the transaction: a slow resolver must hold no lock
    with transaction.atomic():
        channel = Webhook(
            project=project, name=name, form=form, url=checked, language=language, kinds=_kinds(kinds)
        )
        reading_begins_now(channel)
        channel.save(force_insert=True)
        _record("channel.create", channel, actor)
    return channel


def channel_change(
    *, channel: Webhook, name: str, url: str, language: str, kinds: Sequence[str], actor: Actor
) -> Webhook:
    """Change what it is called, where it leads (nowhere else where `url` is empty) and what it tells.

    Raises as `channel_create`.
    """
    checked = _address(channel.form, url) if url else channel.url
    with transaction.atomic():
        Webhook.objects.filter(pk=channel.pk).update(
            name=name,
            url=checked,
            language=language,
            kinds=_kinds(kinds),
            # What was held against the address that it had is not held against the new one.
            **({} if checked == channel.url else {"failing_since": None, "paused_until": None}),
        )
        channel.refresh_from_db()
        _record("channel.change", channel, actor)
    return channel


@transaction.atomic
def planned_change_create(
    *, project: Project, begins_at: datetime, ends_at: datetime, reason: str, actor: Actor
) -> PlannedChange:
    """Keep the project's channels quiet for a while. Raises ReasonRequired or TooLong."""
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
    if not timedelta() < ends_at - begins_at <= LONGEST_CHANGE or ends_at <= timezone.now():
        raise TooLong(pointer="/ends_at", days=LONGEST_CHANGE.days)
    change = PlannedChange.objects.create(
        project=project, begins_at=begins_at, ends_at=ends_at, reason=reason.strip(), by=actor.name
    )
    event_record(
        action="planned_change.create",
        actor=actor,
        subject=change,
        chain=project.slug,
        reason=change.reason,
        data={"begins_at": begins_at.isoformat(), "ends_at": ends_at.isoformat()},
    )
    return change


@transaction.atomic
def planned_change_end(*, change: PlannedChange, actor: Actor) -> PlannedChange:
    """It is over, or will not be. Ending it again changes nothing."""
    change = PlannedChange.objects.select_for_update(of=("self",)).select_related("project").get(pk=change.pk)
    now = timezone.now()
    if change.ends_at > now:
        change.ends_at = max(now, change.begins_at)
        change.save(update_fields=["ends_at"])
        event_record(action="planned_change.end", actor=actor, subject=change, chain=change.project.slug)
    return change


def _address(form: str, words: str) -> str:
    if form == Webhook.Form.MAIL:
        return url_of(words)
    addresses_of(target_of(words))
    return words


def _kinds(kinds: Sequence[str]) -> list[str]:
    for kind in kinds:
        if kind not in FOR_PEOPLE:
            raise KindUnknown(pointer="/kinds", kind=kind)
    if not kinds:
        raise NothingChosen(pointer="/kinds")
    return [str(kind) for kind in FOR_PEOPLE if kind in kinds]


def _record(action: str, channel: Webhook, actor: Actor) -> None:
    # The audit log is for ever: neither people's addresses nor what follows a host, which is a secret.
    where: dict[str, Any] = (
        {"recipients": len(recipients_of(channel.url))}
        if channel.form == Webhook.Form.MAIL
        else {"host": target_of(channel.url).host}
    )
    event_record(
        action=action,
        actor=actor,
        subject=audit_subject(channel),
        chain=channel.project.slug,
        data={"name": channel.name, "form": channel.form, "kinds": channel.kinds, **where},
    )
