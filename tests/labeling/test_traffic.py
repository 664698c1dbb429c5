"""Callers' texts on their way into the queue."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Document, Project
from corpus.services import document_store
from feedback.models import Correction, Stratum
from feedback.services import rating_submit
from inference.models import ApiKey, ModelVersion, Prediction, ShadowComparison, ShadowTest
from inference.services import api_key_create, deployment_set, deployment_share, version_register
from labeling.models import Standing, Task
from labeling.selectors import task_reason
from labeling.services import queue_fill, task_claim, task_submit
from labeling.services.traffic import STEP, Taken, traffic_take
from labeling.workbench import task_payload
from tests.bundles import tiny_bundle
from tests.labeling.conftest import Queue

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(project: Project) -> ApiKey:
    """A caller."""
    return api_key_create(project=project, name="shop", scopes=["predict", "feedback"], actor=SYSTEM)[0]


@pytest.fixture(autouse=True)
def _no_random_share(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(traffic_share=0)
    project.refresh_from_db()


@pytest.fixture
def answer(project: Project, champion: ModelVersion, key: ApiKey) -> Any:
    """An answer that a caller got, some minutes ago."""

    def make(text: str, *, sure: float = 0.9, ago: float = 300) -> Prediction:
        prediction = Prediction.objects.create(
            project=project,
            version=champion,
            text=text,
            spans=[{"start": 0, "end": 3, "label": "per", "text": text[:3], "confidence": sure}],
            uncertainty=1 - sure,
            latency_ms=1,
            api_key=key,
        )
        moment = timezone.now() - timedelta(seconds=ago)
        Prediction.objects.filter(pk=prediction.pk).update(created_at=moment)
        Project.objects.filter(pk=project.pk).update(created_at=moment - timedelta(days=1))
        project.refresh_from_db()
        prediction.refresh_from_db()
        return prediction

    return make


def later() -> Any:
    return timezone.now() + timedelta(minutes=1)


def test_an_unsure_answer_is_reviewed_and_says_why(answer: Any, project: Project, ana: User) -> None:
    unsure, _ = answer("Ada wrote.", sure=0.31), answer("Ann stayed.", sure=0.8)
    taken = traffic_take(project=project)
    assert (taken.read, taken.low, taken.total) == (2, 1, 1)
    task = Task.objects.get()
    assert (task.prediction, task.stratum) == (unsure, Stratum.API)
    assert task_reason(task) == "a caller's text, least sure span 0.31"
    assert task.document.source == "api"
    event = AuditEvent.objects.get(action="traffic.take")
    assert event.data == {"drawn": 0, "low": 1, "rated": 0, "differing": 0}
    claimed = task_claim(project=project, user=ana)
    assert claimed == task
    task_submit(task=task, user=ana, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    assert Correction.objects.get().prediction == unsure, "the review judges what the caller was answered"


def test_each_text_enters_once(answer: Any, project: Project) -> None:
    document_store(project=project, text="Known already.")
    for text in ("Ada wrote.", "Ada wrote.", "Known already."):
        answer(text, sure=0.1)
    assert traffic_take(project=project).low == 1
    answer("Ada wrote.", sure=0.1, ago=60)
    again = traffic_take(project=project)
    assert (again.read, again.low) == (0, 0), "what lies before the mark is not read again"
    assert traffic_take(project=project, now=later()).low == 0
    assert Task.objects.count() == 1


def test_what_is_too_young_is_read_later(answer: Any, project: Project) -> None:
    answer("Ada wrote.", sure=0.1, ago=2)
    assert traffic_take(project=project).read == 0
    assert traffic_take(project=project, now=later()).low == 1


def test_a_stopped_step_is_repeated_and_takes_nothing_twice(answer: Any, project: Project) -> None:
    answer("Ada wrote.", sure=0.1)
    with transaction.atomic():
        assert traffic_take(project=project).low == 1
        transaction.set_rollback(True)  # killed before its commit
    assert not Document.objects.exists()
    assert traffic_take(project=project).low == 1
    assert traffic_take(project=project).total == 0, "delivered twice"


def test_many_of_one_moment_are_all_read(answer: Any, project: Project) -> None:
    one = answer("Ada wrote.", sure=0.9)
    Prediction.objects.bulk_create(
        Prediction(
            project=project,
            version=one.version,
            text=f"text {number}",
            spans=one.spans,
            uncertainty=0.1,
            latency_ms=1,
            api_key=one.api_key,
        )
        for number in range(STEP + 20)
    )
    Prediction.objects.update(created_at=one.created_at)
    read = [traffic_take(project=project).read for _ in range(3)]
    assert read == [STEP, 21, 0]


def test_the_random_share_is_drawn_before_anybody_looks_at_the_answer(answer: Any, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(traffic_share=0.3, traffic_daily_limit=0)
    project.refresh_from_db()
    for number in range(200):
        answer(f"Ada wrote letter {number}.", sure=0.1 if number % 2 else 0.99)
    taken = traffic_take(project=project)
    assert taken.low == 0, "the limit is spent"
    assert 35 <= taken.drawn <= 85, "no limit cuts the random share"
    tasks = Task.objects.all()
    assert {task.stratum for task in tasks} == {Stratum.RANDOM}
    assert {task_reason(task) for task in tasks} == {"random check of callers' texts"}
    unsure = sum(task.prediction.uncertainty > 0.5 for task in tasks)
    assert 0.3 < unsure / len(tasks) < 0.7


def test_a_badly_rated_answer_comes_before_the_unsure(answer: Any, project: Project, key: ApiKey) -> None:
    unsure, bad, good = (
        answer(text, sure=sure) for text, sure in (("Ada.", 0.1), ("Ann.", 0.9), ("Zed.", 0.9))
    )
    for prediction, score in ((bad, 1), (good, 5), (unsure, 2)):
        rating_submit(prediction=prediction, score=score, api_key=key, idempotency_key=f"r{score}")
    taken = traffic_take(project=project, now=later())
    assert (taken.rated, taken.low) == (2, 0)
    first, second = Task.objects.order_by("-priority")
    assert (first.prediction, second.prediction) == (bad, unsure)
    assert task_reason(first) == "a caller's text, rated badly"


def test_a_rating_of_a_text_that_waits_already_moves_it_up(
    answer: Any, project: Project, key: ApiKey
) -> None:
    unsure = answer("Ada.", sure=0.1)
    traffic_take(project=project)
    rating_submit(prediction=unsure, score=1, api_key=key, idempotency_key="r")
    traffic_take(project=project, now=later())
    task = Task.objects.get()
    assert (task.cause, task.priority) == (Task.Cause.RATED, 1.2)


def test_the_days_limit_holds_and_ratings_wait_for_tomorrow(
    answer: Any, project: Project, key: ApiKey
) -> None:
    Project.objects.filter(pk=project.pk).update(traffic_daily_limit=3)
    project.refresh_from_db()
    for number in range(5):
        answer(f"Ada {number}", sure=0.1)
    bad = answer("Ann.", sure=0.9)
    assert traffic_take(project=project).low == 3
    rating_submit(prediction=bad, score=1, api_key=key, idempotency_key="r")
    assert traffic_take(project=project, now=later()).rated == 0
    assert traffic_take(project=project, now=later() + timedelta(days=1)).rated == 1


def test_predictions_for_the_queue_itself_are_no_traffic(queue: Queue, project: Project) -> None:
    queue(count=3)
    assert traffic_take(project=project, now=later()) == Taken()


def test_the_filling_leaves_them_alone(answer: Any, project: Project) -> None:
    answer("Ada wrote.", sure=0.1)
    traffic_take(project=project)
    assert queue_fill(project=project).queued == 0
    assert Standing.objects.get().state == Standing.State.WAITING


def test_a_drawn_text_keeps_the_answer_that_its_caller_got(
    answer: Any, project: Project, champion: ModelVersion, queue: Queue, tmp_path: Path
) -> None:
    Project.objects.filter(pk=project.pk).update(traffic_share=1.0)
    project.refresh_from_db()
    told = answer("Ada wrote.")
    traffic_take(project=project)
    [own] = [task for task in queue("Grace Hopper wrote.") if not task.cause]
    better = version_register(
        path=tiny_bundle(tmp_path / "other", f1=0.99), name="other", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=better, actor=SYSTEM, reason="better")
    assert queue_fill(project=project).refreshed == 1
    own.refresh_from_db()
    assert own.prediction.version == better
    # It judges what was answered: with another version's answer it would judge nobody's.
    assert Task.objects.get(cause=Task.Cause.DRAWN).prediction == told


def test_who_reviews_is_not_told_whose_answer_it_is_while_versions_share_the_callers(
    answer: Any, project: Project, champion: ModelVersion, ana: User, client: Client
) -> None:
    answer("Ada wrote.", sure=0.31)
    traffic_take(project=project)
    task = task_claim(project=project, user=ana)
    assert task is not None
    assert task_payload(task=task, user=ana)["prediction"]["version"] == "tiny@1"
    told: dict[str, Any] = {"project": project, "slot": "challenger", "actor": SYSTEM, "reason": "try"}
    deployment_set(version=champion, **told)
    assert task_payload(task=task, user=ana)["prediction"]["version"] == "tiny@1"
    deployment_share(share=50.0, **told)
    assert task_payload(task=task, user=ana)["prediction"]["version"] == "the model"
    client.force_login(ana)
    for page in ("review/", "texts/"):
        shown = client.get(f"/projects/{project.slug}/{page}")
        assert shown.status_code == 200
        assert "tiny@1" not in shown.content.decode(), page


@pytest.fixture
def compare(project: Project, champion: ModelVersion, tmp_path: Path) -> Any:
    """What a shadow said of an answer, a minute ago."""
    shadow = version_register(path=tiny_bundle(tmp_path / "s"), name="s", project=project, actor=SYSTEM)
    now = timezone.now()
    test = ShadowTest.objects.create(project=project, champion=champion, shadow=shadow, read_until=now)

    def make(prediction: Prediction, agreement: float) -> None:
        one = ShadowComparison.objects.create(
            test=test, prediction=prediction, agreement=agreement, latency_ms=1
        )
        moment = timezone.now() - timedelta(minutes=1)
        ShadowComparison.objects.filter(pk=one.pk).update(created_at=moment)

    return make


def test_where_a_shadow_differs_somebody_looks_the_most_different_first(
    answer: Any, compare: Any, project: Project
) -> None:
    for text, agreement in (("Ada wrote.", 0.5), ("Ann stayed.", 1.0), ("Grace flew.", 0.0)):
        compare(answer(text), agreement)
    taken = traffic_take(project=project)
    assert (taken.differing, taken.total) == (2, 2)
    first, second = Task.objects.order_by("-priority")
    assert (first.document.text, first.stratum) == ("Grace flew.", Stratum.API)
    assert task_reason(second) == "a caller's text, a shadow agrees to 0.50"
    assert first.prediction.version != ShadowTest.objects.get().shadow, "what the caller was answered"
    assert traffic_take(project=project).total == 0


def test_what_is_drawn_at_random_is_left_to_the_draw(answer: Any, compare: Any, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(traffic_share=1)
    project.refresh_from_db()
    compare(answer("Ada wrote."), 0.0)
    taken = traffic_take(project=project)
    assert (taken.differing, taken.drawn) == (0, 1)
    assert Task.objects.get().stratum == Stratum.RANDOM


def test_a_shadow_that_differs_everywhere_leaves_room_for_the_unsure(
    answer: Any, compare: Any, project: Project
) -> None:
    Project.objects.filter(pk=project.pk).update(traffic_daily_limit=4)
    project.refresh_from_db()
    for number in range(6):
        compare(answer(f"Ada wrote {number}."), 0.0)
        answer(f"Ann stayed {number}.", sure=0.1)
    taken = traffic_take(project=project)
    assert (taken.differing, taken.low) == (2, 2)
