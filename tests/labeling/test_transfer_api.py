"""Imports and exports for machines: strict, idempotent, and refused before the body is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audit.services import SYSTEM
from corpus.models import Document, Project
from corpus.services import LabelDraft, project_create
from feedback.models import Correction
from inference.authentication import key_ring
from inference.services import api_key_create
from labeling.models import ExportJob, ImportJob
from labeling.services import export_run, export_start, import_run
from tests.labeling.transfer import jsonl, row

pytestmark = pytest.mark.django_db

GOLD = jsonl(row("Ada in Rome", (0, 3, "per"), (7, 11, "geo"), id="a1"), row("Nothing"))
PLAIN = "application/octet-stream"
EMPTY: dict[str, Any] = {"data": b"", "content_type": "application/json"}


@pytest.fixture
def caller(project: Project) -> Client:
    """A machine with both scopes."""
    return machine(project, "import", "export")


def machine(project: Project, *scopes: str) -> Client:
    key_ring.forget()
    _, secret = api_key_create(project=project, name="-".join(scopes) or "none", scopes=scopes, actor=SYSTEM)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def send(caller: Client, content: bytes = GOLD, query: str = "") -> Any:
    return caller.post(f"/api/v1/imports{query}", data=content, content_type=PLAIN)


def test_a_file_comes_in_by_the_body_and_the_key_is_its_author(caller: Client) -> None:
    answer = send(caller, query="?file_name=gold.jsonl&source=Lyon")
    assert answer.status_code == 201, answer.content
    job = ImportJob.objects.get(pk=answer.json()["id"])
    assert (answer.json()["status"], job.file_name) == ("queued", "gold.jsonl")
    import_run(job_id=job.pk)
    told = caller.get(f"/api/v1/imports/{job.pk}").json()
    assert (told["status"], told["counts"]["corrected"], told["labels"]) == ("done", 2, {"per": 1, "geo": 1})
    assert set(Correction.objects.values_list("api_key", "author", "source")) == {
        (job.api_key_id, None, "Lyon")
    }


def test_a_file_comes_in_by_a_form_too(caller: Client) -> None:
    answer = caller.post("/api/v1/imports", {"file": SimpleUploadedFile("gold.jsonl", GOLD)})
    assert (answer.status_code, answer.json()["file_name"]) == (201, "gold.jsonl")


def test_the_same_file_again_is_the_same_import(caller: Client) -> None:
    first = send(caller).json()
    import_run(job_id=first["id"])
    again = send(caller)
    assert (again.status_code, again.json()["already_imported"], again.json()["id"]) == (
        200,
        True,
        first["id"],
    )
    assert Document.objects.count() == 2


def test_labels_are_mapped_by_the_query(caller: Client) -> None:
    job = send(caller, query='?labels={"per":"org","geo":null}').json()
    import_run(job_id=job["id"])
    assert [s["label"] for c in Correction.objects.all() for s in c.spans] == ["org"]


def test_fields_are_mapped_by_the_query(caller: Client) -> None:
    content = jsonl({"content": "Ada in Rome", "doc_id": 7, "ents": [[0, 3, "per"]]})
    job = send(caller, content, '?fields={"text":"content","id":"doc_id","spans":"ents"}').json()
    import_run(job_id=job["id"])
    assert Document.objects.values_list("text", "external_id").get() == ("Ada in Rome", "7")
    assert Correction.objects.get().spans[0]["text"] == "Ada"


def test_a_dry_run_stores_nothing(caller: Client) -> None:
    job = send(caller, query="?dry_run=true").json()
    import_run(job_id=job["id"])
    told = caller.get(f"/api/v1/imports/{job['id']}").json()
    assert (told["status"], told["is_dry_run"], told["counts"]["new"]) == ("checked", True, 2)
    assert not Document.objects.exists()


def test_bad_records_are_listed(caller: Client) -> None:
    job = send(caller, GOLD + b"{\n").json()
    import_run(job_id=job["id"])
    told = caller.get(f"/api/v1/imports/{job['id']}").json()
    assert (told["status"], told["error_code"], told["error_count"]) == ("failed", "rows_refused", 1)
    assert told["errors"][0]["place"] == 3


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?format=exe", "invalid_option"),
        ("?labels=[", "invalid_option"),
        ("?labels=[]", "invalid_option"),
        ("?fields={", "invalid_option"),
        ('?fields={"txt":"content"}', "invalid_option"),
        ("?dry_run=yes", "invalid_option"),
        ("?create_labels=true", "unknown_parameter"),
        ("?path=/etc/passwd", "unknown_parameter"),
    ],
)
def test_options_are_read_strictly(caller: Client, query: str, code: str) -> None:
    answer = send(caller, query=query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not ImportJob.objects.exists()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "empty_file"),
        (b"PK\x03\x04x", 415, "unknown_format"),
        (b"\x1f\x8bx", 415, "unknown_format"),
    ],
)
def test_what_is_no_text_is_refused_at_once(caller: Client, content: bytes, status: int, code: str) -> None:
    answer = send(caller, content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not ImportJob.objects.exists()


def test_a_body_that_is_too_large_is_refused_before_it_is_read(caller: Client, settings: Any) -> None:
    settings.LIMITS = {**settings.LIMITS, "upload_bytes": 10}
    answer = send(caller)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert not (settings.DATA_DIR / "uploads").exists()


def test_json_is_no_file(caller: Client) -> None:
    answer = caller.post("/api/v1/imports", data={}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_an_import_is_cancelled_once(caller: Client) -> None:
    job = send(caller).json()
    assert caller.post(f"/api/v1/imports/{job['id']}/cancel", **EMPTY).json()["status"] == "cancelled"
    again = caller.post(f"/api/v1/imports/{job['id']}/cancel", **EMPTY)
    assert (again.status_code, again.json()["code"]) == (409, "job_ended")


@pytest.mark.django_db(transaction=True)
def test_a_file_goes_out(caller: Client) -> None:
    import_run(job_id=send(caller).json()["id"])
    answer = caller.post("/api/v1/exports", data={"format": "jsonl"}, content_type="application/json")
    assert answer.status_code == 201, answer.content
    address = f"/api/v1/exports/{answer.json()['id']}"
    early = caller.get(f"{address}/file")
    assert (early.status_code, early.json()["code"]) == (409, "not_exported")
    export_run(job_id=answer.json()["id"])
    told = caller.get(address).json()
    assert (told["status"], told["position"], told["label_set_revision"]) == ("done", 2, 1)
    file = caller.get(f"{address}/file")
    rows = [json.loads(line) for line in b"".join(file.streaming_content).splitlines()]  # type: ignore[attr-defined]
    assert [r["text"] for r in rows] == ["Ada in Rome", "Nothing"]
    assert file.headers["Content-Type"] == PLAIN
    assert file.headers["Content-Security-Policy"] == "sandbox"


def test_an_export_is_asked_for_strictly_and_cancelled(caller: Client) -> None:
    post: dict[str, Any] = {"content_type": "application/json"}
    assert caller.post("/api/v1/exports", data={"format": "exe"}, **post).status_code == 400
    assert caller.post("/api/v1/exports", data={"path": "/x"}, **post).status_code == 400
    assert caller.post("/api/v1/exports", data={"since": "2026-01-01T00:00:00"}, **post).status_code == 400
    job = caller.post("/api/v1/exports", data={}, **post).json()
    assert caller.post(f"/api/v1/exports/{job['id']}/cancel", **EMPTY).json()["status"] == "cancelled"


def test_each_act_needs_its_scope_and_its_own_project(project: Project) -> None:
    stranger_project = project_create(
        slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM
    )
    taken_in = ImportJob.objects.create(project=project, status="done", format="jsonl")
    taken_out: ExportJob = export_start(project=project, options={}, publish=False)
    reader = machine(project, "models")
    stranger = machine(stranger_project, "import", "export")
    for address in (f"/api/v1/imports/{taken_in.pk}", f"/api/v1/exports/{taken_out.pk}"):
        assert reader.get(address).status_code == 403
        assert stranger.get(address).status_code == 404
        assert stranger.post(f"{address}/cancel", **EMPTY).status_code == 404
    assert stranger.get(f"/api/v1/exports/{taken_out.pk}/file").status_code == 404
