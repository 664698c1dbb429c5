"""Comparing the newest texts of a project with those that its champion was made from.

A beat asks every few minutes; what it costs is bounded by `MOST_TEXTS` and `MOST_CHARACTERS`, and where no
text is new, or the last report is young, nothing is read at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from audit.services import SYSTEM, event_record
from corpus.errors import DomainError
from corpus.models import Project
from feedback.models import Stratum
from inference.engine import recogniser_for
from inference.models import Deployment, ModelVersion, Prediction
from inference.selectors import deployment_of, label_rules
from ner.drift import Profile, drift
from ner.errors import NerError
from ner.spans import Span
from retraining.models import DriftReference, DriftReport, TrainingRun, TrainingSet
from retraining.services.exams import exam_in_general
from retraining.splits import Split

log = structlog.get_logger(__name__)

#: Of a project's newest texts, so many are compared, and not fewer than these.
MOST_TEXTS, FEWEST_TEXTS = 2_000, 100
#: Where texts are longer than 1,000 characters on average, fewer are read.
MOST_CHARACTERS = 2_000_000
#: A project gets no more than one report in this time.
EVERY = timedelta(minutes=15)
KEPT = timedelta(days=30)
#: So many texts of a training set make a reference, and so many of them are answered for it.
REFERENCE_TEXTS, REFERENCE_ANSWERS = 5_000, 1_000


@dataclass(frozen=True, slots=True)
class _Text:
    """One text of a reference: was it drawn at random, and has the version been trained on it?"""

    text: str
    is_random: bool = True
    is_learned: bool = False


def drifts_measure() -> int:
    """Measure every project that is due; one whose model does not load keeps no other from its report."""
    made = 0
    champions = Deployment.objects.filter(slot=Deployment.Slot.CHAMPION).exclude(
        version__origin=ModelVersion.Origin.BLANK
    )
    for deployment in champions.select_related("project").order_by("project_id"):
        try:
            made += drift_measure(project=deployment.project) is not None
        except (DomainError, NerError) as error:
            log.warning("drift_not_measured", project=deployment.project.slug, code=error.code)
    return made


def drift_measure(*, project: Project, at_once: bool = False) -> DriftReport | None:
    """Compare the newest texts with the champion's reference; None where there is nothing (new) to compare.

    `at_once` does not wait for the last report to age, nor for a new text. Raises BundleRefused or
    ModelLoading where the champion cannot be asked about the texts of its reference.
    """
    champion = deployment_of(project)
    if champion is None or not (at_once or _is_due(champion)):
        return None
    reference = drift_reference(project=project, version=champion.version)
    if reference is None:
        return None
    with transaction.atomic():
        # Two beats at once: one of them measures.
        rows = DriftReference.objects.select_for_update(skip_locked=True, no_key=True)
        if not rows.filter(pk=reference.pk).exists() or not (at_once or _is_due(champion)):
            return None
        return _report_make(champion, reference)


def drift_reference(*, project: Project, version: ModelVersion) -> DriftReference | None:
    """What a version's own texts look like, made once; None where nobody knows what it was made from."""
    found = _origin(version)
    if found is None:
        return None
    source, content = found
    bars = label_rules(project).thresholds
    fingerprint = hashlib.sha256(json.dumps([content, sorted(bars.items())]).encode()).hexdigest()
    one = {"project": project, "version": version, "fingerprint": fingerprint}
    known = DriftReference.objects.filter(**one).first()
    if known is not None:
        return known
    profile = _reference_profile(project, version, _texts(version, source), bars)
    made, _ = DriftReference.objects.get_or_create(
        **one, defaults={"source": source, "profile": profile.to_json()}
    )
    return made


def drift_forget() -> int:
    """Remove old reports, and references that no report names any more; returns how many reports."""
    old = timezone.now() - KEPT
    count, _ = DriftReport.objects.filter(created_at__lt=old).delete()
    DriftReference.objects.filter(created_at__lt=old, reports=None).delete()
    return count


def _report_make(champion: Deployment, reference: DriftReference) -> DriftReport | None:
    project = champion.project
    profile, window = _current_profile(champion)
    if profile.texts < FEWEST_TEXTS:
        return None
    measures = drift(reference.counts, profile)
    before = DriftReport.objects.filter(project=project, version=champion.version).first()
    report = DriftReport.objects.create(
        project=project,
        version=champion.version,
        reference=reference,
        window_from=min(window),
        window_to=max(window),
        texts=profile.texts,
        measures=[asdict(measure) for measure in measures],
        drifted=[measure.name for measure in measures if measure.drifted],
        histograms={
            "length": profile.length,
            "labels": profile.labels,
            "confidence": profile.confidence,
        },
    )
    if set(report.drifted) - set(before.drifted if before else ()):
        event_record(
            action="drift.found",
            actor=SYSTEM,
            subject=report,
            chain=project.slug,
            data={
                "version": str(champion.version),
                "texts": report.texts,
                "drifted": {
                    measure.name: [measure.value, measure.threshold]
                    for measure in measures
                    if measure.drifted
                },
            },
        )
    return report


def _is_due(champion: Deployment) -> bool:
    """Is the last report of this champion old enough, and has any text come since?"""
    last = DriftReport.objects.filter(project=champion.project_id, version=champion.version_id).first()
    if last is None:
        return True
    if last.created_at > timezone.now() - EVERY:
        return False
    return _answered(champion).filter(created_at__gt=last.window_to).exists()


def _answered(champion: Deployment) -> QuerySet[Prediction]:
    """What the champion said, since it is champion, of callers' texts and of documents that came since."""
    since = champion.changed_at
    told = Q(document=None, api_key__isnull=False)
    came = Q(document__created_at__gte=since, document__redacted_at=None)
    return Prediction.objects.filter(
        told | came, project=champion.project_id, version=champion.version_id, created_at__gte=since
    )


def _current_profile(champion: Deployment) -> tuple[Profile, list[datetime]]:
    """The newest texts, each once however often it was sent, and when they were answered."""
    profile, characters = Profile(), 0
    seen: set[str] = set()
    times: list[datetime] = []
    key, bars = _key(champion.project), label_rules(champion.project).thresholds
    newest = _answered(champion).select_related("document").order_by("-created_at", "-id")
    for prediction in newest[:MOST_TEXTS].iterator(chunk_size=200):
        text = prediction.source_text
        characters += len(text)
        if characters > MOST_CHARACTERS:
            break
        times.append(prediction.created_at)
        if text in seen:
            continue
        seen.add(text)
        profile.add(
            text,
            spans=_told([Span.from_json(body) for body in prediction.spans], bars),
            confidence=1 - prediction.uncertainty,
            key=key,
        )
    return profile, times


def _origin(version: ModelVersion) -> tuple[DriftReference.Source, str] | None:
    """Where the texts of a version's reference lie, and their fingerprint."""
    training_set = _training_set(version)
    if training_set is not None:
        return DriftReference.Source.TRAINING_SET, training_set.fingerprint
    if version.origin == ModelVersion.Origin.BUNDLED:
        return DriftReference.Source.GENERAL, exam_in_general().fingerprint
    return None


def _training_set(version: ModelVersion) -> TrainingSet | None:
    run = TrainingRun.objects.filter(candidate=version).select_related("training_set").first()
    return run.training_set if run is not None else None


def _texts(version: ModelVersion, source: DriftReference.Source) -> list[_Text]:
    training_set = _training_set(version)
    if training_set is None:
        return [_Text(example.text) for example in exam_in_general().examples]
    items = training_set.items.filter(correction__document__redacted_at=None)
    # The keyed hash is an order that nothing else depends on: a draw.
    rows = items.order_by("correction__document__text_hash").values_list(
        "correction__document__text", "correction__stratum", "split"
    )
    return [
        _Text(text, is_random=stratum == Stratum.RANDOM, is_learned=split == Split.TRAIN)
        for text, stratum, split in rows[:REFERENCE_TEXTS]
    ]


def _reference_profile(
    project: Project, version: ModelVersion, texts: list[_Text], bars: Mapping[str, float]
) -> Profile:
    """All texts make the vocabulary; lengths, labels and confidence need texts like those of every day.

    Most corrected texts were chosen for being hard or unlike, so those drawn at random stand for the others
    where there are enough. What the version says of texts that it learned is surer than of any other.
    """
    key = _key(project)
    known, usual, answered = Profile(), Profile(), Profile()
    for one in texts:
        known.add(one.text, key=key)
    for one in _random_ones(texts):
        usual.add(one.text, key=key)
    asked = _random_ones([one for one in texts if not one.is_learned])[:REFERENCE_ANSWERS]
    found = recogniser_for(version).predict_many([one.text for one in asked])
    for one, answer in zip(asked, found, strict=True):
        answered.add(one.text, spans=_told(answer.spans, bars), confidence=1 - answer.uncertainty, key=key)
    return Profile(
        texts=known.texts,
        length=usual.length,
        confidence=answered.confidence,
        labels=answered.labels,
        words=known.words,
    )


def _random_ones(texts: list[_Text]) -> list[_Text]:
    drawn = [one for one in texts if one.is_random]
    return drawn if len(drawn) >= FEWEST_TEXTS else texts


def _told(spans: Iterable[Span], bars: Mapping[str, float]) -> list[Span]:
    """The spans that callers are told under the labels' bars of confidence."""
    return [one for one in spans if one.confidence is None or one.confidence >= bars.get(one.label, 0.0)]


def _key(project: Project) -> bytes:
    return bytes.fromhex(project.hash_key)
