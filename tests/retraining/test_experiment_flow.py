"""From a caller's text through a reviewer, who knows nothing of it, into the numbers of an experiment."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from feedback.models import Stratum
from inference.authentication import key_ring
from inference.engine import engine
from inference.models import Prediction
from inference.services import api_key_create
from labeling.models import Task
from labeling.services import task_claim, task_submit
from labeling.services.traffic import traffic_take
from labeling.workbench import task_payload
from retraining.experiment_measures import measure
from retraining.selectors import arms_of
from tests.retraining.experiments import Lab

pytestmark = pytest.mark.django_db


def test_the_queue_draws_from_both_arms_blindly_and_the_reviews_are_counted(
    lab: Lab, client: Client, ana: User
) -> None:
    experiment = lab.running()
    Project.objects.filter(pk=lab.project.pk).update(traffic_share=1.0)
    lab.project.refresh_from_db()
    key_ring.forget()
    engine.forget()
    _, secret = api_key_create(project=lab.project, name="caller", scopes=["predict"], actor=SYSTEM)
    for number in range(24):
        asked = {"text": f"Ada Lovelace wrote letter {number} in London."}
        headers: dict[str, Any] = {"Authorization": f"Bearer {secret}"}
        answer = client.generic(
            "POST", "/api/v1/predict", json.dumps(asked), "application/json", headers=headers
        )
        assert answer.status_code == 200
    Prediction.objects.update(created_at=F("created_at") - timedelta(minutes=5))

    traffic_take(project=lab.project, now=timezone.now())

    tasks = list(Task.objects.select_related("prediction"))
    answered = Counter(task.prediction.slot for task in tasks)
    assert sum(answered.values()) == 24
    assert set(answered) == {"champion", "challenger"}
    assert {task.stratum for task in tasks} == {Stratum.RANDOM}
    while task := task_claim(project=lab.project, user=ana):
        shown = task_payload(task=task, user=ana)
        assert shown["prediction"]["version"] == "the model"
        task_submit(
            task=task,
            user=ana,
            spans=task.prediction.spans[:1],
            base_number=0,
            milliseconds=900,
            idempotency_key=f"ana-{task.pk}",
        )
    measured = measure(experiment, arms_of(experiment=experiment), until=timezone.now())
    assert {slot: arm.reviews for slot, arm in measured.arms.items()} == answered
    assert {slot: arm.answers for slot, arm in measured.arms.items()} == answered
    for arm in measured.arms.values():
        assert arm.edit_rate is not None
        assert arm.edit_rate.value == pytest.approx(0.5), "of two names, one was taken away"
