"""Filling the review queue: a prediction and a task for each document that nobody has looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from audit.services import SYSTEM
from corpus.errors import DomainError
from corpus.models import Document, Project
from corpus.selectors import label_set_current
from feedback.models import Correction, Stratum
from inference.models import Deployment, ModelVersion, Prediction
from inference.selectors import deployment_of
from inference.services import blank_version_get, deployment_set, documents_predict
from labeling.choice import annotators_of, draw, stratum_of
from labeling.models import Standing, Task
from labeling.services.assignments import rules_apply
from labeling.services.sampling import novelties, repeats_leave_out
from ner.errors import NerError

log = structlog.get_logger(__name__)

BATCH = 64
#: So many per project and call of the beat, so that no project waits long for another.
STEP = 2_000


@dataclass(frozen=True, slots=True)
class Filled:
    """What one filling of the queue did."""

    queued: int
    refreshed: int


def queue_fill(*, project: Project, limit: int = 10_000) -> Filled:
    """Give each unreviewed document a prediction by the champion and a task; refresh stale ones.

    A task that waits for a reviewer gets a new prediction when the champion has moved; the old one
    stays as a row. One drawn from callers' texts keeps the answer that it is there to judge. Works in
    short transactions, so that it may be stopped and repeated at any moment; while another process fills
    the same project this one does nothing.
    """
    queued = refreshed = 0
    while queued < limit and (step := _batch_queue(project)):
        queued += step
    while refreshed < limit and (step := _batch_refresh(project)):
        refreshed += step
    return Filled(queued=queued, refreshed=refreshed)


def queues_fill() -> None:
    """Fill the queue of every project; one whose model does not load keeps no other from its own."""
    for project in Project.objects.order_by("pk"):
        try:
            filled = queue_fill(project=project, limit=STEP)
        except (DomainError, NerError) as error:
            log.error("queue not filled", project=project.slug, code=error.code, error=str(error))
        else:
            if filled.queued or filled.refreshed:
                log.info(
                    "queue filled", project=project.slug, queued=filled.queued, refreshed=filled.refreshed
                )


@transaction.atomic
def _batch_queue(project: Project) -> int:
    if not _is_mine_to_fill(project):
        return 0
    new = Standing.objects.filter(project=project, state=Standing.State.NEW)
    arrived = new.order_by("arrived_at", "document_id").values_list("document_id", flat=True)[:BATCH]
    documents = list(Document.objects.filter(pk__in=list(arrived), redacted_at=None))
    documents.sort(key=lambda document: (document.created_at, document.pk))
    strata = {one.pk: stratum_of(draw(one.text_hash), project=project) for one in documents}
    repeats = repeats_leave_out(project=project, documents=documents, strata=strata)
    asked = [document for document in documents if document.pk not in repeats]
    _champion(project)
    predictions = _predict(asked)
    unlike = novelties(project=project, documents=[one for one in asked if strata[one.pk] == Stratum.DIVERSE])
    Task.objects.bulk_create(
        [_task(project, document, predictions[document.pk], unlike) for document in asked],
        ignore_conflicts=True,
    )
    made = Task.objects.filter(document__in=documents, status=Task.Status.OPEN, assignments=None)
    rules_apply(project=project, tasks=list(made.select_related("document").order_by("pk")))
    return len(documents)


@transaction.atomic
def _batch_refresh(project: Project) -> int:
    if not _is_mine_to_fill(project):
        return 0
    champion = _champion(project)
    waiting = (
        Task.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now()))
        .filter(project=project, status=Task.Status.OPEN)
        # What was drawn from callers' texts judges the very answer that the caller got.
        .exclude(cause=Task.Cause.DRAWN)
        # Annotators of one text start from one answer.
        .exclude(annotators_wanted__gt=1, seats__lt=F("annotators_wanted"))
        .select_related("document")
        .order_by("version", "-priority", "id")
    )
    # Two ranges of an index instead of "not the champion's", which would read every task that waits.
    tasks = list(waiting.filter(version__lt=champion.pk)[:BATCH])
    tasks += list(waiting.filter(version__gt=champion.pk)[: BATCH - len(tasks)])
    predictions = _predict([task.document for task in tasks])
    fresh = [task for task in tasks if _is_by(predictions[task.document_id], champion)]
    for task in fresh:
        prediction = predictions[task.document_id]
        task.prediction = prediction
        if task.stratum == Stratum.UNCERTAIN:
            task.priority = prediction.uncertainty
    Task.objects.bulk_update(fresh, ["prediction", "priority"])
    # A champion that moved again meanwhile is for the next call, not for an endless loop in this one.
    return len(fresh)


def _champion(project: Project) -> ModelVersion:
    """What answers for the project; on a cold start the blank model, so that people can begin at once."""
    deployment = deployment_of(project)
    if deployment is None:
        blank = blank_version_get(project=project, label_set=label_set_current(project=project))
        deployment = deployment_set(
            project=project,
            slot=Deployment.Slot.CHAMPION,
            version=blank,
            actor=SYSTEM,
            reason="There was no champion: reviewers start from empty texts.",
        )
    return deployment.version


def _predict(documents: list[Document]) -> dict[object, Prediction]:
    if not documents:
        return {}
    made = documents_predict(documents=documents)
    return {prediction.document_id: prediction for prediction in made}


def _is_by(prediction: Prediction, version: ModelVersion) -> bool:
    return prediction.version_id == version.pk


def task_make(*, project: Project, document: Document) -> Task:
    """Ask the champion about one text and give it a task, whatever the batches do."""
    _champion(project)
    unlike = novelties(project=project, documents=[document])
    task = _task(project, document, _predict([document])[document.pk], unlike)
    task.save()
    return task


def task_make_done(*, project: Project, document: Document, correction: Correction) -> Task:
    """A closed task for a text that was decided outside the queue, so that it can be handed out as gold item.

    It counts as reviewed when it was: whoever imported it yesterday reviewed nothing today.
    """
    _champion(project)
    return Task.objects.create(
        project=project,
        document=document,
        prediction=_predict([document])[document.pk],
        stratum=correction.stratum,
        priority=0,
        status=Task.Status.DONE,
        correction=correction,
        closed_at=correction.created_at,
    )


def _task(project: Project, document: Document, prediction: Prediction, unlike: Mapping[UUID, float]) -> Task:
    drawn = draw(document.text_hash)
    stratum = stratum_of(drawn, project=project)
    wanted = annotators_of(document.text_hash, project=project)
    return Task(
        project=project,
        document=document,
        prediction=prediction,
        stratum=stratum,
        annotators_wanted=wanted,
        seats=wanted,
        priority=(
            # Among random checks any fixed order will do that no model has a say in.
            drawn
            if stratum == Stratum.RANDOM
            else unlike[document.pk]
            if stratum == Stratum.DIVERSE
            else prediction.uncertainty
        ),
    )


def _is_mine_to_fill(project: Project) -> bool:
    """Take the project's filling lock for this transaction, unless another process has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('queue_fill'), %s)", [project.pk % 2**31])
        row = cursor.fetchone()
    return bool(row and row[0])
