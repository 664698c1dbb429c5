"""Deciding what is true of a text on which its annotators differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.selectors import project_require
from feedback.models import Correction, Opinion, Stratum
from feedback.services import correction_submit
from labeling.models import Assignment, Task
from labeling.services.seats import seats_close

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def task_adjudicate(
    *,
    task: Task,
    user: User,
    spans: Sequence[Mapping[str, Any]],
    base_number: int,
    idempotency_key: str,
    milliseconds: int,
) -> Correction:
    """Store what an adjudicator decided as the document's correction and close the task.

    The rules are those of `correction_submit`: of two adjudicators who decide at once the second gets
    StaleVersion. Opinions that are still on their way are stored as opinions and change nothing.
    """
    project_require(project=task.project, user=user, permission="adjudicate")
    task = (
        Task.objects.select_for_update(of=("self",))
        .select_related("document__project", "project", "prediction")
        .get(pk=task.pk)
    )
    correction = correction_submit(
        document=task.document,
        spans=spans,
        base_number=base_number,
        author=user,
        prediction=task.prediction,
        stratum=Stratum(task.stratum),
        milliseconds=milliseconds,
        idempotency_key=idempotency_key,
    )
    if task.status == Task.Status.DONE:
        return correction
    task.status = Task.Status.DONE
    task.closed_at = timezone.now()
    task.claimed_by = user
    task.lease_expires_at = None
    task.disputed_at = None
    task.seats = 0
    task.correction = correction
    task.skip_reason = ""
    task.save()
    seats_close(task=task, user=user, state=Assignment.State.SKIPPED)
    event_record(
        action="task.adjudicate",
        actor=Actor.of_user(user),
        subject=task,
        chain=task.project.slug,
        data={
            "document": str(task.document_id),
            "correction": str(correction.pk),
            "opinions": Opinion.objects.filter(document=task.document).values("author").distinct().count(),
        },
    )
    return correction
