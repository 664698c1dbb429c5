"""Experiments with a past: answers and reviews as callers and reviewers would have left them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Document, Project
from corpus.selectors import label_set_current
from feedback.models import Correction, Rating, SpanDecision, Stratum
from inference.models import ApiKey, ModelVersion, Prediction
from inference.selectors import deployment_of
from inference.services import deployment_set, version_register
from inference.shares import BUCKETS
from retraining.models import Experiment
from retraining.services import experiment_create, experiment_start
from tests.bundles import tiny_bundle

SPANS = 3


class Lab:
    """A project with a champion, challengers on the shelf, a caller and a reviewer who never tires."""

    def __init__(self, project: Project, folder: Path, key: ApiKey, author: Any) -> None:
        self.project, self.folder, self.key, self.author = project, folder, key, author
        self.champion = self.version("tiny")
        told = {"project": project, "actor": SYSTEM, "reason": "first"}
        deployment_set(slot="champion", version=self.champion, **told)
        self._count = 0
        self._random = random.Random(11)

    def version(self, name: str) -> ModelVersion:
        """A trained version on the shelf."""
        path = tiny_bundle(self.folder / name, f1=0.9)
        return version_register(path=path, name=name, project=self.project, actor=SYSTEM)

    def draft(self, *shares: float, **settings: Any) -> Experiment:
        """An experiment of new versions with these shares."""
        arms = [(self.version(f"new-{self._next()}"), share) for share in shares or (50.0,)]
        settings = {"question": "Is the new one better?", "by": "text"} | settings
        return experiment_create(project=self.project, arms=arms, actor=SYSTEM, **settings)

    def running(self, *shares: float, days_ago: float = 1, **settings: Any) -> Experiment:
        """One that was started some time ago."""
        experiment = experiment_start(
            experiment=self.draft(*shares, **settings), actor=SYSTEM, reason="to find out"
        )
        experiment.started_at = timezone.now() - timedelta(days=days_ago)
        experiment.save()
        return experiment

    def answers(
        self,
        experiment: Experiment | None,
        slot: str,
        count: int,
        *,
        bucket: Any = "own",
        at: datetime | None = None,
        milliseconds: Callable[[int], float] = float,
        uncertainty: float = 0.1,
        key: ApiKey | None = None,
    ) -> list[Prediction]:
        """Answers to callers, each to another subject unless a bucket is given."""
        version = self.champion if slot == "champion" else deployment_of(self.project, slot).version  # type: ignore[union-attr]
        made = []
        for number in range(count):
            group = (self._next() * 2654435761) % BUCKETS if bucket == "own" else bucket
            made.append(
                Prediction(
                    project=self.project,
                    version=version,
                    text=f"Ada wrote letter {self._next()} in London.",
                    spans=[],
                    uncertainty=uncertainty,
                    slot=slot,
                    bucket=group,
                    latency_ms=milliseconds(number),
                    api_key=key or self.key,
                )
            )
        made = Prediction.objects.bulk_create(made)
        moment = at or timezone.now() - timedelta(hours=2)
        Prediction.objects.filter(pk__in=[one.pk for one in made]).update(created_at=moment)
        return made

    def review(
        self,
        predictions: list[Prediction],
        *,
        edited: float,
        stratum: str = Stratum.RANDOM,
        at: datetime | None = None,
    ) -> None:
        """Reviews of answers in which this share of the spans was edited."""
        label_set = label_set_current(project=self.project)
        documents = Document.objects.bulk_create(
            Document(project=self.project, text=one.text, text_hash=uuid.uuid4().hex, source="api")
            for one in predictions
        )
        # A correction is stamped when it is stored, and never changed.
        with patch.object(timezone, "now", return_value=at or timezone.now()):
            corrections = Correction.objects.bulk_create(
                Correction(
                    project=self.project,
                    document=document,
                    number=1,
                    prediction=prediction,
                    label_set=label_set,
                    author=self.author,
                    stratum=stratum,
                    idempotency_key=uuid.uuid4().hex,
                    request_digest="0" * 64,
                )
                for document, prediction in zip(documents, predictions, strict=True)
            )
        SpanDecision.objects.bulk_create(
            SpanDecision(correction=correction, decision=self._decision(edited))
            for correction in corrections
            for _ in range(SPANS)
        )

    def rate(self, predictions: list[Prediction], score: int) -> None:
        """Callers' ratings of answers."""
        Rating.objects.bulk_create(
            Rating(
                prediction=one,
                score=score + self._random.choice((-1, 0, 0, 1)),
                api_key=self.key,
                idempotency_key=uuid.uuid4().hex,
                request_digest="0" * 64,
            )
            for one in predictions
        )

    def _decision(self, edited: float) -> str:
        if self._random.random() >= edited:
            return SpanDecision.Decision.ACCEPT
        return self._random.choice([SpanDecision.Decision.REJECT, SpanDecision.Decision.ADD])

    def _next(self) -> int:
        self._count += 1
        return self._count
