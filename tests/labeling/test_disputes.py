"""The list of disputed spans: which places, in which words, and who marked what."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from audit.services import SYSTEM
from corpus.errors import Invalid
from corpus.models import Project
from corpus.services import project_change
from labeling.models import Task
from labeling.selectors.disputes import disputed_spans
from labeling.services import task_submit
from labeling.services.adjudication import task_adjudicate
from tests.labeling.conftest import Queue

pytestmark = pytest.mark.django_db

ADA = {"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"}
ONLY_ADA = {"start": 0, "end": 3, "label": "per", "text": "Ada"}
LONDON = {"start": 35, "end": 41, "label": "geo", "text": "London"}
PAGE = "/projects/orchard/agreement/spans/"


def submit(task: Task, user: User, spans: list[dict[str, Any]]) -> None:
    task_submit(
        task=task,
        user=user,
        spans=spans,
        base_number=0,
        idempotency_key=f"{user}-{task.pk}",
        milliseconds=1,
    )


@pytest.fixture
def texts(project: Project, queue: Queue, ana: User, ben: User) -> list[Task]:
    """Ten texts; on eight of them Ana and Ben differ, on the first two of these also about London."""
    project_change(project=project, actor=SYSTEM, annotators_per_document=2)
    project.refresh_from_db()
    tasks = queue(*(f"Ada Lovelace wrote letter 1{number} about London." for number in range(10)))
    for number, task in enumerate(tasks):
        submit(task, ana, [ADA, LONDON] if number < 2 else [ADA])
        if number < 9:
            submit(task, ben, [ADA] if number == 8 else [ONLY_ADA])
    return tasks


def test_each_place_tells_its_words_and_who_marked_what(
    texts: list[Task], project: Project, mia: User
) -> None:
    rows = disputed_spans(project=project, viewer=mia).rows
    assert [(row.task, row.start) for row in rows[:4]] == [
        (texts[0].pk, 0),
        (texts[0].pk, 35),
        (texts[1].pk, 0),
        (texts[1].pk, 35),
    ]
    assert len(rows) == 10, "neither what is agreed on nor what one is still to say"
    name, london, *_ = rows
    assert (name.before, name.words, name.after) == ("", "Ada Lovelace", " wrote letter 10 about London.")
    assert name.said == (("ana", (("Ada Lovelace", "per"),)), ("ben", (("Ada", "per"),)))
    assert london.said == (("ana", (("London", "geo"),)), ("ben", ()))


def test_a_label_is_enough_where_one_of_them_gave_it(texts: list[Task], project: Project, mia: User) -> None:
    rows = disputed_spans(project=project, viewer=mia, label="geo").rows
    assert [row.words for row in rows] == ["London", "London"]
    assert disputed_spans(project=project, viewer=mia, label="art").rows == []


def test_the_list_is_walked_page_by_page_also_through_one_text(
    texts: list[Task], project: Project, mia: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = disputed_spans(project=project, viewer=mia).rows
    for scanned in (400, 3):
        monkeypatch.setattr("labeling.selectors.disputes.SCANNED", scanned)
        rows, after = [], ""
        while True:
            page = disputed_spans(project=project, viewer=mia, after=after, limit=3)
            rows += page.rows
            after = page.after
            if not after:
                break
        assert rows == everything


def test_what_is_decided_is_not_disputed_any_more(texts: list[Task], project: Project, mia: User) -> None:
    task_adjudicate(task=texts[0], user=mia, spans=[], base_number=0, idempotency_key="a", milliseconds=1)
    assert texts[0].pk not in {row.task for row in disputed_spans(project=project, viewer=mia).rows}


def test_hidden_names_are_letters_of_the_text(texts: list[Task], project: Project, mia: User) -> None:
    project_change(project=project, actor=SYSTEM, hide_names=True)
    project.refresh_from_db()
    row, *_ = disputed_spans(project=project, viewer=mia).rows
    assert [name for name, _ in row.said] == ["Annotator A", "Annotator B"]


@pytest.mark.parametrize(
    "asked", [{"label": "nope"}, {"after": "x"}, {"after": "1-²"}, {"after": "9" * 30 + "-1"}]
)
def test_what_is_unknown_is_refused(
    texts: list[Task], project: Project, client: Client, ana: User, asked: dict[str, str]
) -> None:
    with pytest.raises(Invalid):
        disputed_spans(project=project, viewer=ana, **asked)
    client.force_login(ana)
    assert client.get(PAGE, asked).status_code == 400


def test_the_page_leads_to_the_place_and_costs_the_same_for_many(
    texts: list[Task], client: Client, ana: User, django_assert_max_num_queries: Any
) -> None:
    client.force_login(ana)
    with django_assert_max_num_queries(24):
        page = client.get(PAGE).content.decode()
    assert f"/projects/orchard/adjudication/?task={texts[1].pk}&amp;at=35" in page
    assert page.count("nothing here") == 2
    agreement = client.get("/projects/orchard/agreement/").content.decode()
    assert f"{PAGE}?label=geo" in agreement
    assert "Alpha for spans" in agreement
