"""Which documents wait for people, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, document_store, project_create
from feedback.models import Stratum
from feedback.services import correction_submit
from inference.engine import bundle_path, engine
from inference.models import ModelVersion, Prediction
from inference.selectors import deployment_of
from inference.services import deployment_set, version_register
from labeling.choice import draw, strata_in_turn, strata_shares, stratum_of
from labeling.models import Task
from labeling.services import queue_fill, queues_fill, task_claim, task_skip
from tests.bundles import tiny_bundle
from tests.labeling.conftest import Queue

pytestmark = pytest.mark.django_db


def test_each_text_gets_a_prediction_by_the_champion_and_a_task(queue: Queue, champion: ModelVersion) -> None:
    (task,) = queue("Ada Lovelace moved to London.")
    assert task.prediction.version == champion
    assert [span["text"] for span in task.prediction.spans] == ["Ada Lovelace", "London"]
    assert task.status == Task.Status.OPEN


def test_filling_again_changes_nothing(queue: Queue, project: Project) -> None:
    queue(count=3)
    assert queue_fill(project=project).queued == 0
    assert Task.objects.count() == Prediction.objects.count() == 3


def test_many_more_than_a_batch_are_queued_at_once(queue: Queue) -> None:
    assert len(queue(count=150)) == 150


def test_a_corrected_text_is_not_asked_again(
    queue: Queue, project: Project, champion: ModelVersion, ana: User
) -> None:
    document, _ = document_store(project=project, text="Ann stayed.")
    correction_submit(
        document=document,
        spans=[],
        base_number=0,
        author=ana,
        prediction=None,
        stratum=Stratum.IMPORT,
        milliseconds=0,
        idempotency_key="k1",
    )
    assert queue() == []


def test_a_skipped_text_is_not_asked_again(queue: Queue, project: Project, ana: User) -> None:
    (task,) = queue(count=1)
    task_skip(task=task, user=ana, reason="not readable")
    assert queue_fill(project=project).queued == 0


def test_the_draw_is_the_documents_own_and_keeps_the_shares(project: Project) -> None:
    documents = [document_store(project=project, text=f"text {number}")[0] for number in range(600)]
    strata = [stratum_of(draw(document.text_hash), project=project) for document in documents]
    for stratum, share in ((Stratum.RANDOM, project.random_share), (Stratum.DIVERSE, project.diverse_share)):
        assert abs(strata.count(stratum) / len(strata) - share) < 0.06


def test_diverse_takes_at_most_what_random_leaves(project: Project) -> None:
    project.random_share, project.diverse_share = 0.8, 0.7
    shares = strata_shares(project)
    assert shares[Stratum.RANDOM] == 0.8
    assert shares[Stratum.DIVERSE] == pytest.approx(0.2)
    assert shares[Stratum.UNCERTAIN] == 0


def test_every_stratum_is_served_in_its_share(project: Project) -> None:
    shares = strata_shares(project)
    served: list[str] = []
    for _ in range(100):
        served.append(strata_in_turn(served, shares=shares)[0])
    counts = [served.count(stratum) for stratum in ("random", "diverse", "api", "uncertain")]
    assert counts == pytest.approx([20, 20, 30, 30], abs=1)


def test_a_new_champion_looks_again_at_what_waits(
    queue: Queue, project: Project, champion: ModelVersion, ana: User, tmp_path: Path
) -> None:
    queue("Ada wrote.", "Zed wrote.", "Grace wrote.")
    held = task_claim(project=project, user=ana)
    other = version_register(
        path=tiny_bundle(tmp_path / "other", {"Zed": "B-per"}), name="other", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=other, actor=SYSTEM, reason="better")
    assert queue_fill(project=project).refreshed == 2
    assert held is not None
    held.refresh_from_db()
    assert held.prediction.version == champion, "what a reviewer looks at does not change under the eyes"
    waiting = Task.objects.exclude(pk=held.pk).select_related("prediction")
    assert {task.prediction.version_id for task in waiting} == {other.pk}
    assert Prediction.objects.filter(version=champion).count() == 3, "the old answers stay as rows"


def test_without_a_champion_people_start_from_empty_texts(project: Project) -> None:
    document_store(project=project, text="Ada wrote.")
    assert queue_fill(project=project).queued == 1
    deployment = deployment_of(project)
    assert deployment is not None
    assert deployment.version.origin == ModelVersion.Origin.BLANK
    assert Task.objects.get().prediction.spans == []
    assert AuditEvent.objects.filter(action="deployment.set").exists()


def test_a_project_whose_model_is_broken_keeps_no_other_waiting(
    queue: Queue, project: Project, champion: ModelVersion
) -> None:
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="x")], actor=SYSTEM)
    document_store(project=project, text="Ada wrote.")
    document_store(project=other, text="Ada wrote.")
    engine.forget()
    (bundle_path(champion) / "model.onnx").write_bytes(b"not a model")
    queues_fill()
    assert list(Task.objects.values_list("project__slug", flat=True)) == ["other"]


@pytest.mark.django_db(transaction=True)
def test_two_processes_do_not_fill_the_same_project(queue: Queue, project: Project) -> None:
    document_store(project=project, text="Ada wrote.")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext('queue_fill'), %s)", [project.pk])
            assert queue_fill(project=project).queued == 0
            cursor.execute("SELECT pg_advisory_unlock(hashtext('queue_fill'), %s)", [project.pk])
    finally:
        other.close()
    assert queue_fill(project=project).queued == 1
