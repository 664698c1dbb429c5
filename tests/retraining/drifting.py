"""A champion that was made from orchard sentences, and what it answers callers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

from django.contrib.auth.models import User

from audit.services import SYSTEM
from corpus.models import Document, Project
from corpus.selectors import label_set_current
from corpus.services import text_hash
from feedback.models import Correction, Stratum
from inference.engine import engine
from inference.models import ApiKey, ModelVersion, Prediction
from inference.services import deployment_set
from ner.formats import read_examples
from ner.spans import Example
from nerapp.env import PROJECT
from retraining.models import DriftReport


@cache
def corpus(name: str) -> tuple[Example, ...]:
    found = list(read_examples(PROJECT / "corpora" / f"{name}.jsonl", format="jsonl"))
    random.Random(7).shuffle(found)
    return tuple(found)


def texts(name: str, first: int, last: int) -> list[str]:
    return [example.text for example in corpus(name)[first:last]]


def serve(project: Project, version: ModelVersion) -> ModelVersion:
    deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="a start")
    return version


def told(key: ApiKey, version: ModelVersion, texts: Sequence[str]) -> None:
    """The version answered a caller about each of these."""
    found = engine.recogniser_for(version).predict_many(texts)
    Prediction.objects.bulk_create(
        Prediction(
            project=key.project,
            version=version,
            text=text,
            spans=[span.to_json(text) for span in answer.spans],
            uncertainty=answer.uncertainty,
            latency_ms=1.0,
            slot="champion",
            api_key=key,
        )
        for text, answer in zip(texts, found, strict=True)
    )


def made(report: DriftReport | None) -> DriftReport:
    assert report is not None
    return report


def corrected(project: Project, author: User, count: int) -> None:
    """So many corrected orchard sentences; every third was drawn at random."""
    labels = label_set_current(project=project)
    learned = corpus("orchard")[:count]
    documents = Document.objects.bulk_create(
        Document(project=project, text=one.text, text_hash=text_hash(project=project, text=one.text))
        for one in learned
    )
    Correction.objects.bulk_create(
        Correction(
            project=project,
            document=document,
            number=1,
            label_set=labels,
            author=author,
            stratum=Stratum.RANDOM if number % 3 == 0 else Stratum.UNCERTAIN,
            spans=[span.to_json(one.text) for span in one.spans],
            idempotency_key=f"k{number}",
        )
        for number, (document, one) in enumerate(zip(documents, learned, strict=True))
    )
