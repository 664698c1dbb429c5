"""Carrying a decision over to other texts that wait, and taking it back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.models import Project
from corpus.selectors import project_require
from feedback.models import Stratum
from labeling.errors import NothingToPropagate, PlacesTooMany, PlaceWrong, RevokeReasonMissing
from labeling.models import PropagatedSpan, Propagation, Task
from labeling.selectors.propagations import places_of, surface_check

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PLACES_LIMIT = 5_000
REASON_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Revoked:
    """What a revocation took back, and what had been submitted before it."""

    taken_back: int
    submitted: list[int]


@transaction.atomic
def propagation_apply(
    *,
    project: Project,
    user: User,
    surface: str,
    label: str,
    places: Collection[tuple[int, int]],
    task: Task | None = None,
) -> Propagation:
    """Mark the surface in other waiting texts, at `(task, start)` places that the person has looked at.

    The spans are starting points with their own provenance, no corrections. A text that was submitted or
    taken by the random stratum meanwhile is left as it is; PlaceWrong refuses a place where the surface
    does not stand as words of its own.
    """
    project_require(project=project, user=user, permission="review")
    surface_check(project=project, surface=surface, label=label)
    if len(places) > PLACES_LIMIT:
        raise PlacesTooMany(pointer="/places", limit=PLACES_LIMIT, count=len(places))
    waiting = {
        found.pk: found
        for found in Task.objects.select_for_update(of=("self",))
        .filter(project=project, pk__in={pk for pk, _ in places}, status=Task.Status.OPEN)
        .exclude(Q(stratum=Stratum.RANDOM) | Q(annotators_wanted__gt=1))
        .select_related("document")
        .order_by("pk")
    }
    kept = sorted({(pk, start) for pk, start in places if pk in waiting})
    stands = {pk: set(places_of(waiting[pk].document.text, surface)) for pk, _ in kept}
    for pk, start in kept:
        if start not in stands[pk]:
            raise PlaceWrong(pointer="/places", start=start, task=pk)
    if not kept:
        raise NothingToPropagate()
    propagation = Propagation.objects.create(
        project=project, surface=surface, label=label, author=user, task=task
    )
    PropagatedSpan.objects.bulk_create(
        PropagatedSpan(propagation=propagation, task_id=pk, start=start, end=start + len(surface))
        for pk, start in kept
    )
    event_record(
        action="propagation.apply",
        actor=Actor.of_user(user),
        subject=propagation,
        chain=project.slug,
        data={"label": label, "places": len(kept), "tasks": len({pk for pk, _ in kept})},
    )
    return propagation


@transaction.atomic
def propagation_revoke(*, propagation: Propagation, user: User, reason: str) -> Revoked:
    """Take a batch back from every text that is not submitted yet; says which were. Twice changes nothing."""
    project_require(project=propagation.project, user=user, permission="review")
    reason = " ".join(reason.split())[:REASON_LIMIT]
    if not reason:
        raise RevokeReasonMissing(pointer="/reason")
    propagation = Propagation.objects.select_for_update(of=("self",)).get(pk=propagation.pk)
    tasks = dict(propagation.spans.values_list("task", "task__status").distinct())
    submitted = sorted(pk for pk, status in tasks.items() if status == Task.Status.DONE)
    taken_back = sum(status == Task.Status.OPEN for status in tasks.values())
    if propagation.revoked_at is None:
        propagation.revoked_at, propagation.revoked_by = timezone.now(), user
        propagation.revoke_reason = reason
        propagation.save(update_fields=["revoked_at", "revoked_by", "revoke_reason"])
        event_record(
            action="propagation.revoke",
            actor=Actor.of_user(user),
            subject=propagation,
            chain=propagation.project.slug,
            reason=reason,
            data={"taken_back": taken_back, "submitted": submitted},
        )
    return Revoked(taken_back=taken_back, submitted=submitted)
