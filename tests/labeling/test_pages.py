"""The project's home and the review page, as the server makes them."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from corpus.models import Project
from labeling.models import Task
from labeling.services import task_submit
from tests.labeling.conftest import Queue

pytestmark = pytest.mark.django_db


@pytest.fixture
def anas(client: Client, ana: User) -> Client:
    client.force_login(ana)
    return client


def test_signing_in_comes_first(client: Client, project: Project) -> None:
    answer = client.get(f"/projects/{project.slug}/review/")
    assert answer.status_code == 302
    assert "login" in answer.headers["Location"]


def test_a_project_of_others_is_not_there(client: Client, project: Project, otto: User) -> None:
    client.force_login(otto)
    assert client.get(f"/projects/{project.slug}/").status_code == 404
    assert client.get(f"/projects/{project.slug}/review/").status_code == 404


def test_an_empty_project_says_how_texts_come_in(anas: Client, project: Project) -> None:
    for path in ("", "review/"):
        page = anas.get(f"/projects/{project.slug}/{path}").content.decode()
        assert "import_labeled" in page


def test_the_review_page_shows_the_text_with_its_suggestions(queue: Queue, anas: Client) -> None:
    queue("Ada Lovelace moved to <London> & 1835.")
    page = anas.get("/projects/orchard/review/").content.decode()
    text = re.search(r'<div class="wb-text[^>]*>(.*?)</div></div>', page, re.DOTALL)
    assert text
    assert html.unescape(re.sub(r"<[^>]*>", "", text[1])) == "Ada Lovelace moved to <London> & 1835."
    assert 'aria-label="Ada Lovelace, per, suggested, ' in page


def test_a_picked_task_that_another_holds_is_said_and_another_one_given(
    queue: Queue, anas: Client, ben: User
) -> None:
    one, two = queue("Ada London", "Ann Boston")
    Task.objects.filter(pk=one.pk).update(
        claimed_by=ben, lease_expires_at=timezone.now() + timedelta(minutes=1)
    )
    answer = anas.get(f"/projects/orchard/review/?task={one.pk}")
    assert "ben is reviewing this document" in answer.content.decode()
    assert answer.context["task"]["id"] == two.pk


@pytest.mark.parametrize("asked", ["abc", "-1", "99999", "9" * 30, "1'", "%00", "١"])
def test_a_task_that_is_none_is_not_there(anas: Client, project: Project, asked: str) -> None:
    assert anas.get(f"/projects/{project.slug}/review/?task={asked}").status_code == 404


def test_a_corrected_text_starts_from_the_correction(queue: Queue, anas: Client, ben: User) -> None:
    (task,) = queue("Ada London")
    spans = [{"start": 4, "end": 10, "label": "pest", "text": "London"}]
    task_submit(task=task, user=ben, spans=spans, base_number=0, idempotency_key="k", milliseconds=1)
    answer = anas.get(f"/projects/orchard/review/?task={task.pk}")
    assert answer.context["task"]["number"] == 1
    assert "corrected by ben" in answer.content.decode()


def test_the_queries_of_a_page_do_not_grow_with_the_queue(
    queue: Queue, anas: Client, ana: User, django_assert_max_num_queries: Any
) -> None:
    tasks = queue(count=12)
    # The draw of each text's stratum is its hash's: strata that have nothing to hand out cost a query each.
    Task.objects.update(stratum="uncertain")
    for task in tasks[:4]:
        task_submit(
            task=Task.objects.get(pk=task.pk),
            user=ana,
            spans=[],
            base_number=0,
            idempotency_key=f"k{task.pk}",
            milliseconds=1,
        )
    with django_assert_max_num_queries(34):
        anas.get("/projects/orchard/")
    with django_assert_max_num_queries(34):
        anas.get("/projects/orchard/review/")
    with django_assert_max_num_queries(10):
        anas.get("/projects/orchard/review/queue")
