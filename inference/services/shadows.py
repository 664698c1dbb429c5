"""What the champion told callers is recognised again by the version in the shadow slot, off their path.

Each test remembers how far it has read. What is read, what is stored of it and the sums are one transaction:
a kill or a second worker compares nothing twice and leaves nothing out. What it costs is bounded by a share
of the answers, drawn by their ids, and by how far a shadow may be behind.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from corpus.models import Project
from inference.engine import Serving, engine
from inference.errors import ModelUnsound, Unavailable
from inference.models import Deployment, Prediction, ShadowComparison, ShadowTest
from inference.selectors import label_rules
from inference.services.predictions import confident
from inference.shares import shadow_share
from ner.agreement import span_f1
from ner.runtime import Recognition
from ner.spans import Span

log = structlog.get_logger(__name__)

Slot = Deployment.Slot

#: So many texts are recognised at once, and so many answers looked at for them.
STEP, LOOKED_AT = 64, 2_000
#: Younger answers are left for later: one that is written meanwhile may be older than those read.
SETTLING = timedelta(seconds=30)
#: With more answers unread than this, the oldest are passed over: a slow shadow would never catch up.
MOST_BEHIND = 20_000
#: A worker that also predicts files gives way to them after this long; beat asks again soon.
TURN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Compared:
    """One prediction, what the shadow says of it, and how far that agrees."""

    prediction: Prediction
    spans: tuple[Span, ...]
    agreement: float
    latency_ms: float


def shadows_read() -> int:
    """Let every project's shadow read what is new, for some seconds; returns how many it compared."""
    until, compared = time.monotonic() + TURN_SECONDS, 0
    tested = Q(deployments__slot=Slot.SHADOW) | Q(shadow_tests__ended_at=None, shadow_tests__isnull=False)
    waiting = list(Project.objects.filter(tested).distinct().order_by("pk"))
    while waiting and time.monotonic() < until:
        for project in list(waiting):
            looked_at, found = shadow_read(project=project)
            compared += found
            if not looked_at:
                waiting.remove(project)
    return compared


@transaction.atomic
def shadow_read(*, project: Project, now: datetime | None = None) -> tuple[int, int]:
    """One step: returns how many of the champion's answers were looked at, and how many of them compared."""
    deployment, test = _test_open(project)
    if deployment is None or test is None:
        return 0, 0
    horizon = (now or timezone.now()) - SETTLING
    _pass_over(test, horizon)
    try:
        serving = engine.serving_version(test.shadow, slot=Slot.SHADOW)
    except Unavailable as unavailable:
        # The bundle may be repaired: what it has not read waits for it, as far as it may be behind.
        test.problem = unavailable.code
        test.save()
        return 0, 0
    test.problem = ""
    seen = list(_unread(test, horizon).values_list("created_at", "pk")[:LOOKED_AT])
    drawn = [pk for _, pk in seen if is_drawn(pk, shadow_share(deployment.share))]
    if len(drawn) > STEP:
        seen = seen[: [pk for _, pk in seen].index(drawn[STEP])]
        drawn = drawn[:STEP]
        is_all = False
    else:
        is_all = len(seen) < LOOKED_AT
    compared = _compare(serving, project, list(Prediction.objects.filter(pk__in=drawn)))
    _keep(test, compared, failed=len(drawn) - len(compared))
    if is_all:
        test.read_until, test.read_prediction = max(horizon, test.read_until), None
    else:
        test.read_until, test.read_prediction = seen[-1]
    test.save()
    return (0 if is_all else len(seen)), len(compared)


def comparisons_forget() -> int:
    """Remove comparisons that are too old to look at; a test's numbers stay. Returns how many."""
    old = Now() - timedelta(days=settings.SHADOW_KEEP_DAYS)
    count, _ = ShadowComparison.objects.filter(created_at__lt=old).delete()
    return count


def is_drawn(prediction_id: UUID, share: float) -> bool:
    """Is this answer among the given percent that a shadow reads? Whoever asks, the same ones are."""
    drawn = int.from_bytes(blake2b(prediction_id.bytes, digest_size=8, person=b"shadow").digest())
    return drawn < share / 100 * 2**64


def _test_open(project: Project) -> tuple[Deployment | None, ShadowTest | None]:
    """The shadow slot and the test of the pair there is now; none where there is none, or another reads."""
    slots = {
        one.slot: one
        for one in Deployment.objects.filter(project=project, slot__in=[Slot.CHAMPION, Slot.SHADOW])
    }
    shadow, champion = slots.get(Slot.SHADOW), slots.get(Slot.CHAMPION)
    open_tests = ShadowTest.objects.filter(project=project, ended_at=None)
    test = open_tests.select_for_update(of=("self",), skip_locked=True, no_key=True).first()
    pair = (champion.version_id, shadow.version_id) if champion and shadow else None
    if test is not None and (test.champion_id, test.shadow_id) != pair:
        test.ended_at = timezone.now()
        test.save(update_fields=["ended_at"])
        test = None
    if champion is None or shadow is None or champion.version_id == shadow.version_id:
        return None, None
    if test is None:
        began = max(champion.changed_at, shadow.changed_at)
        try:
            with transaction.atomic():
                test = ShadowTest.objects.create(
                    project=project,
                    champion_id=champion.version_id,
                    shadow_id=shadow.version_id,
                    started_at=began,
                    read_until=began,
                )
        except IntegrityError:  # another worker reads for this project
            return None, None
        log.info("shadow test begins", project=project.slug, test=str(test))
    return shadow, test


def _unread(test: ShadowTest, horizon: datetime) -> QuerySet[Prediction]:
    told = Prediction.objects.filter(
        project=test.project_id,
        version=test.champion_id,
        slot=Slot.CHAMPION,
        document=None,
        api_key__isnull=False,
    )
    later = Q(created_at__gte=test.read_until)
    if test.read_prediction is not None:
        later &= Q(created_at__gt=test.read_until) | Q(pk__gt=test.read_prediction)
    return told.filter(later, created_at__lt=horizon).order_by("created_at", "id")


def _pass_over(test: ShadowTest, horizon: datetime) -> None:
    """Leave out the oldest of too many unread answers, and count them."""
    unread = _unread(test, horizon)
    first_kept = unread.order_by("-created_at", "-id")[MOST_BEHIND - 1 : MOST_BEHIND + 1]
    newest_first = list(first_kept.values_list("created_at", "pk"))
    if len(newest_first) < 2:
        return
    at, pk = newest_first[1]
    test.dropped += unread.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lte=pk)).count()
    test.read_until, test.read_prediction = at, pk
    log.warning("shadow is behind", test=str(test), dropped=test.dropped)


def _compare(serving: Serving, project: Project, predictions: Sequence[Prediction]) -> list[_Compared]:
    """What the shadow says of each, under the same bars of confidence; what it cannot answer is left out."""
    rules = label_rules(project)
    compared = []
    for prediction, recognition, latency_ms in _recognised(serving, predictions):
        spans = confident(recognition, rules.thresholds, prediction.min_confidence or 0.0).spans
        agreement = span_f1(spans, [Span.from_json(body) for body in prediction.spans])
        # Where neither found anything, both said the same.
        compared.append(
            _Compared(prediction, tuple(spans), 1.0 if agreement is None else agreement, latency_ms)
        )
    return compared


def _recognised(
    serving: Serving, predictions: Sequence[Prediction]
) -> list[tuple[Prediction, Recognition, float]]:
    if not predictions:
        return []
    started = time.perf_counter()
    try:
        found = serving.recognise([prediction.text for prediction in predictions])
    except ModelUnsound:
        if len(predictions) == 1:
            return []
        # One text of them got an answer that cannot be right: each by itself.
        return [row for prediction in predictions for row in _recognised(serving, [prediction])]
    latency_ms = (time.perf_counter() - started) * 1000 / len(predictions)
    return [(prediction, one, latency_ms) for prediction, one in zip(predictions, found, strict=True)]


def _keep(test: ShadowTest, compared: Sequence[_Compared], *, failed: int) -> None:
    ShadowComparison.objects.bulk_create(
        ShadowComparison(
            test=test,
            prediction=one.prediction,
            spans=[span.to_json(one.prediction.text) for span in one.spans],
            agreement=one.agreement,
            latency_ms=one.latency_ms,
        )
        for one in compared
    )
    test.compared += len(compared)
    test.identical += sum(one.agreement == 1.0 for one in compared)
    test.agreement_sum += sum(one.agreement for one in compared)
    test.latency_ms_sum += sum(one.latency_ms for one in compared)
    test.failed += failed
