"""Assignment, adjudication, agreement and the pages of the team."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.errors import Refused
from corpus.models import Project
from corpus.services import project_change
from feedback.models import Correction, GoldItem
from feedback.selectors import agreement_of, correction_current
from feedback.services import gold_mark
from labeling.adjudication import adjudication_payload
from labeling.errors import NotInTeam, TaskKept
from labeling.models import Assignment, Task
from labeling.selectors import task_get
from labeling.selectors.names import letter, names_shown
from labeling.selectors.people import compared, people_rows, scores_of, work_of
from labeling.services import comment_add, queue_fill, task_claim, task_submit
from labeling.services.adjudication import task_adjudicate
from labeling.services.assignments import (
    assignment_rule_end,
    assignment_rule_set,
    tasks_assign,
    tasks_unassign,
    team_change,
)
from labeling.services.claims import task_take
from tests.labeling.conftest import Queue
from tests.people import member

pytestmark = pytest.mark.django_db

ADA = {"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"}
ALSO = {"start": 0, "end": 3, "label": "per", "text": "Ada"}


def several(project: Project, **settings: Any) -> None:
    """Change settings, also of the object that fixtures hold."""
    project_change(project=project, actor=SYSTEM, **settings)
    project.refresh_from_db()


@pytest.fixture
def pair(project: Project) -> Project:
    """Two people annotate each text."""
    several(project, annotators_per_document=2)
    return project


@pytest.fixture
def annette(project: Project) -> User:
    """Annette annotates; she decides nothing for others."""
    return member(project, "annette", "annotator")


@pytest.fixture
def adam(project: Project) -> User:
    """Adam runs the project."""
    return member(project, "adam", "admin")


def submit(task: Task, user: User, spans: list[dict[str, Any]], base: int = 0) -> Any:
    return task_submit(
        task=task,
        user=user,
        spans=spans,
        base_number=base,
        idempotency_key=f"{user}-{task.pk}-{base}",
        milliseconds=2000,
    )


def adjudicate(task: Task, user: User, spans: list[dict[str, Any]], base: int = 0) -> Correction:
    return task_adjudicate(
        task=task, user=user, spans=spans, base_number=base, idempotency_key="adj", milliseconds=500
    )


@pytest.fixture
def disputed(pair: Project, queue: Queue, ana: User, ben: User) -> Task:
    """A text on which Ana and Ben differ."""
    (task,) = queue(count=1)
    submit(task, ana, [ADA])
    submit(task, ben, [ALSO])
    task.refresh_from_db()
    return task


# --- Adjudication ---------------------------------------------------------------------------------------


def test_an_adjudicator_decides_what_is_true(disputed: Task, mia: User) -> None:
    correction = adjudicate(disputed, mia, [ADA])
    disputed.refresh_from_db()
    assert (disputed.status, disputed.correction) == (Task.Status.DONE, correction)
    assert correction_current(disputed.document) == correction
    assert correction.author == mia
    assert AuditEvent.objects.get(action="task.adjudicate").data["opinions"] == 2
    assert adjudicate(disputed, mia, [ADA]) == correction, "sent again"
    assert AuditEvent.objects.filter(action="task.adjudicate").count() == 1


def test_annotators_do_not_adjudicate(disputed: Task, annette: User) -> None:
    with pytest.raises(Refused):
        adjudicate(disputed, annette, [ADA])


def test_what_is_agreed_is_taken_over_and_the_rest_is_listed(
    pair: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    (task,) = queue("Ada Lovelace met Ann in London")
    london = {"start": 24, "end": 30, "label": "geo", "text": "London"}
    submit(task, ana, [ADA, london])
    submit(task, ben, [ALSO, london])
    payload = adjudication_payload(task=task_get(project=pair, task_id=task.pk), user=mia)
    assert payload["current"]["spans"] == [london]
    (region,) = payload["regions"]
    assert (region["start"], region["end"]) == (0, 12)
    assert region["versions"] == [[ADA], [ALSO]]
    assert payload["names"] == ["ana", "ben"]
    several(pair, hide_names=True)
    payload = adjudication_payload(task=task_get(project=pair, task_id=task.pk), user=mia)
    assert payload["names"] == ["Annotator A", "Annotator B"]


def test_no_labels_key_is_a_versions_key(disputed: Task, mia: User, pair: Project) -> None:
    payload = adjudication_payload(task=task_get(project=pair, task_id=disputed.pk), user=mia)
    keys = [label["hotkey"] for label in payload["labels"]]
    assert not {"0", "1", "2"} & set(keys)
    assert len(keys) == len(set(keys))


def test_nobody_looks_before_all_have_spoken(pair: Project, queue: Queue, client: Client, ana: User) -> None:
    (task,) = queue(count=1)
    submit(task, ana, [ADA])
    client.force_login(ana)
    assert client.get(f"/projects/orchard/adjudication/?task={task.pk}").status_code == 404


def test_the_page_of_adjudication_shows_both(disputed: Task, client: Client, ana: User) -> None:
    client.force_login(ana)
    answer = client.get("/projects/orchard/adjudication/")
    assert answer.context["task"]["id"] == disputed.pk
    assert "Where they differ" in answer.content.decode()
    stored = client.post(
        f"/projects/orchard/adjudication/tasks/{disputed.pk}/submit",
        {"spans": [ADA], "base_number": 0, "idempotency_key": "page"},
        content_type="application/json",
    )
    assert stored.status_code == 200
    assert "Nothing is disputed" in client.get("/projects/orchard/adjudication/").content.decode()


# --- Assignment -----------------------------------------------------------------------------------------


def test_a_text_kept_for_ben_is_not_handed_to_ana(
    project: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    queue(count=4)
    assert tasks_assign(project=project, assignee=ben, user=mia, count=3) == 3
    kept = set(Assignment.objects.values_list("task_id", flat=True))
    mine = []
    while task := task_claim(project=project, user=ana, besides=mine):
        mine.append(task.pk)
    assert len(mine) == 1
    assert not kept & set(mine)
    with pytest.raises(TaskKept, match="kept for ben"):
        task_take(task=Task.objects.get(pk=next(iter(kept))), user=ana)
    theirs = task_claim(project=project, user=ben)
    assert theirs is not None
    assert theirs.pk in kept
    submit(theirs, ben, [ADA])
    assert Assignment.objects.get(task=theirs).state == Assignment.State.DONE
    assert AuditEvent.objects.get(action="task.assign").data["user"] == ben.pk


def test_what_is_not_begun_is_given_back(
    project: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    queue(count=2)
    tasks_assign(project=project, assignee=ben, user=mia, count=2)
    assert task_claim(project=project, user=ana) is None
    assert tasks_unassign(project=project, assignee=ben, user=mia) == 2
    assert task_claim(project=project, user=ana) is not None
    assert AuditEvent.objects.filter(action="task.unassign").count() == 1


def test_texts_are_kept_only_for_members_and_by_who_may(
    project: Project, queue: Queue, otto: User, annette: User, mia: User
) -> None:
    queue(count=1)
    with pytest.raises(NotInTeam):
        tasks_assign(project=project, assignee=otto, user=mia, count=1)
    with pytest.raises(Refused):
        tasks_assign(project=project, assignee=annette, user=annette, count=1)


def test_a_seat_of_several_can_be_kept(pair: Project, queue: Queue, ana: User, ben: User, mia: User) -> None:
    (task,) = queue(count=1)
    tasks_assign(project=pair, assignee=ben, user=mia, count=1)
    assert task_claim(project=pair, user=ana) == task
    assert task_claim(project=pair, user=mia) is None, "the other seat is Ben's"
    assert task_claim(project=pair, user=ben) == task


@pytest.mark.parametrize("method", ["round_robin", "load"])
def test_a_rule_gives_new_texts_out_evenly(
    project: Project, queue: Queue, ana: User, ben: User, adam: User, method: str
) -> None:
    rule = assignment_rule_set(project=project, user=adam, people=[ana, ben], method=method)
    queue(count=10)
    assert Counter(Assignment.objects.values_list("user_id", flat=True)) == {ana.pk: 5, ben.pk: 5}
    assignment_rule_end(rule=rule, user=adam)
    queue("one more text")
    assert Assignment.objects.count() == 10


def test_a_rule_is_for_texts_of_a_language_only(
    project: Project, queue: Queue, ana: User, adam: User
) -> None:
    from corpus.services import document_store

    assignment_rule_set(project=project, user=adam, people=[ana], method="load", language="de")
    document_store(project=project, text="Ada wohnt in London.", language="de")
    document_store(project=project, text="Ada lives in London.", language="en")
    queue_fill(project=project)
    (kept,) = Assignment.objects.all()
    assert kept.task.document.language == "de"


def test_waiting_texts_follow_a_change_of_the_setting_as_new_ones_would(
    project: Project, queue: Queue, ana: User, adam: User
) -> None:
    begun, *_rest = queue(count=40)
    task_take(task=begun, user=ana)
    team_change(project=project, user=adam, annotators_per_document=2, overlap_share=0.5)
    project.refresh_from_db()
    from labeling.choice import annotators_of

    for task in Task.objects.exclude(pk=begun.pk).select_related("document"):
        wanted = annotators_of(task.document.text_hash, project=project)
        assert (task.annotators_wanted, task.seats) == (wanted, wanted)
    begun.refresh_from_db()
    assert begun.annotators_wanted == 1


# --- Figures --------------------------------------------------------------------------------------------


def test_agreement_is_of_the_opinions_and_follows_them(
    pair: Project, queue: Queue, ana: User, ben: User
) -> None:
    one, two = queue(count=2)
    submit(one, ana, [ADA])
    submit(one, ben, [ADA])
    assert agreement_of(project=pair).strict.value == 1
    submit(two, ana, [ADA])
    submit(two, ben, [])
    figures = agreement_of(project=pair)
    assert figures.documents == 2
    assert figures.strict.value == pytest.approx(2 / 3)


def test_people_are_measured_by_what_was_decided_and_by_gold(
    disputed: Task, ana: User, ben: User, mia: User, pair: Project
) -> None:
    adjudicate(disputed, mia, [ADA])
    of = {row.user_id: row for row in people_rows(project=pair, viewer=mia)}
    assert of[ana.pk].decided is not None
    assert (of[ana.pk].decided.f1, of[ben.pk].decided.f1) == (1.0, 0.0)  # type: ignore[union-attr]
    assert of[ana.pk].work.documents == 1
    assert of[ana.pk].work.per_hour == pytest.approx(1800)
    assert of[mia.pk].decided is None


def test_gold_results_count_what_was_said_of_gold_items(
    project: Project, queue: Queue, ana: User, ben: User
) -> None:
    gold, _plain = queue(count=2)
    gold_mark(correction=submit(gold, ben, [ADA]), user=ben)
    several(project, gold_share=1.0)
    task = task_claim(project=project, user=ana)
    assert task == gold
    submit(gold, ana, [ADA, {"start": 13, "end": 18, "label": "per", "text": "wrote"}])
    scores = scores_of(compared(project=project, gold=True, user=ana))
    assert scores is not None
    assert (scores.precision, scores.recall) == (0.5, 1.0)


def test_an_agreed_text_counts_once_for_each(pair: Project, queue: Queue, ana: User, ben: User) -> None:
    (task,) = queue(count=1)
    submit(task, ana, [ADA])
    submit(task, ben, [ADA])
    work = work_of(project=pair)
    assert (work[ana.pk].documents, work[ben.pk].documents) == (1, 1)
    assert work[ana.pk].edit_rate == pytest.approx(0.5)


def test_names_are_hidden_from_others_and_not_from_who_manages(
    project: Project, ana: User, ben: User, adam: User
) -> None:
    several(project, hide_names=True)
    assert names_shown(project=project, viewer=ana) == {
        ana.pk: "ana",
        ben.pk: "Reviewer B",
        adam.pk: "Reviewer C",
    }
    assert names_shown(project=project, viewer=adam)[ben.pk] == "ben"
    assert [letter(place) for place in (0, 25, 26, 27)] == ["A", "Z", "AA", "AB"]


def test_hidden_names_are_hidden_wherever_a_person_comes_up(
    project: Project, queue: Queue, client: Client, ana: User, ben: User, adam: User
) -> None:
    held, done, *_ = queue(count=3)
    # Their user names are also words of pages: these are not.
    User.objects.filter(pk=ben.pk).update(username="benedikta")
    ben.refresh_from_db()
    submit(done, ben, [ADA])
    comment_add(document=done.document, user=ben, body="Sure?", idempotency_key="c")
    task_take(task=held, user=ben)
    pages = [
        "/projects/orchard/",
        "/projects/orchard/texts/",
        "/projects/orchard/agreement/",
        f"/projects/orchard/review/?task={held.pk}",
        f"/projects/orchard/review/?task={done.pk}",
        "/projects/orchard/review/queue",
        f"/projects/orchard/review/tasks/{done.pk}",
    ]
    told = f"/projects/orchard/review/tasks/{held.pk}/submit"
    body = {"spans": [], "base_number": 0, "idempotency_key": "k"}
    for hidden in (False, True):
        several(project, hide_names=hidden)
        client.force_login(ana)
        said = [client.get(page).content.decode() for page in pages]
        said.append(client.post(told, body, content_type="application/json").content.decode())
        named = [page for page, text in zip([*pages, told], said, strict=True) if "benedikta" in text]
        assert named == ([] if hidden else [page for page in [*pages, told] if "agreement" not in page])
        assert "Reviewer B has it" in said[3] if hidden else "benedikta has it" in said[3]
    client.force_login(adam)
    assert "benedikta" in client.get(pages[5]).content.decode(), "who manages sees names"


def test_a_text_kept_for_somebody_names_nobody(
    project: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    (task,) = queue(count=1)
    tasks_assign(project=project, assignee=ben, user=mia, count=1)
    several(project, hide_names=True)
    with pytest.raises(TaskKept, match="kept for Reviewer B"):
        task_take(task=task, user=ana)


# --- Pages ----------------------------------------------------------------------------------------------


def test_the_pages_of_the_team_cost_the_same_whoever_is_in_it(
    disputed: Task, client: Client, ana: User, ben: User, adam: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        member(disputed.project, f"more{number}", "annotator")
    client.force_login(adam)
    with django_assert_max_num_queries(35):
        page = client.get("/projects/orchard/team/").content.decode()
    assert "more4" in page
    with django_assert_max_num_queries(22):
        page = client.get("/projects/orchard/agreement/").content.decode()
    assert "ana · ben" in page
    assert f"?task={disputed.pk}" in page
    with django_assert_max_num_queries(35):
        assert client.get(f"/projects/orchard/team/{ana.pk}/").status_code == 200
    with django_assert_max_num_queries(30):
        assert client.get("/projects/orchard/adjudication/").status_code == 200


def test_whose_page_one_may_open(client: Client, project: Project, ana: User, ben: User, adam: User) -> None:
    several(project, hide_names=True)
    for person, expected in ((ana, (200, 404)), (adam, (200, 200))):
        client.force_login(person)
        got = tuple(client.get(f"/projects/orchard/team/{one.pk}/").status_code for one in (ana, ben))
        assert got == expected
    client.force_login(ana)
    page = client.get("/projects/orchard/team/").content.decode()
    assert "Reviewer B" in page
    assert "ben" not in page.replace("/ben", "")


def test_settings_and_assignments_are_changed_on_the_page(
    client: Client, project: Project, queue: Queue, ana: User, ben: User, adam: User
) -> None:
    (task,) = queue(count=1)
    client.force_login(adam)
    given = {"annotators_per_document": "3", "overlap_percent": "40", "gold_percent": "5", "hide_names": "on"}
    client.post("/projects/orchard/team/settings", given)
    project.refresh_from_db()
    assert (project.annotators_per_document, project.overlap_share, project.gold_share) == (3, 0.4, 0.05)
    client.post("/projects/orchard/team/settings", {**given, "annotators_per_document": "99"})
    client.post("/projects/orchard/team/settings", {**given, "gold_percent": "much"})
    project.refresh_from_db()
    assert project.annotators_per_document == 3
    client.post("/projects/orchard/team/assign", {"user": ben.pk, "count": "5"})
    assert Assignment.objects.get(user=ben).task == task
    client.post("/projects/orchard/team/rules", {"method": "load", "people": [ana.pk, ben.pk]})
    rule = project.assignment_rules.get()
    client.post(f"/projects/orchard/team/rules/{rule.pk}/end")
    assert not project.assignment_rules.exists()


def test_a_decided_text_becomes_a_gold_item_on_its_page(disputed: Task, client: Client, mia: User) -> None:
    adjudicate(disputed, mia, [ADA])
    client.force_login(mia)
    page = client.get(f"/projects/orchard/adjudication/?task={disputed.pk}").content.decode()
    assert "Make it a gold item" in page
    sent = {"text": disputed.document_id, "back": f"/projects/orchard/adjudication/?task={disputed.pk}"}
    answer = client.post("/projects/orchard/texts/act", {**sent, "act": "gold"})
    assert answer.headers["Location"] == sent["back"]
    assert GoldItem.objects.get().document == disputed.document
    client.post("/projects/orchard/texts/act", {**sent, "act": "ungold"})
    assert not GoldItem.objects.exists()
    assert AuditEvent.objects.filter(action__in=["gold.mark", "gold.unmark"]).count() == 2
