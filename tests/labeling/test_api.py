"""The workbench's JSON: who may ask, and how refusals read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, membership_set, project_create
from feedback.models import Correction
from labeling.models import Task
from labeling.services import task_submit
from tests.labeling.conftest import Queue, Send

pytestmark = pytest.mark.django_db


def body(**changed: Any) -> dict[str, Any]:
    return {"spans": [], "base_number": 0, "idempotency_key": "one", "milliseconds": 5} | changed


def test_the_next_task_comes_with_all_that_the_page_needs(queue: Queue, send: Send) -> None:
    (task,) = queue("Ada Lovelace 🎉 London")
    answer = send("next", {}).json()["task"]
    assert answer["id"] == task.pk
    assert answer["text"] == "Ada Lovelace 🎉 London"
    assert answer["number"] == 0
    assert answer["current"] is None
    assert [span["text"] for span in answer["prediction"]["spans"]] == ["Ada Lovelace", "London"]
    assert {"name", "title", "hotkey", "hue", "pattern", "description", "guideline"} == set(
        answer["labels"][0]
    )
    assert send("next", {"besides": [task.pk]}).json() == {"task": None}


def test_a_submit_answers_with_the_stored_correction_and_repeating_it_changes_nothing(
    queue: Queue, send: Send
) -> None:
    (task,) = queue("Ada London")
    spans = [{"start": 0, "end": 3, "label": "per", "text": "Ada"}]
    first = send(f"tasks/{task.pk}/submit", body(spans=spans))
    again = send(f"tasks/{task.pk}/submit", body(spans=spans))
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert first.json()["correction"]["spans"] == spans
    assert Correction.objects.count() == 1


def test_the_key_with_other_content_is_refused(queue: Queue, send: Send) -> None:
    (task,) = queue("Ada London")
    send(f"tasks/{task.pk}/submit", body())
    other = [{"start": 0, "end": 3, "label": "per", "text": "Ada"}]
    refused = send(f"tasks/{task.pk}/submit", body(spans=other))
    assert (refused.status_code, refused.json()["code"]) == (422, "key_reused")


def test_a_stale_save_answers_412_with_both_versions(queue: Queue, send: Send, ben: User) -> None:
    (task,) = queue("Ada London")
    spans = [{"start": 4, "end": 10, "label": "geo", "text": "London"}]
    task_submit(task=task, user=ben, spans=spans, base_number=0, idempotency_key="bens", milliseconds=1)
    refused = send(f"tasks/{task.pk}/submit", body())
    assert refused.status_code == 412
    assert refused.headers["Content-Type"].startswith("application/problem+json")
    problem = refused.json()
    assert problem["code"] == "stale_version"
    assert problem["base"] == {"number": 0, "spans": None}
    assert problem["current"]["spans"] == spans


def test_what_another_holds_answers_423_with_who_and_until(queue: Queue, send: Send, ben: User) -> None:
    (task,) = queue("Ada London")
    until = timezone.now() + timedelta(minutes=4)
    Task.objects.filter(pk=task.pk).update(claimed_by=ben, lease_expires_at=until)
    refused = send(f"tasks/{task.pk}/submit", body())
    assert refused.status_code == 423
    assert refused.json()["holder"] == "ben"
    assert refused.json()["until"] == until.isoformat()


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"spans": [{"start": -1, "end": 2, "label": "per"}]}, 400, "offset_negative"),
        ({"spans": [{"start": 2, "end": 2, "label": "per"}]}, 400, "span_empty"),
        ({"spans": [{"start": 0, "end": 99, "label": "per"}]}, 400, "span_beyond_end"),
        ({"spans": [{"start": True, "end": 2, "label": "per"}]}, 400, "not_an_integer"),
        ({"spans": [{"start": 0, "end": 3, "label": "per", "text": "Eve"}]}, 400, "surface_mismatch"),
        ({"spans": [{"start": 0, "end": 3, "label": "nobody"}]}, 400, "unknown_label"),
        (
            {"spans": [{"start": 0, "end": 3, "label": "per"}, {"start": 2, "end": 5, "label": "geo"}]},
            400,
            "span_overlap",
        ),
        ({"base_number": 7}, 400, "unknown_version"),
        ({"base_number": "0"}, 400, "not_an_integer"),
        ({"idempotency_key": ""}, 400, "invalid_idempotency_key"),
        ({"is_admin": True}, 400, "unknown_field"),
    ],
)
def test_bad_input_is_refused_and_stores_nothing(
    queue: Queue, send: Send, changed: dict[str, Any], status: int, code: str
) -> None:
    (task,) = queue("Ada London")
    refused = send(f"tasks/{task.pk}/submit", body(**changed))
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    task.refresh_from_db()
    assert task.status == Task.Status.OPEN
    assert not Correction.objects.exists()


def test_a_skip_without_a_reason_is_refused(queue: Queue, send: Send) -> None:
    (task,) = queue("Ada London")
    assert send(f"tasks/{task.pk}/skip", {"reason": " "}).json()["code"] == "required"
    assert send(f"tasks/{task.pk}/skip", {"reason": "x" * 301}).json()["code"] == "reason_too_long"
    assert send(f"tasks/{task.pk}/skip", {"reason": "odd"}).json() == {"status": "skipped"}


def test_an_ended_session_answers_401_and_another_persons_409(
    queue: Queue, send: Send, client: Client, ben: User
) -> None:
    (task,) = queue("Ada London")
    other = send(f"tasks/{task.pk}/submit", body(), **{"X-Reviewer": str(ben.pk)})
    assert (other.status_code, other.json()["code"]) == (409, "other_person")
    client.logout()
    gone = send(f"tasks/{task.pk}/submit", body())
    assert (gone.status_code, gone.json()["code"]) == (401, "unauthenticated")
    assert not Correction.objects.exists()


def test_a_foreign_page_cannot_submit(queue: Queue, project: Project, ana: User) -> None:
    (task,) = queue("Ada London")
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    refused = client.post(
        f"/projects/{project.slug}/review/tasks/{task.pk}/submit", body(), content_type="application/json"
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "session_changed")


def test_tasks_of_other_projects_are_not_there(
    queue: Queue, send: Send, client: Client, otto: User, project: Project
) -> None:
    (task,) = queue("Ada London")
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="x")], actor=SYSTEM)
    Task.objects.filter(pk=task.pk).update(project=other)
    assert send(f"tasks/{task.pk}/submit", body()).status_code == 404
    client.force_login(otto)
    assert client.get(f"/projects/{project.slug}/review/tasks/{task.pk}").status_code == 404


def test_a_viewer_may_look_and_not_review(queue: Queue, client: Client, project: Project) -> None:
    (task,) = queue("Ada London")
    viewer = User.objects.create_user("vera")
    membership_set(project=project, user=viewer, role="viewer", actor=SYSTEM)
    client.force_login(viewer)
    assert client.get(f"/projects/{project.slug}/").status_code == 200
    assert client.get(f"/projects/{project.slug}/review/").status_code == 403
    assert client.get(f"/projects/{project.slug}/review/tasks/{task.pk}").status_code == 403


def test_a_lease_is_renewed_and_given_back(queue: Queue, send: Send) -> None:
    (task,) = queue("Ada London")
    assert send(f"tasks/{task.pk}/renew", {}).json() == {"held": True}
    assert send(f"tasks/{task.pk}/release", {}).json() == {"released": True}
    assert send(f"tasks/{task.pk}/release", {}).json() == {"released": False}
