"""What reviewers say to each other about a text."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.errors import Refused
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from labeling.models import Comment
from labeling.services import comment_add, comment_resolve
from tests.factories import document_make
from tests.labeling.conftest import Queue, Send

pytestmark = pytest.mark.django_db


def said(**changed: Any) -> dict[str, Any]:
    return {"body": "Is this a person?", "idempotency_key": "one"} | changed


def test_a_comment_on_a_stretch_of_text_comes_back_with_the_task(queue: Queue, send: Send) -> None:
    (task,) = queue("🎉 Ada Lovelace")
    answer = send(f"tasks/{task.pk}/comment", said(start=2, end=5))
    assert answer.status_code == 200
    payload = send("next", {}).json()["task"]["comments"]
    assert payload == answer.json()["comments"]
    (comment,) = payload
    assert task.document.text[comment["start"] : comment["end"]] == "Ada"
    assert (comment["author"], comment["body"]) == ("ana", "Is this a person?")
    assert comment["resolvedBy"] is None


def test_sent_twice_it_is_said_once(queue: Queue, send: Send) -> None:
    (task,) = queue("Ada London")
    first = send(f"tasks/{task.pk}/comment", said())
    assert send(f"tasks/{task.pk}/comment", said()).json() == first.json()
    assert Comment.objects.count() == 1
    assert AuditEvent.objects.filter(action="comment.add").count() == 1


def test_a_comment_is_resolved_and_opened_again_by_anybody_who_reviews(
    queue: Queue,
    send: Send,
    ben: User,
) -> None:
    (task,) = queue("Ada London")
    send(f"tasks/{task.pk}/comment", said())
    comment = Comment.objects.get()
    comment_resolve(comment=comment, user=ben, is_resolved=True)
    comment_resolve(comment=comment, user=ben, is_resolved=True)
    assert (comment.resolved_by, comment.resolved_at is None) == (ben, False)
    answer = send(f"comments/{comment.pk}/resolve", {"resolved": False})
    assert answer.json()["comments"][0]["resolvedBy"] is None
    actions = AuditEvent.objects.filter(action__startswith="comment.").order_by("id")
    assert [event.action for event in actions] == ["comment.add", "comment.resolve", "comment.reopen"]
    assert "Is this a person?" not in str([event.data for event in actions]), "the log holds no text"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"body": "  "}, "required"),
        ({"body": "a\0b"}, "null_character"),
        ({"start": 0}, "range_outside"),
        ({"start": 0, "end": 99}, "range_outside"),
        ({"start": 3, "end": 3}, "range_outside"),
        ({"start": -1, "end": 3}, "range_outside"),
        ({"idempotency_key": ""}, "invalid_idempotency_key"),
        ({"idempotency_key": "k" * 256}, "invalid_idempotency_key"),
    ],
)
def test_bad_comments_are_refused_and_nothing_is_stored(
    queue: Queue,
    send: Send,
    changed: dict[str, Any],
    code: str,
) -> None:
    (task,) = queue("Ada London")
    assert send(f"tasks/{task.pk}/comment", said(body="x" * 2_001)).status_code == 413
    refused = send(f"tasks/{task.pk}/comment", said(**changed))
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert not Comment.objects.exists()


def test_comments_of_other_projects_are_not_there(client: Client, project: Project, ana: User) -> None:
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="x")], actor=SYSTEM)
    document = document_make(other, "Ada London")
    boss = User.objects.create_superuser("boss")
    comment = comment_add(document=document, user=boss, body="mine", idempotency_key="k")
    with pytest.raises(Refused):
        comment_add(document=document, user=ana, body="yours", idempotency_key="k")
    client.force_login(ana)
    address = f"/projects/{project.slug}/review/comments/{comment.pk}/resolve"
    assert client.post(address, {"resolved": True}, content_type="application/json").status_code == 404
