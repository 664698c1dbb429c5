"""Bulk prediction: every line of a file is answered once, in its place, by one version."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connections
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Label, Project
from corpus.services import LabelDraft, project_create
from inference.authentication import key_ring
from inference.engine import Serving, engine
from inference.errors import ModelLoading
from inference.models import ApiKey, ModelVersion, Prediction, PredictionChunk, PredictionJob
from inference.services import api_key_create, deployment_set, version_register
from inference.services import chunks as chunk_services
from inference.services import files as file_services
from inference.services.chunks import chunk_work
from inference.services.job_files import files_sweep, folder_of
from inference.services.jobs import job_work, jobs_sweep
from tests.bundles import tiny_bundle
from tests.inference.conftest import Post

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("champion")]

LINES = b'{"text": "Ada in London", "id": "a"}\nnonsense\n\n{"text": "nobody", "id": 7}\n'
PLAIN = "application/octet-stream"
Status = PredictionJob.Status


def many(count: int) -> bytes:
    """A file of so many lines, each of which names itself."""
    return b"".join(b'{"text": "Ada wrote letter %d to Boston", "id": %d}\n' % (n, n) for n in range(count))


@pytest.fixture
def send(post: Post) -> Post:
    """Hand a file in."""

    def call(content: bytes = LINES, query: str = "", **headers: str) -> Any:
        return post(f"jobs{query}", content, content_type=PLAIN, headers=headers)

    return call


@pytest.fixture
def result(get: Post) -> Callable[[str], list[dict[str, Any]]]:
    """The lines of a job's result."""

    def call(pk: str) -> list[dict[str, Any]]:
        answer = get(f"jobs/{pk}/result")
        assert answer.status_code == 200, answer.content
        content = b"".join(answer.streaming_content)
        assert len(content) == int(answer["Content-Length"])
        return [json.loads(line) for line in content.splitlines()]

    return call


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of ten lines."""
    monkeypatch.setattr(chunk_services, "LINES", 10)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the broker was told, in place of a worker's doing them."""
    told: list[str] = []
    monkeypatch.setattr(
        "inference.services.leases.current_app.send_task", lambda _, args, **__: told.append(args[0])
    )
    return told


def work(pk: str) -> None:
    job_work(job_id=uuid.UUID(pk))


def test_a_file_is_answered_line_by_line_with_errors_in_their_place(
    send: Post, get: Post, result: Any, champion: ModelVersion
) -> None:
    started = send(query="?file_name=letters.jsonl")
    assert started.status_code == 201, started.content
    pk = started.json()["id"]
    assert started.json()["status"] == "queued"
    assert started.json()["model_version"] == "tiny@1"
    assert get(f"jobs/{pk}/result").json()["code"] == "job_not_done"
    work(pk)
    told = get(f"jobs/{pk}").json()
    assert (told["status"], told["percent"], told["lines"], told["failed"]) == ("done", 100, 3, 1)
    first, bad, last = result(pk)
    assert (first["line"], first["id"], first["status"], first["model_version"]) == (1, "a", "ok", "tiny@1")
    assert [(e["text"], e["type"], e["start"], e["end"]) for e in first["entities"]] == [
        ("Ada", "per", 0, 3),
        ("London", "geo", 7, 13),
    ]
    assert first["entities"][0]["confidence"] > 0.9
    assert (bad["line"], bad["status"], bad["error"]["code"]) == (2, "error", "malformed_json")
    assert last == {"line": 4, "id": 7, "status": "ok", "model_version": "tiny@1", "entities": []}
    assert not Prediction.objects.exists(), "nothing is kept unless it was asked for"
    events = AuditEvent.objects.filter(action__startswith="job.").order_by("pk")
    assert [event.action for event in events] == ["job.start", "job.finish", "job.download"]


def test_a_form_and_plain_text_do_too(client: Client, key: tuple[ApiKey, str], result: Any) -> None:
    answer = client.post(
        "/api/v1/jobs",
        {"file": SimpleUploadedFile("letters.txt", b"Ada\nin Boston\n")},
        headers={"Authorization": f"Bearer {key[1]}"},
    )
    assert (answer.status_code, answer.json()["format"]) == (201, "text")
    work(answer.json()["id"])
    assert [[e["text"] for e in line["entities"]] for line in result(answer.json()["id"])] == [
        ["Ada"],
        ["Boston"],
    ]


def test_options_are_those_of_predict(send: Post, result: Any) -> None:
    Label.objects.filter(name="per").update(is_pii=True)
    key_ring.forget()
    text = "\U0001f600 Ada".encode()
    job = send(
        text, query="?offset_unit=utf16&mask_pii=true&output_format=json&return_confidence=false"
    ).json()
    work(job["id"])
    (line,) = result(job["id"])
    assert line["entities"] == [{"text": "Ada", "type": "per", "start": 3, "end": 6}]
    assert line["predictions"][-1] == {"word": "Ada", "tag": "B-per", "start": 3, "end": 6}
    assert line["masked_text"] == "\U0001f600 [PER_1]"
    unsure = send(text, query="?min_confidence=1").json()
    work(unsure["id"])
    assert result(unsure["id"])[0]["entities"] == []


@pytest.mark.parametrize(
    ("query", "status", "code", "pointer"),
    [
        ("?output_format=xml", 400, "invalid_option", "/output_format"),
        ("?min_confidence=2", 400, "invalid_option", "/min_confidence"),
        ("?mask_pii=perhaps", 400, "invalid_option", "/mask_pii"),
        ("?text_field=", 400, "invalid_option", "/text_field"),
        ("?text_field=a&id_field=a", 400, "invalid_option", "/id_field"),
        ("?text_field=%00", 400, "invalid_option", "/text_field"),
        ("?format=csv", 400, "no_text_field", "/text_field"),
        ("?model=none", 404, "unknown_model", "/model"),
        ("?project=other", 403, "other_project", "/project"),
        ("?colour=red", 400, "unknown_parameter", None),
        ("?limit=3", 400, "unknown_parameter", None),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    send: Post, query: str, status: int, code: str, pointer: str | None, settings: Any
) -> None:
    answer = send(query=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert [error["pointer"] for error in answer.json()["errors"]] == ([pointer] if pointer else [])
    assert not PredictionJob.objects.exists()
    assert not list((Path(settings.DATA_DIR) / "jobs").glob("*")), "nothing is kept of it"


@pytest.mark.parametrize(("content", "code"), [(b"", "empty_file"), (b"\xff\xfea\0", "invalid_encoding")])
def test_a_file_that_is_none_is_refused_at_once(send: Post, content: bytes, code: str) -> None:
    assert send(content).json()["code"] == code


def test_a_file_that_is_too_large_is_refused_before_it_is_read(send: Post, settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"job_bytes": len(LINES) - 1}
    answer = send()
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert send(LINES[:-1]).status_code == 201


def test_the_version_of_the_start_answers_to_the_end(
    send: Post, result: Any, project: Project, tmp_path: Path, small_chunks: None
) -> None:
    pk = send(many(25)).json()["id"]
    assert chunk_work(job_id=uuid.UUID(pk))
    other = version_register(
        path=tiny_bundle(tmp_path / "new", {"Boston": "B-org"}), name="new", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=other, actor=SYSTEM, reason="better")
    # So would a label's bar that is raised meanwhile.
    Label.objects.filter(name="per").update(confidence_threshold=1.0)
    engine.forget()
    work(pk)
    lines = result(pk)
    assert {line["model_version"] for line in lines} == {"tiny@1"}
    assert {tuple(e["type"] for e in line["entities"]) for line in lines} == {("per", "geo")}


def test_a_key_of_another_project_finds_nothing(send: Post, client: Client, get: Post, result: Any) -> None:
    pk = send().json()["id"]
    work(pk)
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    _, secret = api_key_create(project=other, name="other", scopes=["predict"], actor=SYSTEM)
    headers = {"Authorization": f"Bearer {secret}"}
    for path in (pk, f"{pk}/result"):
        assert client.get(f"/api/v1/jobs/{path}", headers=headers).status_code == 404
    assert client.generic("POST", f"/api/v1/jobs/{pk}/cancel", headers=headers).status_code == 404
    assert client.get("/api/v1/jobs", headers=headers).json() == {"jobs": [], "next": None}
    assert client.get(f"/api/v1/jobs?before={pk}", headers=headers).status_code == 404
    assert [job["id"] for job in get("jobs").json()["jobs"]] == [pk]


def test_a_key_needs_the_scope(send: Post, get: Post) -> None:
    ApiKey.objects.update(scopes=["models"])
    assert send().json()["code"] == "missing_scope"
    assert get("jobs").json()["code"] == "missing_scope"


def test_the_list_is_read_page_by_page(send: Post, get: Post) -> None:
    made = [send().json()["id"] for _ in range(5)][::-1]
    first = get("jobs?limit=2").json()
    second = get(f"jobs?limit=2&before={first['next']}").json()
    third = get(f"jobs?limit=2&before={second['next']}").json()
    assert [job["id"] for page in (first, second, third) for job in page["jobs"]] == made
    assert third["next"] is None
    assert get("jobs?limit=0").json()["code"] == get("jobs?before=x").json()["code"] == "invalid_option"


def test_an_idempotency_key_starts_one_job(send: Post) -> None:
    named = {"Idempotency-Key": "monday"}
    first, again = send(**named), send(**named)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["already_started"], again.json()["already_started"]) == (False, True)
    for other in (send(LINES + b"more\n", **named), send(query="?store=true", **named)):
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert send(**{"Idempotency-Key": " "}).json()["code"] == "invalid_idempotency_key"
    assert PredictionJob.objects.count() == 1
    assert len(list(folder_of(uuid.UUID(first.json()["id"])).parent.iterdir())) == 1


def test_a_key_has_so_many_unfinished_jobs_and_no_more(send: Post, settings: Any) -> None:
    settings.JOBS_PER_KEY = 2
    first, _ = send(), send()
    refused = send()
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_jobs")
    assert int(refused["Retry-After"]) > 0
    work(first.json()["id"])
    assert send().status_code == 201


def test_a_job_costs_one_of_the_hours_texts(send: Post) -> None:
    answer = send(many(500))
    assert int(answer["X-RateLimit-Limit"]) - int(answer["X-RateLimit-Remaining"]) == 1


def test_what_is_kept_is_kept_once_with_the_job_it_came_by(
    send: Post, result: Any, champion: ModelVersion, small_chunks: None
) -> None:
    pk = send(many(25), query="?store=true&language=en").json()["id"]
    work(pk)
    lines = result(pk)
    assert Prediction.objects.count() == 25
    for line in lines:
        kept = Prediction.objects.get(pk=line["prediction_id"])
        assert kept.text == f"Ada wrote letter {line['id']} to Boston"
        assert (kept.version, kept.request_id, kept.language) == (champion, f"job-{pk}", "en")
        assert [span["label"] for span in kept.spans] == ["per", "geo"]


def test_a_cancelled_job_leaves_nothing_behind(send: Post, post: Post, get: Post, small_chunks: None) -> None:
    pk = send(many(25)).json()["id"]
    chunk_work(job_id=uuid.UUID(pk))
    stopped = post(f"jobs/{pk}/cancel", b"")
    assert (stopped.status_code, stopped.json()["status"], stopped.json()["lines"]) == (200, "cancelled", 10)
    assert not chunk_work(job_id=uuid.UUID(pk))
    again = post(f"jobs/{pk}/cancel", b"")
    assert (again.status_code, again.json()["code"]) == (409, "job_ended")
    assert get(f"jobs/{pk}/result").json()["code"] == "job_not_done"


def test_a_worker_hears_that_its_job_was_cancelled(
    send: Post, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = send(many(3)).json()["id"]
    plain = Serving.recognise

    def cancelled_meanwhile(self: Serving, texts: list[str]) -> Any:
        post(f"jobs/{pk}/cancel", b"")
        return plain(self, texts)

    monkeypatch.setattr(Serving, "recognise", cancelled_meanwhile)
    work(pk)
    job = PredictionJob.objects.get()
    assert (job.status, job.lines) == (Status.CANCELLED, 0)


@pytest.fixture
def commits(transactional_db: None) -> None:
    """What is said on commit is said."""


def test_a_job_that_was_cancelled_or_grew_old_has_no_files(
    commits: None, send: Post, post: Post, get: Post, settings: Any, published: list[str]
) -> None:
    gone = send().json()["id"]
    post(f"jobs/{gone}/cancel", b"")
    assert not folder_of(uuid.UUID(gone)).exists()
    old = send().json()["id"]
    assert published == [gone] * settings.JOB_WORKERS + [old] * settings.JOB_WORKERS
    work(old)
    left = [path.name for path in folder_of(uuid.UUID(old)).iterdir()]
    assert left == ["parts"], "nobody needs the texts any longer"
    files_sweep()
    assert get(f"jobs/{old}/result").status_code == 200
    PredictionJob.objects.filter(pk=old).update(ended_at=timezone.now() - timedelta(days=8))
    files_sweep()
    refused = get(f"jobs/{old}/result")
    assert (refused.status_code, refused.json()["code"]) == (410, "file_gone")
    assert get(f"jobs/{old}").json()["result_removed_at"] is not None
    assert not folder_of(uuid.UUID(old)).exists()
    assert not PredictionChunk.objects.exists()


def test_a_full_disk_is_told_and_nothing_of_the_file_stays(
    send: Post, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def without_room(path: Path) -> BinaryIO:
        path.parent.mkdir(parents=True)
        return open("/dev/full", "wb")

    monkeypatch.setattr(file_services, "file_new", without_room)
    refused = send(many(3))
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_full")
    assert refused.headers["Retry-After"] == "60"
    assert not PredictionJob.objects.exists()
    assert list(folder_of(uuid.uuid4()).parent.iterdir()) == []


def test_a_file_whose_request_died_is_removed_after_a_day(settings: Any) -> None:
    left, fresh = (folder_of(uuid.uuid4()) for _ in range(2))
    for folder in (left, fresh):
        folder.mkdir(parents=True)
    os.utime(left, (0, 0))
    files_sweep()
    assert (left.exists(), fresh.exists()) == (False, True)


def test_a_turn_is_taken_twice_or_for_nothing_without_harm(send: Post, result: Any) -> None:
    pk = send(many(30)).json()["id"]
    for _ in range(3):
        work(pk)
    work(str(uuid.uuid4()))
    assert [line["id"] for line in result(pk)] == list(range(30))
    assert PredictionJob.objects.get().lines == 30


def die_at(pk: str) -> None:
    """What a killed process leaves: a chunk that is taken, and nobody at it."""

    def dies(self: Serving, texts: list[str]) -> Any:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Serving, "recognise", dies)
        with pytest.raises(SystemExit):
            work(pk)


def expire() -> None:
    """Time passes, and the beat comes by."""
    PredictionChunk.objects.filter(status="running").update(lease_expires_at=Now() - timedelta(seconds=1))
    PredictionJob.objects.update(published_at=None)
    jobs_sweep()


def test_another_worker_goes_on_where_one_died(
    send: Post, result: Any, small_chunks: None, published: list[str]
) -> None:
    pk = send(many(35)).json()["id"]
    chunk_work(job_id=uuid.UUID(pk))
    die_at(pk)
    work(pk)
    assert PredictionJob.objects.get().status == Status.RUNNING, "the dead one's chunk is still its own"
    published.clear()
    expire()
    assert published, "workers are woken for it"
    work(pk)
    assert [line["id"] for line in result(pk)] == list(range(35))


def test_one_who_was_taken_for_dead_can_hand_in_nothing(
    send: Post, result: Any, monkeypatch: pytest.MonkeyPatch, published: list[str]
) -> None:
    pk = send(many(5), query="?store=true").json()["id"]
    plain, woke = Serving.recognise, []

    def sleeps(self: Serving, texts: list[str]) -> Any:
        if not woke:
            woke.append(True)
            expire()
            work(pk)  # somebody else does it meanwhile
        return plain(self, texts)

    monkeypatch.setattr(Serving, "recognise", sleeps)
    work(pk)
    assert PredictionJob.objects.get().lines == Prediction.objects.count() == 5
    assert [line["id"] for line in result(pk)] == list(range(5))
    parts = list((folder_of(uuid.UUID(pk)) / "parts").iterdir())
    assert len(parts) == 1, "what the late one wrote is gone"


def test_a_line_that_kills_its_process_is_closed_in_upon_and_answered_with_an_error(
    send: Post, result: Any, monkeypatch: pytest.MonkeyPatch, published: list[str]
) -> None:
    content = many(2_500).replace(b"letter 1234 ", b"POISON ")
    pk = send(content).json()["id"]
    plain, deaths = Serving.recognise, 0

    def recognise(self: Serving, texts: list[str]) -> Any:
        if any("POISON" in text for text in texts):
            raise SystemExit
        return plain(self, texts)

    monkeypatch.setattr(Serving, "recognise", recognise)
    while PredictionJob.objects.get().is_active and deaths < 20:
        try:
            work(pk)
        except SystemExit:
            deaths += 1
            expire()
    assert deaths == len(chunk_services.ROOMS)
    lines = result(pk)
    assert [line["id"] for line in lines] == list(range(2_500))
    assert {line["id"]: line["error"]["code"] for line in lines if "error" in line} == {1234: "process_died"}


def test_a_text_that_the_model_chokes_on_spoils_no_other(
    send: Post, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Serving.recognise

    def recognise(self: Serving, texts: list[str]) -> Any:
        if any("letter 7 " in text for text in texts):
            raise ValueError
        return plain(self, texts)

    monkeypatch.setattr(Serving, "recognise", recognise)
    pk = send(many(20)).json()["id"]
    work(pk)
    lines = result(pk)
    assert {line["id"]: line["error"]["code"] for line in lines if "error" in line} == {7: "internal_error"}
    assert len(lines) == 20


def test_a_bundle_that_cannot_be_loaded_ends_the_job_with_words(
    send: Post, get: Post, monkeypatch: pytest.MonkeyPatch, champion: ModelVersion, settings: Any
) -> None:
    pk = send().json()["id"]
    for path in (Path(settings.DATA_DIR) / "bundles" / champion.sha256).iterdir():
        path.write_bytes(b"?")
    engine.forget()
    work(pk)
    told = get(f"jobs/{pk}").json()
    assert (told["status"], told["error_code"]) == ("failed", "model_unusable")
    assert "tiny@1" in told["error"]


def test_a_model_that_is_still_being_loaded_is_waited_for(
    send: Post, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = send().json()["id"]
    with pytest.MonkeyPatch.context() as patch:

        def loading(version: ModelVersion, **_: Any) -> Serving:
            raise ModelLoading(model=str(version))

        patch.setattr(engine, "serving_version", loading)
        work(pk)
        assert PredictionChunk.objects.get().attempts == 0
    work(pk)
    assert len(result(pk)) == 3


def test_a_lost_file_ends_the_job_with_words(send: Post, get: Post) -> None:
    pk = send().json()["id"]
    (folder_of(uuid.UUID(pk)) / "upload").unlink()
    work(pk)
    assert get(f"jobs/{pk}").json()["error_code"] == "disk"


def test_a_lost_database_leaves_the_chunk_to_the_sweep(
    send: Post, result: Any, monkeypatch: pytest.MonkeyPatch, published: list[str]
) -> None:
    pk = send().json()["id"]
    with pytest.MonkeyPatch.context() as patch:

        def lost(*_: Any, **__: Any) -> None:
            raise OperationalError("gone")

        patch.setattr(chunk_services, "rows_copy", lost)
        with pytest.raises(OperationalError):
            work(pk)
    assert PredictionJob.objects.get().status == Status.RUNNING
    expire()
    work(pk)
    assert len(result(pk)) == 3


def test_workers_take_turns_between_jobs(
    commits: None, send: Post, published: list[str], monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    monkeypatch.setattr("inference.services.jobs.TURN_SECONDS", 0.0)
    first, second = (send(many(30)).json()["id"] for _ in range(2))
    published.clear()
    work(first)
    assert PredictionJob.objects.get(pk=first).lines == 10
    assert published == [first], "it comes back to it"
    PredictionJob.objects.filter(pk=second).update(status=Status.CANCELLED)
    work(first)
    assert PredictionJob.objects.get(pk=first).lines == 30, "nobody else waits"


def test_the_sweep_wakes_workers_for_what_the_broker_forgot_and_for_nothing_else(
    send: Post, published: list[str], settings: Any, small_chunks: None
) -> None:
    pk = send(many(30)).json()["id"]
    jobs_sweep()
    assert published == [pk] * settings.JOB_WORKERS
    jobs_sweep()
    assert published == [pk] * settings.JOB_WORKERS, "it was told a moment ago"
    die_at(pk)
    published.clear()
    jobs_sweep()
    assert published == [pk], "one more may join in"
    expire()
    work(pk)
    published.clear()
    jobs_sweep()
    assert published == []


def test_no_more_workers_are_at_a_job_than_allowed(send: Post, settings: Any, small_chunks: None) -> None:
    settings.JOB_WORKERS = 1
    pk = send(many(30)).json()["id"]
    die_at(pk)
    assert not chunk_work(job_id=uuid.UUID(pk))


def test_eight_workers_at_once_answer_every_line_once(
    commits: None, send: Post, result: Any, published: list[str], small_chunks: None
) -> None:
    pk = send(many(1_000), query="?store=true").json()["id"]
    start = threading.Barrier(8)

    def one(_: int) -> None:
        try:
            start.wait(10)
            work(pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    job = PredictionJob.objects.get()
    assert (job.status, job.lines, job.position) == (Status.DONE, 1_000, job.size_bytes)
    assert [line["id"] for line in result(pk)] == list(range(1_000))
    assert Prediction.objects.count() == 1_000


def test_two_of_the_same_request_at_the_same_moment_start_one_job(
    commits: None, key: tuple[ApiKey, str], published: list[str]
) -> None:
    start = threading.Barrier(4)

    def one(_: int) -> tuple[int, str]:
        try:
            start.wait(10)
            answer = Client().post(
                "/api/v1/jobs",
                LINES,
                content_type=PLAIN,
                headers={"Authorization": f"Bearer {key[1]}", "Idempotency-Key": "once"},
            )
            return answer.status_code, answer.json()["id"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(4)))
    assert sorted(status for status, _ in answers) == [200, 200, 200, 201]
    assert len({pk for _, pk in answers}) == 1


def test_operators_see_how_long_the_oldest_waits(send: Post, get: Post) -> None:
    assert get("health").json()["oldest_queued_job_seconds"] is None
    pk = send().json()["id"]
    PredictionJob.objects.update(created_at=timezone.now() - timedelta(seconds=90))
    assert 89 < get("health").json()["oldest_queued_job_seconds"] < 120
    numbers = get("metrics").content.decode()
    assert 'ner_jobs{state="queued"} 1.0' in numbers
    assert f"ner_job_bytes_waiting {float(len(LINES))}" in numbers
    assert "ner_job_oldest_queued_seconds 9" in numbers
    work(pk)
    assert get("health").json()["oldest_queued_job_seconds"] is None
