"""The pages of importing and exporting: what a person sees, sends and gets."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from corpus.models import Document, Project
from feedback.models import Correction
from labeling.models import ExportJob, ImportJob, JobStatus
from labeling.services import export_run, export_start, import_run
from tests.labeling.transfer import imported, jsonl, row

pytestmark = pytest.mark.django_db

GOLD = jsonl(row("Ada in Rome", (0, 3, "PERSON"), (7, 11, "geo"), id="a1"), row("Nothing"))
XSS = '<img src=x onerror="alert(1)">'


@pytest.fixture
def web(mia: User) -> Client:
    """Mia's browser."""
    client = Client()
    client.force_login(mia)
    return client


def sent(web: Client, content: bytes = GOLD, name: str = "gold.jsonl") -> ImportJob:
    answer = web.post(
        reverse("labeling:imports", args=["orchard"]),
        data=content,
        content_type="application/octet-stream",
        headers={"X-File-Name": name},
    )
    assert answer.status_code == 201, answer.content
    return ImportJob.objects.get(pk=answer.json()["url"].split("/")[-2])


def page_of(web: Client, job: ImportJob) -> str:
    return web.get(reverse("labeling:import", args=["orchard", job.pk])).content.decode()


def test_a_file_is_looked_at_before_anything_is_stored(web: Client, project: Project) -> None:
    job = sent(web)
    page = page_of(web, job)
    assert "Ada" in page
    assert "<mark" in page
    # PERSON is not a label here; per is what it most likely means.
    assert re.search(r'value="per"\s+selected', page)
    assert "suggested" in page
    assert not Document.objects.exists()


def test_a_form_without_script_brings_a_file_in_too(web: Client, project: Project) -> None:
    address = reverse("labeling:imports", args=["orchard"])
    answer = web.post(address, {"file": SimpleUploadedFile("gold.jsonl", GOLD)})
    job = ImportJob.objects.get()
    assert answer.headers["Location"] == reverse("labeling:import", args=["orchard", job.pk])


def test_the_choices_of_the_form_are_the_jobs(web: Client, project: Project, mia: User) -> None:
    job = sent(web)
    address = reverse("labeling:import", args=["orchard", job.pk])
    answer = web.post(
        address,
        {
            "action": "store",
            "format": "auto",
            "source": "Lyon",
            "label": ["PERSON", "geo"],
            "to": ["per", ""],
            "keep_good_rows": "on",
        },
    )
    assert answer.status_code == 302
    import_run(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == JobStatus.DONE, job.error
    correction = Correction.objects.get(document__external_id="a1")
    assert ([s["label"] for s in correction.spans], correction.source) == (["per"], "Lyon")
    assert correction.author == mia
    assert "What was stored" in page_of(web, job)


def test_a_dry_run_shows_its_report_and_can_be_followed_by_the_import(web: Client, project: Project) -> None:
    job = sent(web)
    choices = {"format": "auto", "label": ["PERSON"], "to": ["per"]}
    address = reverse("labeling:import", args=["orchard", job.pk])
    web.post(address, {"action": "try", **choices})
    import_run(job_id=job.pk)
    page = page_of(web, job)
    assert "What an import would do" in page
    assert not Document.objects.exists()
    web.post(address, {"action": "store", **choices})
    import_run(job_id=job.pk)
    assert Document.objects.count() == 2


def test_a_failure_is_told_and_the_bad_rows_can_be_taken_along(web: Client, project: Project) -> None:
    job = sent(web, GOLD + b'{"text": \n=1+1\n')
    web.post(reverse("labeling:import", args=["orchard", job.pk]), {"action": "store"})
    import_run(job_id=job.pk)
    assert "2 bad records" in page_of(web, job)
    table = web.get(reverse("labeling:import_errors", args=["orchard", job.pk]))
    assert table.headers["Content-Disposition"] == 'attachment; filename="errors.csv"'
    assert table.headers["Content-Type"] == "application/octet-stream"
    assert table.headers["X-Content-Type-Options"] == "nosniff"
    assert table.headers["Content-Security-Policy"] == "sandbox"
    assert table.content.decode().splitlines()[0] == "line,code,problem"


def test_the_state_is_told_while_it_runs_and_an_import_can_be_stopped(web: Client, project: Project) -> None:
    job = sent(web)
    web.post(reverse("labeling:import", args=["orchard", job.pk]), {"action": "store"})
    state = web.get(reverse("labeling:import_state", args=["orchard", job.pk])).json()
    assert (state["status"], state["is_active"]) == ("queued", True)
    assert "data-job" in page_of(web, job)
    web.post(reverse("labeling:import_cancel", args=["orchard", job.pk]))
    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLED


def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    web: Client, project: Project, settings: Any
) -> None:
    settings.LIMITS = {**settings.LIMITS, "upload_bytes": 10}
    answer = web.post(
        reverse("labeling:imports", args=["orchard"]),
        data=GOLD,
        content_type="application/octet-stream",
        headers={"X-File-Name": "gold.jsonl"},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert not settings.DATA_DIR.exists()


def test_a_form_that_is_too_large_is_refused_before_it_is_read(
    project: Project, mia: User, settings: Any
) -> None:
    settings.LIMITS = {**settings.LIMITS, "upload_bytes": 10}
    # With the check of the form's token, which reads the form before any view does.
    web = Client(enforce_csrf_checks=True)
    web.force_login(mia)
    address = reverse("labeling:imports", args=["orchard"])
    web.get(address)
    file = SimpleUploadedFile("gold.jsonl", b"x" * 100_000)
    answer = web.post(address, {"file": file})
    # Read, it would have been refused as a form without a token.
    assert answer.status_code == 400
    assert not ImportJob.objects.exists()


@pytest.mark.parametrize(
    ("content", "status"), [(b"PK\x03\x04zip", 415), (b"\x89PNG\r\n", 415), (b"", 400), (b"MZ\x00", 415)]
)
def test_a_file_that_is_no_text_is_refused_and_not_kept(
    web: Client, project: Project, settings: Any, content: bytes, status: int
) -> None:
    answer = web.post(
        reverse("labeling:imports", args=["orchard"]),
        data=content,
        content_type="application/octet-stream",
        headers={"X-File-Name": "gold.csv"},
    )
    assert answer.status_code == status
    assert not ImportJob.objects.exists()
    assert not list(settings.DATA_DIR.rglob("upload"))


def test_nothing_in_a_file_becomes_markup(web: Client, project: Project) -> None:
    content = jsonl(
        row(
            f"{XSS} Ada", (0, len(XSS), f"x{XSS}"), id=XSS, metadata={XSS: XSS}, annotator=XSS, comments=[XSS]
        ),
        {"text": XSS, "spans": XSS},
    )
    job = sent(web, content, name="%3Cimg src=x onerror=alert(1)%3E.jsonl")
    web.post(
        reverse("labeling:import", args=["orchard", job.pk]),
        {"action": "try", "keep_good_rows": "on", "source": XSS},
    )
    import_run(job_id=job.pk)
    pages = [page_of(web, job), web.get(reverse("labeling:imports", args=["orchard"])).content.decode()]
    for page in pages:
        assert "<img src=x" not in page
        assert html.escape("<img src=x") in page


def test_a_page_of_a_file_of_another_project_is_not_there(web: Client, project: Project) -> None:
    from audit.services import SYSTEM
    from corpus.services import LabelDraft, project_create

    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    job = ImportJob.objects.create(project=other, status=JobStatus.UPLOADED, format="auto")
    assert web.get(reverse("labeling:import", args=["orchard", job.pk])).status_code == 404


def test_lists_ask_the_database_as_often_for_thirty_jobs_as_for_one(
    web: Client, project: Project, django_assert_max_num_queries: Any
) -> None:
    ImportJob.objects.bulk_create(
        ImportJob(project=project, status=JobStatus.DONE, format="jsonl", sha256=f"{n:064d}")
        for n in range(30)
    )
    ExportJob.objects.bulk_create(
        ExportJob(project=project, status=JobStatus.DONE, format="jsonl", file_name=f"{n}") for n in range(30)
    )
    for name in ("labeling:imports", "labeling:exports"):
        with django_assert_max_num_queries(12):
            web.get(reverse(name, args=["orchard"]))


@pytest.mark.django_db(transaction=True)
def test_an_export_is_chosen_judged_written_and_downloaded(
    web: Client, project: Project, tmp_path: Path
) -> None:
    imported(project, tmp_path, jsonl(row("Ada in Rome", (0, 3, "per"))))
    address = reverse("labeling:exports", args=["orchard"])
    looked = web.post(address, {"action": "look", "format": "text"}).content.decode()
    assert "An entity is not written" in looked
    web.post(address, {"action": "write", "format": "jsonl", "which": "all"})
    job = ExportJob.objects.get()
    export_run(job_id=job.pk)
    page = web.get(reverse("labeling:export", args=["orchard", job.pk])).content.decode()
    assert "Nothing is lost" in page
    file = web.get(reverse("labeling:export_file", args=["orchard", job.pk]))
    assert b"".join(file.streaming_content).startswith(b'{"text"')  # type: ignore[attr-defined]
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["Content-Disposition"] == 'attachment; filename="orchard.jsonl"'
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert file.headers["Content-Security-Policy"] == "sandbox"


def test_a_file_that_is_not_written_yet_is_not_there(web: Client, project: Project) -> None:
    job = export_start(project=project, options={}, publish=False)
    assert web.get(reverse("labeling:export_file", args=["orchard", job.pk])).status_code == 404


OTHERWISE = jsonl(
    {
        "body": "Ada in Rome",
        "doc_id": "a1",
        "title": "Of Ada",
        "ents": [{"begin": 0, "stop": 3, "tag": "per"}],
    },
    {"body": "Nothing else", "doc_id": "a2", "title": "Of no one", "ents": []},
)


def selected(page: str) -> dict[str, tuple[str, str]]:
    """Of each field's select what is chosen: what is sent, and what is read."""
    found = {}
    for part, options in re.findall(r'<select[^>]*name="field_(\w+)"[^>]*>(.*?)</select>', page, re.DOTALL):
        ((value, words),) = re.findall(r'<option value="([^"]*)"\s+selected>([^<]*)<', options)
        found[part] = value, words
    return found


def test_a_file_whose_fields_are_called_otherwise_is_shown_as_it_most_likely_is(
    web: Client, project: Project
) -> None:
    page = page_of(web, sent(web, OTHERWISE))
    assert selected(page) == {
        "text": ("body", "body"),
        "id": ("doc_id", "doc_id"),
        "spans": ("ents", "ents"),
        "start": ("begin", "begin"),
        "end": ("stop", "stop"),
        "label": ("tag", "tag"),
    }
    assert 'class="state bad"' not in page
    assert page.count("<mark") == 1


def test_another_choice_of_fields_shows_the_records_anew_and_is_the_jobs(
    web: Client, project: Project
) -> None:
    job = sent(web, OTHERWISE)
    address = reverse("labeling:import", args=["orchard", job.pk])
    choices = {
        "format": "auto",
        "fields_of": "auto",
        "field_text": "title",
        "field_id": "doc_id",
        "field_spans": " ",
    }
    page = web.post(address, {**choices, "action": "look"}).content.decode()
    assert selected(page) == {
        "text": ("title", "title"),
        "id": ("doc_id", "doc_id"),
        "spans": (" ", "Nowhere"),
    }
    assert "Of no one" in page
    web.post(address, {**choices, "action": "store"})
    import_run(job_id=job.pk)
    job.refresh_from_db()
    assert job.options["fields"] == {"text": "title", "id": "doc_id", "spans": None}
    assert set(Document.objects.values_list("external_id", "text")) == {("a1", "Of Ada"), ("a2", "Of no one")}
    assert not Correction.objects.exists()


def test_what_is_read_anyway_is_no_choice(web: Client, project: Project) -> None:
    job = sent(web)
    page = page_of(web, job)
    assert selected(page) == {"text": ("", "text"), "id": ("", "id"), "spans": ("", "spans")}
    nothing = {"field_text": "", "field_id": "", "field_spans": ""}
    web.post(
        reverse("labeling:import", args=["orchard", job.pk]),
        {**nothing, "action": "store", "format": "auto", "fields_of": "auto", "label": "PERSON", "to": "per"},
    )
    job.refresh_from_db()
    assert job.options["fields"] == {}


def test_fields_that_were_chosen_for_another_format_are_forgotten(web: Client, project: Project) -> None:
    job = sent(web, b"body,doc_id\nAda,a1\n")
    address = reverse("labeling:import", args=["orchard", job.pk])
    choices = {"action": "look", "format": "text", "fields_of": "auto", "field_text": "body"}
    page = web.post(address, choices).content.decode()
    assert selected(page) == {}
    assert "body,doc_id" in page


def test_formats_without_fields_have_none_to_choose(web: Client, project: Project) -> None:
    assert selected(page_of(web, sent(web, b"Ada B-per\nran O\n"))) == {}
