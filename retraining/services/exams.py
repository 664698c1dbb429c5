"""Letting versions sit the same exam, with the runtime that serves."""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import structlog
from django.conf import settings

from corpus.models import LabelSet, Project
from corpus.selectors import label_set_current
from feedback.models import GoldItem
from inference.engine import bundle_path, is_sound, recogniser_for
from inference.errors import ModelLoading
from inference.models import Deployment, Evaluation, ModelVersion
from inference.selectors import CHOSEN_AMONG
from inference.services import evaluation_record
from ner.bundle import open_bundle
from ner.errors import BundleNotFinite, BundleRefused
from ner.evaluate import EvalReport, evaluate
from ner.formats import read_examples
from ner.gate import GateDecision, GatePolicy, judge, refuse_bundle
from ner.spans import Example, Span
from retraining.models import RetrainPolicy, TrainingSet
from retraining.services.sets import correction_example, label_names, training_set_examples
from retraining.splits import Split

log = structlog.get_logger(__name__)

#: So many texts are timed one by one, after as many were answered: enough for a 95th percentile.
_TIMED_TEXTS = 200


@dataclass(frozen=True, slots=True)
class Exam:
    """Labelled texts that versions are compared on, and the labels that their authors looked for.

    A predicted label that nobody looked for is neither right nor wrong.
    """

    kind: Evaluation.Kind
    fingerprint: str
    examples: tuple[Example, ...]
    labels: frozenset[str]
    project: Project | None = None


def exam_of_project(*, training_set: TrainingSet, most: int | None = None) -> Exam:
    """The frozen test split: documents drawn at random, that no model of this project was trained on.

    With `most` only its first texts, to look at.
    """
    return Exam(
        kind=Evaluation.Kind.TEST,
        fingerprint=training_set.test_fingerprint,
        examples=tuple(training_set_examples(training_set=training_set, split=Split.TEST, most=most)),
        labels=frozenset(label_names(training_set.label_set)),
        project=training_set.project,
    )


def exam_in_general() -> Exam:
    """The bundled general sentences: what the base models knew must not be forgotten."""
    path = settings.CORPORA_DIR / "general.jsonl"
    examples = tuple(read_examples(path, format="jsonl"))
    return Exam(
        kind=Evaluation.Kind.GENERAL,
        fingerprint=hashlib.sha256(path.read_bytes()).hexdigest(),
        examples=examples,
        labels=frozenset(span.label for example in examples for span in example.spans),
    )


def exam_of_gold(*, project: Project, label_set: LabelSet | None = None) -> Exam:
    """The texts that somebody vouched for: what the champion gets right in them must not break.

    No measure of how good a model is: it may have learned from them.
    """
    labels = frozenset(label_names(label_set or label_set_current(project=project)))
    items = GoldItem.objects.filter(project=project, document__redacted_at=None)
    gold = [item.correction for item in items.select_related("correction__document").order_by("document_id")]
    named = [sorted(labels), *(str(correction.pk) for correction in gold)]
    return Exam(
        kind=Evaluation.Kind.GOLDEN,
        fingerprint=hashlib.sha256(json.dumps(named).encode()).hexdigest(),
        examples=tuple(correction_example(correction, labels) for correction in gold),
        labels=labels,
        project=project,
    )


def exam_sit(*, exam: Exam, version: ModelVersion) -> EvalReport:
    """Score a version on an exam and keep the certificate; raises BundleNotFinite for an unsound answer."""
    texts = [example.text for example in exam.examples]
    recognitions = recogniser_for(version).predict_many(texts)
    unsound = sum(not is_sound(text, found) for text, found in zip(texts, recognitions, strict=True))
    if unsound:
        problem = f"{unsound} of its answers to {len(texts)} texts hold numbers or places that cannot be"
        raise BundleNotFinite(path=version, problem=problem)
    report = evaluate(
        exam.examples,
        [_asked_for(found.spans, exam) for found in recognitions],
        uncertainties=[found.uncertainty for found in recognitions],
    )
    if exam.examples:
        evaluation_record(
            version=version,
            kind=exam.kind,
            set_fingerprint=exam.fingerprint,
            report=report,
            project=exam.project,
        )
    return report


def slots_examine() -> int:
    """Let the versions that share a project's callers sit the same exams; returns how many were sat.

    A cascade of two versions is measured by what both answered on one set. Who sat an exam before, and
    said then how unsure it was of each text, is not asked again.
    """
    sat = 0
    slots = Deployment.objects.filter(slot__in=CHOSEN_AMONG).select_related("project", "version")
    general = exam_in_general().fingerprint
    by_project: dict[Project, set[ModelVersion]] = defaultdict(set)
    for deployment in slots:
        by_project[deployment.project].add(deployment.version)
    for project, versions in by_project.items():
        if len(versions) < 2:
            continue
        sat += _all_sit(exam_in_general, general, versions)
        newest = TrainingSet.objects.filter(project=project, counts__test__gt=0).first()
        if newest is not None:
            sat += _all_sit(partial(exam_of_project, training_set=newest), newest.test_fingerprint, versions)
    return sat


def _all_sit(exam: Callable[[], Exam], fingerprint: str, versions: set[ModelVersion]) -> int:
    """Let those sit an exam who have not; its texts are read only where there is one."""
    sat = Evaluation.objects.filter(set_fingerprint=fingerprint, report__has_key="uncertainties")
    missing = versions - {one.version for one in sat.select_related("version").defer("report")}
    texts = exam() if missing else None
    for version in missing:
        try:
            exam_sit(exam=cast(Exam, texts), version=version)
        except (BundleRefused, ModelLoading) as error:
            log.warning("exam_not_sat", version=str(version), reason=error.code)
    return len(missing)


def latency_p95_ms(*, exam: Exam, version: ModelVersion) -> float | None:
    """How long the slowest twentieth of the texts takes, one at a time; None without texts."""
    texts = [example.text for example in exam.examples[:_TIMED_TEXTS]]
    if not texts:
        return None
    recogniser = recogniser_for(version)
    taken = []
    for text in texts:
        started = time.perf_counter()
        recogniser.predict(text)
        taken.append((time.perf_counter() - started) * 1000)
    return float(np.quantile(taken, 0.95))


def candidate_judge(
    *, candidate: ModelVersion, champion: ModelVersion, training_set: TrainingSet, policy: RetrainPolicy
) -> GateDecision:
    """Let both sit the same exams, and ask the gate, which also refuses what cannot be served."""
    exams = [
        exam_of_project(training_set=training_set),
        exam_in_general(),
        exam_of_gold(project=training_set.project, label_set=training_set.label_set),
    ]
    before = [exam_sit(exam=exam, version=champion) for exam in exams]
    try:
        parameters = _parameters(candidate)
        after = [exam_sit(exam=exam, version=candidate) for exam in exams]
        p95_ms = latency_p95_ms(exam=exams[0], version=candidate)
    except BundleRefused as error:
        return refuse_bundle(error)
    return judge(
        champion=before[0],
        candidate=after[0],
        base_champion=before[1],
        base_candidate=after[1],
        golden_champion=before[2],
        golden_candidate=after[2],
        parameters=parameters,
        size_bytes=candidate.size_bytes,
        p95_ms=p95_ms,
        policy=GatePolicy(
            margin=policy.margin,
            must_be_better=policy.must_be_better,
            max_label_drop=policy.max_label_drop,
            max_base_drop=policy.max_base_drop,
            max_golden_lost=policy.max_golden_lost,
            max_ece=policy.max_ece,
            min_test_documents=policy.min_test_documents,
        ),
    )


def _parameters(version: ModelVersion) -> int | None:
    """How many numbers the bundle holds that lies on the disk now: what this process loaded may be older."""
    path = bundle_path(version)
    return open_bundle(path, expected_sha256=version.sha256).parameters if path is not None else None


def _asked_for(spans: Sequence[Span], exam: Exam) -> list[Span]:
    return [span for span in spans if span.label in exam.labels]
