"""What a person may want of one text in the list."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from audit.services import Actor, event_record
from corpus.errors import DocumentErased
from corpus.models import Project
from corpus.selectors import document_get, project_require
from labeling.errors import TextNotWaiting
from labeling.models import Standing, Task
from labeling.services.queue import task_make

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def text_raise(*, project: Project, document_id: UUID, user: User) -> Task:
    """Put a text at the head of the queue, behind those that were asked for before it.

    A text that was left out as nearly the same as another gets its task now. Asking twice changes nothing.
    """
    project_require(project=project, user=user, permission="review")
    document = document_get(project=project, document_id=document_id)
    if document.redacted_at is not None:
        raise DocumentErased()
    standing = Standing.objects.select_for_update(of=("self",)).get(pk=document.pk)
    task = Task.objects.filter(document=document, status=Task.Status.OPEN).order_by("id").first()
    if task is None:
        if standing.state not in {Standing.State.NEW, Standing.State.LEFT_OUT}:
            raise TextNotWaiting(state=standing.get_state_display().lower())
        task = task_make(project=project, document=document)
    if task.raised_at is None:
        Task.objects.filter(pk=task.pk).update(raised_at=Coalesce(F("raised_at"), Now()))
        task.refresh_from_db(fields=["raised_at"])
        event_record(
            action="task.raise",
            actor=Actor.of_user(user),
            subject=task,
            chain=project.slug,
            data={"document": str(document.pk), "stratum": task.stratum},
        )
    return task
