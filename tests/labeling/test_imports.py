"""Importing labelled texts: all or nothing, exactly once, and never over what people did here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.models.functions import Now

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.errors import Refused
from corpus.models import Document, Project
from corpus.services import project_change
from feedback.models import Correction, SpanDecision
from feedback.services import correction_submit
from inference.errors import FileGone, FileTooLarge, VersionExternal
from inference.models import Deployment, ModelVersion
from inference.selectors import versions_visible
from inference.services import deployment_set, external_version_get
from inference.services.files import file_name_clean
from labeling.errors import JobActive, OptionsFixed, OptionUnknown
from labeling.models import ImportJob, JobStatus, Task
from labeling.options import ImportOptions, options_read
from labeling.services import (
    import_cancel,
    import_run,
    import_start,
    import_store,
    import_upload,
    jobs_sweep,
    queue_fill,
)
from labeling.services.uploads import folder_of
from tests.factories import document_make
from tests.labeling.transfer import imported, jsonl, row

pytestmark = pytest.mark.django_db

GOLD = jsonl(
    row("Ada wrote to London.", (0, 3, "per"), (13, 19, "geo"), id="a1"),
    row("Nothing here.", id="a2"),
    row("Ann 🎉 Boston\u2028x\ty\\n", (6, 12, "geo"), id="a3"),
)


def upload(project: Project, content: bytes = GOLD, name: str = "gold.jsonl", **who: Any) -> ImportJob:
    return import_upload(project=project, file_name=name, chunks=[content], **who)


def test_what_people_marked_becomes_corrections_by_a_named_source(project: Project, tmp_path: Path) -> None:
    job = imported(project, tmp_path, GOLD, source="team in Lyon")
    assert job.status == JobStatus.DONE, job.error
    assert [(d.external_id, d.text) for d in Document.objects.order_by("created_at")] == [
        ("a1", "Ada wrote to London."),
        ("a2", "Nothing here."),
        ("a3", "Ann 🎉 Boston\u2028x\ty\\n"),
    ]
    found = {c.document.external_id: c for c in Correction.objects.select_related("document")}
    assert found["a1"].spans == [
        {"start": 0, "end": 3, "label": "per", "text": "Ada"},
        {"start": 13, "end": 19, "label": "geo", "text": "London"},
    ]
    assert found["a2"].spans == []
    assert {c.source for c in found.values()} == {"team in Lyon"}
    assert {(c.number, c.stratum, c.author_id, c.api_key_id) for c in found.values()} == {
        (1, "import", None, None)
    }
    assert not SpanDecision.objects.exists()


def test_a_person_who_imports_is_the_author(project: Project, mia: User) -> None:
    job, _ = import_start(job=upload(project, user=mia), options={}, user=mia)
    import_run(job_id=job.pk)
    assert set(Correction.objects.values_list("author", "source")) == {(mia.pk, "jsonl")}


def test_one_event_tells_of_a_whole_file(project: Project, tmp_path: Path) -> None:
    before = AuditEvent.objects.count()
    job = imported(project, tmp_path, GOLD)
    events = list(AuditEvent.objects.order_by("number")[before:])
    assert [event.action for event in events] == ["import.start", "import.finish"]
    assert events[1].data["counts"]["corrected"] == 3
    assert events[1].data["sha256"] == job.sha256


@pytest.mark.django_db(transaction=True)
def test_the_same_file_with_the_same_options_is_the_same_job(project: Project, tmp_path: Path) -> None:
    first = imported(project, tmp_path, GOLD)
    again = imported(project, tmp_path, GOLD)
    assert again == first
    assert Document.objects.count() == Correction.objects.count() == 3
    # The second upload leaves nothing on the disk.
    assert not any((folder_of(ImportJob, first.pk).parent).iterdir())


def test_other_options_are_another_job_that_keeps_what_is_there(project: Project, tmp_path: Path) -> None:
    imported(project, tmp_path, GOLD)
    other = imported(project, tmp_path, GOLD, labels={"per": "org"})
    assert other.counts["known"] == 3
    assert (other.counts["corrected"], other.counts["kept"]) == (0, 3)
    assert Correction.objects.count() == 3


def test_a_correction_made_here_is_never_overwritten(project: Project, ana: User, tmp_path: Path) -> None:
    document = document_make(project, "Ada wrote to London.")
    mine = correction_submit(
        document=document,
        spans=[],
        base_number=0,
        author=ana,
        prediction=None,
        stratum="random",
        milliseconds=1,
        idempotency_key="k",
    )
    job = imported(project, tmp_path, GOLD)
    assert job.counts["kept"] == 1
    assert list(Correction.objects.filter(document=document)) == [mine]


def test_one_bad_row_keeps_the_whole_file_out(project: Project, tmp_path: Path) -> None:
    job = imported(
        project, tmp_path, GOLD + b'{"text": "Ada", "spans": [{"start": 1, "end": 9, "label": "per"}]}\n'
    )
    assert (job.status, job.error_code) == (JobStatus.FAILED, "rows_refused")
    assert "Line 4: " in job.error
    assert not Document.objects.exists()


def test_labels_are_mapped_or_left_out(project: Project, tmp_path: Path) -> None:
    content = jsonl(row("Ada in Rome", (0, 3, "PERSON"), (7, 11, "MISC")))
    job = imported(project, tmp_path, content, labels={"PERSON": "per", "MISC": None})
    assert job.status == JobStatus.DONE, job.error
    assert [span["label"] for span in Correction.objects.get().spans] == ["per"]
    assert job.findings["labels"] == {"PERSON": 1, "MISC": 1}


def test_unknown_labels_are_named_and_nothing_is_stored(project: Project, tmp_path: Path) -> None:
    job = imported(project, tmp_path, jsonl(row("Ada in Rome", (0, 3, "PERSON"))))
    assert (job.status, job.error_code) == (JobStatus.FAILED, "unknown_labels")
    assert "PERSON" in job.error
    assert not Document.objects.exists()


def test_labels_are_created_for_who_manages_them(project: Project, ada: User, mia: User) -> None:
    content = jsonl(row("Ada in Rome", (0, 3, "PERSON")))
    with pytest.raises(Refused):
        import_start(job=upload(project, content, user=mia), options={"create_labels": True}, user=mia)
    job, _ = import_start(job=upload(project, content, user=ada), options={"create_labels": True}, user=ada)
    import_run(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == JobStatus.DONE, job.error
    assert job.label_set is not None
    assert job.label_set.revision == 2
    assert job.label_set.frozen_at is not None
    names = set(job.label_set.labels.values_list("name", flat=True))
    assert {"PERSON", "per", "cultivar"} <= names


def test_spans_that_overlap_need_a_project_that_allows_it(project: Project, tmp_path: Path) -> None:
    content = jsonl(row("Ada Lovelace", (0, 12, "per"), (4, 12, "geo")))
    assert imported(project, tmp_path, content).error_code == "rows_refused"
    project_change(project=project, actor=SYSTEM, allow_overlap=True)
    project.refresh_from_db()
    assert imported(project, tmp_path, content).status == JobStatus.DONE


def test_a_dry_run_says_what_would_be_and_stores_nothing(project: Project, tmp_path: Path) -> None:
    document_make(project, "Nothing here.")
    job = imported(project, tmp_path, GOLD + jsonl(row("Ada wrote to London.")), dry_run=True)
    assert job.status == JobStatus.CHECKED, job.error
    counts = {name: job.counts[name] for name in ("read", "new", "known", "repeated", "corrected")}
    assert counts == {"read": 4, "new": 2, "known": 1, "repeated": 1, "corrected": 4}
    assert Document.objects.count() == 1
    assert not Correction.objects.exists()
    started, was_there = import_start(job=job, options=job.options)
    assert not was_there
    import_run(job_id=started.pk)
    started.refresh_from_db()
    assert started.status == JobStatus.DONE, started.error
    assert {name: started.counts[name] for name in ("new", "known", "repeated")} == {
        "new": 2,
        "known": 1,
        "repeated": 1,
    }


def test_a_text_that_waited_for_review_waits_no_longer(
    project: Project, champion: ModelVersion, tmp_path: Path
) -> None:
    document = document_make(project, "Ada wrote to London.")
    queue_fill(project=project)
    imported(project, tmp_path, GOLD)
    task = Task.objects.get()
    assert task.status == Task.Status.DONE
    assert task.correction == document.corrections.get()
    queue_fill(project=project)
    assert Task.objects.count() == 1


def test_a_task_in_somebodys_hands_stays_there(
    project: Project, champion: ModelVersion, ana: User, tmp_path: Path
) -> None:
    document_make(project, "Ada wrote to London.")
    queue_fill(project=project)
    from labeling.services import task_claim

    task_claim(project=project, user=ana)
    imported(project, tmp_path, GOLD)
    assert Task.objects.get().status == Task.Status.OPEN


def test_an_erased_text_stays_erased(project: Project, tmp_path: Path) -> None:
    document = document_make(project, "Ada wrote to London.")
    Document.objects.filter(pk=document.pk).update(text="", redacted_at=Now())
    job = imported(project, tmp_path, GOLD)
    assert (job.counts["erased"], job.counts["corrected"]) == (1, 2)
    document.refresh_from_db()
    assert document.text == ""


def test_an_import_goes_on_after_the_last_step_that_was_committed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_store, "STEP_ROWS", 1)
    job, _ = import_start(job=upload(project), options={}, publish=False)
    stored = import_store.corrections_import
    calls = iter([None, RuntimeError("pulled the plug")])

    def plug(**arguments: Any) -> Any:
        if error := next(calls, None):
            raise error
        return stored(**arguments)

    monkeypatch.setattr(import_store, "corrections_import", plug)
    import_run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.status, job.error_code, job.position) == (JobStatus.FAILED, "internal_error", 1)
    assert Document.objects.count() == Correction.objects.count() == 1
    with pytest.raises(OptionsFixed):
        import_start(job=job, options={"texts_only": True})
    import_start(job=job, options=job.options, publish=False)
    import_run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.status, job.position, job.counts["new"]) == (JobStatus.DONE, 3, 3)
    assert Document.objects.count() == Correction.objects.count() == 3


def test_a_cancelled_import_stops_between_two_steps(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_store, "STEP_ROWS", 1)
    job, _ = import_start(job=upload(project), options={}, publish=False)
    stored = import_store.documents_insert

    def cancel(**arguments: Any) -> None:
        ImportJob.objects.filter(pk=job.pk).update(cancel_requested_at=Now())
        stored(**arguments)

    monkeypatch.setattr(import_store, "documents_insert", cancel)
    import_run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.status, job.position) == (JobStatus.CANCELLED, 1)
    assert Document.objects.count() == 1


def test_a_worker_that_lost_its_lease_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_store, "STEP_ROWS", 1)
    job, _ = import_start(job=upload(project), options={}, publish=False)
    stored = import_store.documents_insert

    def slow(**arguments: Any) -> None:
        stored(**arguments)
        ImportJob.objects.filter(pk=job.pk).update(lease_token=None, status=JobStatus.QUEUED)

    monkeypatch.setattr(import_store, "documents_insert", slow)
    import_run(job_id=job.pk)
    assert not Document.objects.exists()


def test_a_dead_process_is_found_by_the_sweep(project: Project) -> None:
    job, _ = import_start(job=upload(project), options={}, publish=False)
    ImportJob.objects.filter(pk=job.pk).update(status=JobStatus.RUNNING, lease_expires_at=Now(), attempts=1)
    jobs_sweep()
    job.refresh_from_db()
    assert job.status == JobStatus.QUEUED
    ImportJob.objects.filter(pk=job.pk).update(status=JobStatus.RUNNING, lease_expires_at=Now(), attempts=5)
    jobs_sweep()
    job.refresh_from_db()
    assert (job.status, job.error_code) == (JobStatus.FAILED, "process_died")


def test_a_job_at_work_is_not_started_again_and_may_be_cancelled(
    project: Project, mia: User, ana: User
) -> None:
    job, _ = import_start(job=upload(project), options={}, publish=False)
    with pytest.raises(JobActive):
        import_start(job=job, options={})
    with pytest.raises(Refused):
        import_cancel(job=job, user=ana)
    assert import_cancel(job=job, user=mia).status == JobStatus.CANCELLED


def test_a_reviewer_may_not_import(project: Project, ana: User) -> None:
    with pytest.raises(Refused):
        upload(project, user=ana)
    assert not ImportJob.objects.exists()


def test_a_file_that_is_too_large_leaves_nothing(project: Project, settings: Any) -> None:
    settings.LIMITS = {**settings.LIMITS, "upload_bytes": 10}
    with pytest.raises(FileTooLarge):
        upload(project)
    assert not ImportJob.objects.exists()
    assert not list(settings.DATA_DIR.rglob("upload"))


def test_a_file_that_is_gone_must_be_sent_again(project: Project) -> None:
    job = upload(project)
    ImportJob.objects.filter(pk=job.pk).update(file_removed_at=Now())
    with pytest.raises(FileGone):
        import_start(job=job, options={})


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\x.csv", "x.csv"),
        ("a\u202egnp.jsonl", "agnp.jsonl"),
        ("a\x00b\nc", "abc"),
        ("x" * 300, "x" * 255),
        ("<script>alert(1)</script>", "script>"),
    ],
)
def test_a_files_name_is_for_people_only(name: str, shown: str, project: Project, settings: Any) -> None:
    assert file_name_clean(name) == shown
    job = upload(project, name=name)
    assert [path.name for path in (settings.DATA_DIR / "uploads").rglob("*") if path.is_file()] == ["upload"]
    assert (settings.DATA_DIR / "uploads" / str(job.pk) / "upload").read_bytes() == GOLD


@pytest.mark.parametrize(
    "values",
    [
        {"format": "exe"},
        {"labels": {"a": 1}},
        {"unknown": 1},
        {"source": "x" * 101},
        {"keep_good_rows": "yes"},
    ],
)
def test_options_are_read_strictly(values: dict[str, Any]) -> None:
    with pytest.raises(OptionUnknown):
        options_read(ImportOptions, values)


def test_a_model_elsewhere_is_a_name_that_nobody_can_deploy(project: Project) -> None:
    version = external_version_get(project=project, name="bert/base 🎉", actor=SYSTEM)
    assert external_version_get(project=project, name="bert/base 🎉", actor=SYSTEM) == version
    assert external_version_get(project=project, name="bert base", actor=SYSTEM) != version
    assert version.origin == ModelVersion.Origin.EXTERNAL
    assert version not in versions_visible(project)
    with pytest.raises(VersionExternal):
        deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="x")
    assert not Deployment.objects.exists()


OTHERWISE = jsonl(
    {"content": "Ada in Rome", "doc_id": 7, "annotations": [{"from": 0, "to": 3, "kind": "per"}]},
    {"content": "Nobody"},
)
FIELDS = {
    "text": "content",
    "id": "doc_id",
    "spans": "annotations",
    "start": "from",
    "end": "to",
    "label": "kind",
}


def test_fields_that_are_called_otherwise_are_read_as_somebody_says(project: Project, tmp_path: Path) -> None:
    job = imported(project, tmp_path, OTHERWISE, fields=FIELDS)
    assert job.status == JobStatus.DONE, job.error
    assert [(d.external_id, d.text) for d in Document.objects.order_by("created_at")] == [
        ("7", "Ada in Rome"),
        ("", "Nobody"),
    ]
    assert [span["text"] for span in Correction.objects.get().spans] == ["Ada"]


def test_a_field_that_the_file_lacks_fails_the_import_with_those_it_has(
    project: Project, tmp_path: Path
) -> None:
    job = imported(project, tmp_path, OTHERWISE, fields={**FIELDS, "id": "doc_di"}, keep_good_rows=True)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "unknown_field")
    assert "content, doc_id, annotations" in job.error
    assert not Document.objects.exists()


def test_fields_of_a_format_that_has_none_fail_the_import(project: Project, tmp_path: Path) -> None:
    job = imported(project, tmp_path, b"Ada B-per\nran O\n", fields={"text": "content"})
    assert (job.status, job.error_code) == (JobStatus.FAILED, "no_fields")


@pytest.mark.parametrize(
    "fields",
    [
        {"txt": "content"},
        {"text": None},
        {"start": None},
        {"text": ""},
        {"text": "x" * 201},
        {"text": "a\x00"},
        {"text": "content", "id": "content"},
        {"start": "at", "end": "at"},
        {"text": 5},
        ["text"],
    ],
)
def test_fields_that_cannot_be_are_refused_before_anything_is_read(fields: Any) -> None:
    with pytest.raises(OptionUnknown) as refused:
        options_read(ImportOptions, {"fields": fields})
    assert refused.value.code == "invalid_option"


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(28, "No space left on device"), "disk"), (RuntimeError("?"), "internal_error")],
)
def test_a_failed_dry_run_is_told_in_its_row_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    job, _ = import_start(job=upload(project), options={}, dry_run=True, publish=False)
    before = AuditEvent.objects.count()

    def fail(**arguments: Any) -> Any:
        raise error

    monkeypatch.setattr("labeling.services.imports.rows_foresee", fail)
    import_run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.status, job.error_code) == (JobStatus.FAILED, code)
    assert AuditEvent.objects.count() == before


def test_a_lost_database_leaves_the_job_for_the_next_worker(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _ = import_start(job=upload(project), options={}, publish=False)

    def lost(**arguments: Any) -> Any:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("labeling.services.imports.rows_store", lost)
    with pytest.raises(OperationalError):
        import_run(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == JobStatus.RUNNING
