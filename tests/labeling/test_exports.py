"""Exporting labelled texts: one moment, one file, one manifest."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from audit.models import AuditEvent
from corpus.errors import Refused
from corpus.models import Document, Project
from corpus.services import document_store
from feedback.services import correction_submit
from inference.errors import FileGone
from labeling.errors import NotExported
from labeling.models import ExportJob, ImportJob, JobStatus
from labeling.options import ExportOptions
from labeling.selectors.exports import export_snapshot
from labeling.services import export_cancel, export_open, export_run, export_start
from labeling.services.uploads import EXPORT, MANIFEST, files_remove, files_sweep, folder_of, job_folder
from tests.labeling.transfer import imported, jsonl, row

# The snapshot is read on a connection of its own, which sees what is committed.
pytestmark = pytest.mark.django_db(transaction=True)

GOLD = jsonl(
    row("Ada wrote to London.", (0, 3, "per"), (13, 19, "geo"), id="a1"),
    row("Nothing here.", id="a2"),
    row("Ann 🎉 Boston\u2028x\ty\\n", (6, 12, "geo"), id="a3"),
)


def exported(project: Project, **options: Any) -> tuple[ExportJob, list[dict[str, Any]]]:
    job = export_start(project=project, options=options, publish=False)
    export_run(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == JobStatus.DONE, job.error
    with export_open(job=job) as file:
        return job, [json.loads(line) for line in file]


def test_what_was_imported_comes_out_again_in_order(project: Project, tmp_path: Path) -> None:
    imported(project, tmp_path, GOLD)
    _, rows = exported(project)
    assert [(r["id"], r["text"]) for r in rows] == [
        ("a1", "Ada wrote to London."),
        ("a2", "Nothing here."),
        ("a3", "Ann 🎉 Boston\u2028x\ty\\n"),
    ]
    assert [[(s["start"], s["end"], s["label"]) for s in r["spans"]] for r in rows] == [
        [(0, 3, "per"), (13, 19, "geo")],
        [],
        [(6, 12, "geo")],
    ]


def test_the_manifest_says_what_the_file_is(project: Project, tmp_path: Path) -> None:
    imported(project, tmp_path, GOLD)
    job, _ = exported(project)
    manifest = json.loads((job_folder(job) / MANIFEST).read_bytes())
    assert manifest == job.manifest
    with export_open(job=job) as file:
        content = file.read()
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest() == job.sha256
    assert (manifest["records"], manifest["size_bytes"]) == (3, len(content))
    assert (manifest["offset_unit"], manifest["label_set_revision"]) == ("codepoint", 1)


def test_texts_that_nobody_has_looked_at_come_only_when_asked(project: Project, tmp_path: Path) -> None:
    imported(project, tmp_path, GOLD)
    document_store(project=project, text="Unseen")
    assert len(exported(project)[1]) == 3
    everything = exported(project, reviewed_only=False)[1]
    assert "spans" not in everything[-1]
    assert len(everything) == 4


def test_strata_and_moments_choose(project: Project, ana: User, tmp_path: Path) -> None:
    imported(project, tmp_path, GOLD)
    document, _ = document_store(project=project, text="Eva")
    correction = correction_submit(
        document=document,
        spans=[],
        base_number=0,
        author=ana,
        prediction=None,
        stratum="random",
        milliseconds=1,
        idempotency_key="k",
    )
    assert [r["text"] for r in exported(project, strata=["random"])[1]] == ["Eva"]
    since = correction.created_at.isoformat()
    assert [r["text"] for r in exported(project, since=since)[1]] == ["Eva"]


def test_writers_change_nothing_of_a_snapshot(project: Project, tmp_path: Path) -> None:
    imported(project, tmp_path, GOLD)
    with export_snapshot(project=project, options=ExportOptions(reviewed_only=False)) as snapshot:
        assert snapshot.count() == 3
        document_store(project=project, text="Meanwhile")
        assert snapshot.count() == 3
        assert sum(1 for _ in snapshot.records()) == 3
    assert Document.objects.count() == 4


def test_who_may_not_export_gets_nothing(project: Project, ana: User) -> None:
    from tests.people import member

    nick = member(project, "nick", "annotator")
    with pytest.raises(Refused):
        export_start(project=project, options={}, user=nick)
    job = export_start(project=project, options={}, user=ana, publish=False)
    with pytest.raises(Refused):
        export_open(job=job, user=nick)
    with pytest.raises(NotExported):
        export_open(job=job, user=ana)
    assert export_cancel(job=job, user=ana).status == JobStatus.CANCELLED


def test_taking_a_file_is_noted(project: Project, ana: User, tmp_path: Path) -> None:
    imported(project, tmp_path, GOLD)
    job, _ = exported(project)
    export_open(job=job, user=ana).close()
    event = AuditEvent.objects.order_by("-id").first()
    assert event is not None
    assert (event.action, event.actor) == ("export.download", f"user:{ana.pk}")
    files_remove(job)
    with pytest.raises(FileGone):
        export_open(job=job, user=ana)


def test_a_link_in_place_of_the_file_is_not_followed(project: Project, tmp_path: Path) -> None:
    imported(project, tmp_path, GOLD)
    job, _ = exported(project)
    path = job_folder(job) / "export"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(FileGone):
        export_open(job=job)


def test_a_failed_export_leaves_no_half_of_its_file(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(project, tmp_path, GOLD)
    job = export_start(project=project, options={}, publish=False)

    def full(*arguments: Any) -> None:
        assert (job_folder(job) / EXPORT).exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("labeling.services.exports.write_records", full)
    export_run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.status, job.error_code) == (JobStatus.FAILED, "disk")
    assert not (job_folder(job) / EXPORT).exists()
    assert AuditEvent.objects.latest("number").action == "export.fail"


def test_a_file_whose_request_died_is_removed_after_a_day(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    left, fresh = (folder_of(ImportJob, uuid.uuid4()) for _ in range(2))
    for folder in (left, fresh):
        folder.mkdir(parents=True)
    os.utime(left, (0, 0))
    files_sweep()
    assert (left.exists(), fresh.exists()) == (False, True)
