"""The newest texts of a project are compared with those that its champion was made from."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from corpus.selectors import label_set_current
from corpus.services import LabelDraft, project_create
from inference.models import ApiKey, Deployment, ModelVersion
from inference.services import (
    blank_version_get,
    document_predict,
    version_register,
)
from ner.drift import NO_ENTITY
from retraining.models import DriftReference, DriftReport, TrainingRun
from retraining.services import drift as service
from retraining.services import drift_forget, drift_measure, drifts_measure
from tests.bundles import tiny_bundle
from tests.factories import document_make
from tests.retraining.drifting import made, serve, texts, told

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


def test_texts_like_those_of_the_training_have_not_drifted(trained: ModelVersion, caller: ApiKey) -> None:
    told(caller, trained, texts("orchard", 200, 500))
    report = made(drift_measure(project=caller.project))
    assert (report.drifted, report.texts, report.version) == ([], 300, trained)
    assert [measure.name for measure in report.measured if measure.value is not None] == [
        "length",
        "vocabulary",
        "unknown_words",
        "labels",
        "confidence",
    ]
    assert sum(report.histograms["length"]) == 300
    assert report.window_from <= report.window_to
    assert not AuditEvent.objects.filter(action="drift.found").exists()


def test_other_texts_have_drifted_and_the_audit_log_says_so_once(
    trained: ModelVersion, caller: ApiKey
) -> None:
    told(caller, trained, texts("general", 0, 300))
    report = made(drift_measure(project=caller.project))
    assert "unknown_words" in report.drifted
    made(drift_measure(project=caller.project, at_once=True))
    event = AuditEvent.objects.get(action="drift.found")
    assert event.data["drifted"].keys() == set(report.drifted)
    assert (event.chain, event.data["version"]) == ("orchard", str(trained))


def test_of_few_texts_nothing_is_reported_and_one_sent_again_is_one(
    trained: ModelVersion, caller: ApiKey
) -> None:
    told(caller, trained, texts("orchard", 200, 299) * 3)
    assert drift_measure(project=caller.project) is None
    told(caller, trained, texts("orchard", 299, 300))
    assert made(drift_measure(project=caller.project)).texts == 100


def test_it_waits_until_the_last_report_is_old_and_something_is_new(
    trained: ModelVersion, caller: ApiKey
) -> None:
    told(caller, trained, texts("orchard", 200, 320))
    first = made(drift_measure(project=caller.project))
    told(caller, trained, texts("orchard", 320, 330))
    assert drift_measure(project=caller.project) is None
    DriftReport.objects.update(created_at=timezone.now() - timedelta(minutes=16))
    assert made(drift_measure(project=caller.project)).texts == 130
    DriftReport.objects.update(created_at=timezone.now() - timedelta(minutes=16))
    assert drift_measure(project=caller.project) is None
    assert made(drift_measure(project=caller.project, at_once=True)).pk != first.pk


def test_only_what_the_champion_answered_since_it_is_champion_counts(
    trained: ModelVersion, caller: ApiKey, project: Project, tmp_path: Path
) -> None:
    other = version_register(
        path=tiny_bundle(tmp_path / "two", {"Bramley": "B-per"}), name="other", project=project, actor=SYSTEM
    )
    told(caller, other, texts("orchard", 200, 400))
    told(caller, trained, texts("orchard", 200, 400))
    Deployment.objects.update(changed_at=timezone.now() + timedelta(seconds=1))
    assert drift_measure(project=project) is None
    Deployment.objects.update(changed_at=timezone.now() - timedelta(days=1))
    assert made(drift_measure(project=project)).texts == 200


def test_documents_count_that_came_since_and_not_those_that_it_was_made_from(
    trained: ModelVersion, caller: ApiKey, project: Project
) -> None:
    told(caller, trained, texts("orchard", 200, 300))
    for document in project.documents.all()[:5]:
        document_predict(document=document)
    for text in texts("orchard", 300, 303):
        document_predict(document=document_make(project, text))
    assert made(drift_measure(project=project)).texts == 103


def test_only_the_newest_texts_are_read(
    trained: ModelVersion, caller: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_TEXTS", 120)
    told(caller, trained, texts("general", 0, 200))
    told(caller, trained, texts("orchard", 200, 320))
    report = made(drift_measure(project=caller.project))
    assert (report.texts, report.drifted) == (120, [])
    monkeypatch.setattr(service, "MOST_CHARACTERS", 100)
    assert drift_measure(project=caller.project, at_once=True) is None


def test_the_reference_is_made_once_and_holds_no_word(
    trained: ModelVersion, caller: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(caller, trained, texts("orchard", 200, 320))
    made(drift_measure(project=caller.project))
    reference = DriftReference.objects.get()
    assert reference.source == DriftReference.Source.TRAINING_SET
    assert reference.counts.texts == 200
    stored = json.dumps(reference.profile).lower()
    assert "orchard" not in stored
    assert "apple" not in stored
    monkeypatch.setattr(service, "_reference_profile", None)
    made(drift_measure(project=caller.project, at_once=True))


def test_confidence_is_that_of_texts_that_it_did_not_learn(trained: ModelVersion, caller: ApiKey) -> None:
    told(caller, trained, texts("orchard", 200, 320))
    reference = made(drift_measure(project=caller.project)).reference
    run = TrainingRun.objects.get(candidate=trained)
    assert reference.counts.answered == run.training_set.counts["dev"] + run.training_set.counts["test"]


def test_texts_drawn_at_random_stand_for_the_others_where_there_are_enough() -> None:
    chosen = [service._Text("hard", is_random=False)] * 300
    few, many = [service._Text("usual")] * 99, [service._Text("usual")] * 100
    assert service._random_ones(chosen + few) == chosen + few
    assert service._random_ones(chosen + many) == many


def test_a_bar_of_confidence_hides_spans_on_both_sides(trained: ModelVersion, caller: ApiKey) -> None:
    label_set_current(project=caller.project).labels.update(confidence_threshold=1.0)
    told(caller, trained, texts("orchard", 200, 320))
    report = made(drift_measure(project=caller.project))
    assert report.histograms["labels"].keys() == {NO_ENTITY}
    assert report.reference.counts.labels.keys() == {NO_ENTITY}
    label_set_current(project=caller.project).labels.update(confidence_threshold=0.0)
    again = made(drift_measure(project=caller.project, at_once=True))
    assert again.reference.pk != report.reference.pk
    assert again.histograms["labels"].keys() > {NO_ENTITY}


def test_a_base_model_is_compared_with_the_general_sentences(
    project: Project, caller: ApiKey, tmp_path: Path
) -> None:
    version = serve(
        project,
        version_register(path=tiny_bundle(tmp_path / "b"), name="tiny", origin="bundled", actor=SYSTEM),
    )
    told(caller, version, texts("orchard", 0, 581))
    report = made(drift_measure(project=project))
    assert report.reference.source == DriftReference.Source.GENERAL
    assert {"vocabulary", "unknown_words"} <= set(report.drifted)


def test_nothing_is_said_of_a_model_that_nobody_knows_the_texts_of(
    project: Project, caller: ApiKey, tmp_path: Path
) -> None:
    assert drift_measure(project=project) is None
    version = version_register(path=tiny_bundle(tmp_path / "x"), name="x", project=project, actor=SYSTEM)
    told(caller, serve(project, version), texts("orchard", 0, 150))
    assert drift_measure(project=project) is None
    serve(project, blank_version_get(project=project, label_set=label_set_current(project=project)))
    assert drifts_measure() == 0


def test_a_model_that_does_not_load_keeps_no_other_project_waiting(
    trained: ModelVersion, caller: ApiKey, tmp_path: Path, settings: LazySettings
) -> None:
    other = project_create(slug="a", name="A", labels=[LabelDraft(name="per")], actor=SYSTEM)
    version = serve(
        other,
        version_register(path=tiny_bundle(tmp_path / "b", f1=0.5), name="b", origin="bundled", actor=SYSTEM),
    )
    (settings.DATA_DIR / "bundles" / version.sha256 / "model.onnx").write_bytes(b"changed")
    told(caller, trained, texts("orchard", 200, 320))
    assert drifts_measure() == 1


def test_old_reports_go_and_with_the_last_one_its_reference(trained: ModelVersion, caller: ApiKey) -> None:
    told(caller, trained, texts("orchard", 200, 320))
    made(drift_measure(project=caller.project))
    made(drift_measure(project=caller.project, at_once=True))
    old = timezone.now() - timedelta(days=31)
    DriftReference.objects.update(created_at=old)
    first = DriftReport.objects.earliest("pk")
    DriftReport.objects.filter(pk=first.pk).update(created_at=old)
    assert drift_forget() == 1
    assert DriftReference.objects.count() == 1
    DriftReport.objects.update(created_at=old)
    assert drift_forget() == 1
    assert DriftReference.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_beats_that_ask_at_once_one_reports(trained: ModelVersion, caller: ApiKey) -> None:
    told(caller, trained, texts("orchard", 200, 320))

    def ask(_: int) -> None:
        drifts_measure()
        connection.close()

    with ThreadPoolExecutor(4) as beats:
        list(beats.map(ask, range(8)))
    assert DriftReport.objects.count() == 1
