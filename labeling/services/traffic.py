"""Callers' texts on their way into the queue: a random share, the unsure, the disputed, the badly rated ones.

Downstream pulls: the serving path knows nothing of this. Each project remembers how far it has read; what is
read and what is stored are one transaction, so a kill or a second delivery takes nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audit.services import SYSTEM, event_record
from corpus.models import Document, Project
from corpus.services import document_store, text_hash
from feedback.models import Rating, Stratum
from inference.models import Prediction, ShadowComparison
from labeling.choice import annotators_of, draw
from labeling.models import Intake, Task
from labeling.services.assignments import rules_apply
from labeling.services.sampling import repeats_leave_out

log = structlog.get_logger(__name__)

#: So many predictions, and ratings, a project and step.
STEP = 500
#: Younger rows are left for the next step: one that is written meanwhile may be older than those read.
SETTLING = timedelta(seconds=30)
BAD = 2
#: The draws of a hash: labeling.choice uses the first two, these are independent of them.
_SHARE, _ORDER = 2, 3


@dataclass(slots=True)
class Taken:
    """What one step brought into the queue."""

    read: int = 0
    drawn: int = 0
    low: int = 0
    rated: int = 0
    differing: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.drawn + self.low + self.rated + self.differing


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A caller's text that should be reviewed, and why."""

    prediction: Prediction
    hash: str
    cause: Task.Cause
    priority: float
    stratum: Stratum = field(default=Stratum.API)


def traffic_take_all() -> None:
    """One step for every project that has callers."""
    for project in Project.objects.filter(api_keys__isnull=False).distinct().order_by("pk"):
        while (taken := traffic_take(project=project)).read == STEP:
            pass
        if taken.total:
            log.info("callers' texts queued", project=project.slug, count=taken.total)


@transaction.atomic
def traffic_take(*, project: Project, now: datetime | None = None) -> Taken:
    """Read the next predictions and ratings of callers, and give tasks to those that should be reviewed.

    The random share is drawn by the text's keyed hash before anybody looks at the answer, and no daily limit
    cuts it, for a limit would make it a sample of mornings: it estimates how good live answers are. Unsure,
    badly rated ones and those on which a shadow differs share the limit; a text enters once.
    """
    now = now or timezone.now()
    horizon = now - SETTLING
    Intake.objects.get_or_create(project=project, defaults={"read_until": project.created_at})
    intake = Intake.objects.select_for_update(skip_locked=True).filter(project=project).first()
    if intake is None:
        return Taken()  # another process reads for this project
    if intake.day != now.date():
        intake.day, intake.taken = now.date(), 0
    taken = Taken()
    room = max(project.traffic_daily_limit - intake.taken, 0)
    rated, intake.read_rating = _rated(project, intake, horizon, room)
    taken.rated = _queue(project, rated)
    predictions = _unread(project, intake, horizon)
    wanted = [one for one in (_judged(project, prediction) for prediction in predictions) if one]
    drawn = [one for one in wanted if one.cause == Task.Cause.DRAWN]
    low = [one for one in wanted if one.cause == Task.Cause.LOW]
    taken.drawn = _queue(project, drawn)
    room = max(room - taken.rated, 0)
    # Half of it, so that a shadow that says something else of everything leaves room for the unsure ones.
    differing, intake.read_shadow = _differing(project, intake, horizon)
    taken.differing = _queue(project, differing[: room // 2])
    taken.low = _queue(project, low[: room - taken.differing])
    taken.read = len(predictions)
    if taken.read == STEP:
        intake.read_until, intake.read_prediction = predictions[-1].created_at, predictions[-1].pk
    else:
        intake.read_until, intake.read_prediction = max(horizon, intake.read_until), None
    intake.taken += taken.rated + taken.low + taken.differing
    intake.save()
    if taken.total:
        event_record(
            action="traffic.take",
            actor=SYSTEM,
            subject=project,
            chain=project.slug,
            data={
                "drawn": taken.drawn,
                "low": taken.low,
                "rated": taken.rated,
                "differing": taken.differing,
            },
        )
    return taken


def _unread(project: Project, intake: Intake, horizon: datetime) -> list[Prediction]:
    sent = Prediction.objects.filter(project=project, document=None, api_key__isnull=False)
    later = Q(created_at__gte=intake.read_until)
    if intake.read_prediction is not None:
        later &= Q(created_at__gt=intake.read_until) | Q(pk__gt=intake.read_prediction)
    return list(sent.filter(later, created_at__lt=horizon).order_by("created_at", "id")[:STEP])


def _rated(project: Project, intake: Intake, horizon: datetime, room: int) -> tuple[list[_Wanted], int]:
    """Badly rated answers, as many as there is room for; the others wait for tomorrow unread."""
    bad = Rating.objects.filter(
        pk__gt=intake.read_rating,
        score__lte=BAD,
        created_at__lt=horizon,
        prediction__project=project,
        prediction__document=None,
    )
    ratings = list(bad.select_related("prediction").order_by("pk")[: min(room, STEP)])
    wanted = [
        _Wanted(
            rating.prediction,
            text_hash(project=project, text=rating.prediction.text),
            Task.Cause.RATED,
            # Before every unsure one, the worst first.
            priority=1 + (BAD + 1 - rating.score) / 10,
        )
        for rating in ratings
    ]
    return wanted, ratings[-1].pk if ratings else intake.read_rating


def _differing(project: Project, intake: Intake, horizon: datetime) -> tuple[list[_Wanted], datetime | None]:
    """Answers of the champion that a shadow would have given otherwise, the most different first.

    What is drawn at random is left to the draw: taken from here it would be no random text any more.
    """
    new = ShadowComparison.objects.filter(
        test__project=project, agreement__lt=1, created_at__lt=horizon, prediction__document=None
    )
    if intake.read_shadow is not None:
        new = new.filter(created_at__gt=intake.read_shadow)
    compared = list(new.select_related("prediction").order_by("created_at", "id")[:STEP])
    wanted = [
        _Wanted(one.prediction, hashed, Task.Cause.DIFFERS, priority=1 - one.agreement)
        for one in sorted(compared, key=lambda comparison: comparison.agreement)
        if draw(hashed := text_hash(project=project, text=one.prediction.text), nth=_SHARE)
        >= project.traffic_share
    ]
    return wanted, compared[-1].created_at if compared else intake.read_shadow


def _judged(project: Project, prediction: Prediction) -> _Wanted | None:
    """Should this answer be reviewed? The draw comes first, whatever the answer is."""
    hashed = text_hash(project=project, text=prediction.text)
    if draw(hashed, nth=_SHARE) < project.traffic_share:
        order = draw(hashed, nth=_ORDER)
        return _Wanted(prediction, hashed, Task.Cause.DRAWN, priority=order, stratum=Stratum.RANDOM)
    confidences = [span["confidence"] for span in prediction.spans if span.get("confidence") is not None]
    least = min(confidences, default=1.0)
    if least < project.traffic_bar:
        return _Wanted(prediction, hashed, Task.Cause.LOW, priority=1 - least)
    return None


def _queue(project: Project, wanted: Sequence[_Wanted]) -> int:
    """Documents and tasks for those that the project does not know yet; returns how many."""
    first = {one.hash: one for one in reversed(wanted)}
    known = Document.objects.filter(project=project, text_hash__in=list(first))
    for document in known:
        again = first.pop(document.text_hash)
        if again.cause == Task.Cause.RATED:
            # Already waiting for another reason: the rating is the better one.
            Task.objects.filter(document=document, status=Task.Status.OPEN, stratum=Stratum.API).update(
                cause=again.cause, priority=again.priority
            )
    stored = _stored(project, first.values())
    strata = {document.pk: one.stratum for document, one in stored}
    repeats = repeats_leave_out(project=project, documents=[one for one, _ in stored], strata=strata)
    tasks = [
        Task(
            project=project,
            document=document,
            # What the caller was answered, so that the review judges just that.
            prediction=one.prediction,
            stratum=one.stratum,
            priority=one.priority,
            cause=one.cause,
            annotators_wanted=(people := annotators_of(document.text_hash, project=project)),
            seats=people,
        )
        for document, one in stored
        if document.pk not in repeats
    ]
    made = Task.objects.bulk_create(tasks)
    rules_apply(project=project, tasks=made)
    return len(made)


def _stored(project: Project, wanted: Iterable[_Wanted]) -> list[tuple[Document, _Wanted]]:
    return [
        (
            document_store(
                project=project,
                text=one.prediction.text,
                source=Stratum.API,
                language=one.prediction.language or "en",
            )[0],
            one,
        )
        for one in wanted
    ]
