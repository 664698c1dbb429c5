"""A decision on a surface is offered to other waiting texts as a batch, and taken back as one."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent
from corpus.errors import Refused
from corpus.models import Project
from feedback.models import Correction, Stratum
from labeling.errors import NothingToPropagate, PlaceWrong, RevokeReasonMissing, SurfaceRefused
from labeling.models import PropagatedSpan, Propagation, Task
from labeling.selectors.propagations import occurrences, propagated_spans
from labeling.services import task_claim, task_submit
from labeling.services.propagations import propagation_apply, propagation_revoke
from labeling.workbench import task_payload
from tests.labeling.conftest import Queue

pytestmark = pytest.mark.django_db

NEW = "/projects/orchard/propagations/new"


@pytest.fixture
def tasks(queue: Queue, project: Project) -> list[Task]:
    """Four texts with Bramley in them, or nearly; none is a random check."""
    Project.objects.filter(pk=project.pk).update(random_share=0, diverse_share=0)
    project.refresh_from_db()
    return queue(
        "😀 A Bramley and another Bramley.",
        "Bramleys and bramley, Bramley-like",
        "No apple here, only London.",
        "The Bramley tree.",
    )


def found(
    project: Project, ana: User, surface: str = "Bramley", label: str = "cultivar"
) -> list[tuple[int, int]]:
    return [
        (row.task, row.start)
        for row in occurrences(project=project, user=ana, surface=surface, label=label).rows
    ]


def apply(project: Project, user: User, **changed: Any) -> Propagation:
    given: dict[str, Any] = {"surface": "Bramley", "label": "cultivar", "places": found(project, user)}
    return propagation_apply(project=project, user=user, **(given | changed))


def test_places_are_whole_words_counted_in_code_points(
    tasks: list[Task], project: Project, ana: User
) -> None:
    one, two, _, four = tasks
    assert found(project, ana) == [
        (one.pk, 4),
        (one.pk, 24),
        (two.pk, two.document.text.index("Bramley-like")),
        (four.pk, 4),
    ]
    for pk, start in found(project, ana):
        assert Task.objects.get(pk=pk).document.text[start : start + 7] == "Bramley"


def test_random_checks_and_texts_in_other_hands_are_left_alone(
    tasks: list[Task], project: Project, ana: User, ben: User
) -> None:
    one, two, _, four = tasks
    Task.objects.filter(pk=one.pk).update(stratum=Stratum.RANDOM)
    Task.objects.filter(pk=two.pk).update(priority=9)
    assert task_claim(project=project, user=ben) == two
    assert found(project, ana) == [(four.pk, 4)]
    with pytest.raises(NothingToPropagate):
        apply(project, ana, places=[(one.pk, 4)])


def test_the_text_in_which_it_was_decided_is_no_other_place(
    tasks: list[Task], project: Project, ana: User, client: Client
) -> None:
    client.force_login(ana)
    here = tasks[0]
    asked = {"surface": "Bramley", "label": "cultivar", "task": here.pk}
    answer = client.get(reverse("labeling:occurrences", args=[project.slug]), asked).json()
    assert answer["count"] == 2
    page = client.get(answer["page"])
    assert {row.task for row in page.context["found"].rows} == {tasks[1].pk, tasks[3].pk}
    assert page.context["back"] == f"{reverse('labeling:review', args=[project.slug])}?task={here.pk}"


def test_not_an_entity_concerns_only_what_the_machine_marked(
    tasks: list[Task], project: Project, ana: User
) -> None:
    assert found(project, ana, label="") == []
    london = tasks[2]
    assert found(project, ana, surface="London", label="") == [(london.pk, 20)]
    assert found(project, ana, surface="London", label="geo") == [], "the machine says so already"
    assert found(project, ana, surface="London", label="org") == [(london.pk, 20)]


def test_a_batch_is_a_starting_point_with_its_own_provenance_and_no_correction(
    tasks: list[Task], project: Project, ana: User, ben: User
) -> None:
    propagation = apply(project, ana, task=tasks[2])
    assert PropagatedSpan.objects.count() == 4
    assert not Correction.objects.exists(), "nothing learns from it"
    payload = task_payload(task=tasks[3], user=ben)
    (span,) = payload["propagated"]
    assert (span["start"], span["end"], span["label"], span["text"]) == (4, 11, "cultivar", "Bramley")
    assert span["words"] == "from ana's decision on “Bramley”"
    assert "Bramley" not in [one["text"] for one in payload["prediction"]["spans"]]
    assert found(project, ana) == [], "it is not offered twice"
    event = AuditEvent.objects.get(action="propagation.apply")
    assert event.data == {"label": "cultivar", "places": 4, "tasks": 3}
    assert "Bramley" not in str(event.data), "the log holds no words of texts"
    assert propagation.task == tasks[2]


def test_a_carried_decision_takes_the_place_of_what_the_machine_says_there(
    tasks: list[Task], project: Project, ana: User
) -> None:
    london = tasks[2]
    apply(project, ana, surface="London", label="org", places=[(london.pk, 20)])
    payload = task_payload(task=london, user=ana)
    assert [span["label"] for span in payload["propagated"]] == ["org"]
    assert payload["prediction"]["spans"] == [], "both together could not be submitted"


def test_taking_back_reaches_all_that_are_not_submitted_and_names_the_others(
    tasks: list[Task], project: Project, ana: User, ben: User
) -> None:
    propagation = apply(project, ana)
    four = tasks[3]
    task_submit(task=four, user=ben, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    with pytest.raises(RevokeReasonMissing):
        propagation_revoke(propagation=propagation, user=ana, reason=" ")
    revoked = propagation_revoke(propagation=propagation, user=ana, reason="it was a person")
    assert (revoked.taken_back, revoked.submitted) == (2, [four.pk])
    assert propagated_spans(tasks[0], str) == []
    assert propagation_revoke(propagation=propagation, user=ana, reason="again") == revoked
    assert AuditEvent.objects.get(action="propagation.revoke").reason == "it was a person"
    assert len(found(project, ana)) == 3, "what waits can be decided anew"


def test_what_was_submitted_meanwhile_is_passed_over(
    tasks: list[Task], project: Project, ana: User, ben: User
) -> None:
    places = found(project, ana)
    task_submit(task=tasks[3], user=ben, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    assert apply(project, ana, places=places).spans.count() == 3


@pytest.mark.parametrize("start", [0, 5, 10_000])
def test_a_place_where_the_words_do_not_stand_is_refused(
    tasks: list[Task], project: Project, ana: User, start: int
) -> None:
    with pytest.raises(PlaceWrong):
        apply(project, ana, places=[(tasks[3].pk, 4), (tasks[3].pk, start)])
    assert not Propagation.objects.exists(), "all or nothing"


@pytest.mark.parametrize("surface", ["", "...", "\x00a", "x" * 201])
def test_a_surface_that_cannot_be_looked_for_is_refused(project: Project, ana: User, surface: str) -> None:
    with pytest.raises(SurfaceRefused):
        found(project, ana, surface=surface)


def test_outsiders_carry_nothing_over(tasks: list[Task], project: Project, ana: User, otto: User) -> None:
    propagation = apply(project, ana)
    with pytest.raises(Refused):
        apply(project, otto, places=[(tasks[3].pk, 4)])
    with pytest.raises(Refused):
        propagation_revoke(propagation=propagation, user=otto, reason="no")


def test_the_workbench_asks_and_applies(tasks: list[Task], client: Client, ana: User) -> None:
    client.force_login(ana)
    asked = client.get(
        "/projects/orchard/review/occurrences", {"surface": "Bramley", "label": "cultivar"}
    ).json()
    assert (asked["count"], asked["texts"], asked["capped"]) == (4, 3, False)
    row = asked["rows"][-1]
    assert (row["before"], row["surface"], row["after"]) == ("The ", "Bramley", " tree.")
    places = [{"task": row["task"], "start": row["start"]} for row in asked["rows"]]
    body = {"surface": "Bramley", "label": "cultivar", "places": places, "task": tasks[2].pk}
    made = client.post("/projects/orchard/review/propagate", body, content_type="application/json")
    assert made.json()["spans"] == 4
    refused = client.get("/projects/orchard/review/occurrences", {"surface": "Bramley", "label": "nope"})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_choice")


def test_the_page_lets_a_person_untick_apply_and_take_back(
    tasks: list[Task], client: Client, ana: User
) -> None:
    client.force_login(ana)
    page = client.get(NEW, {"surface": "Bramley", "label": "cultivar"}).content.decode()
    assert page.count('type="checkbox"') == 4
    assert "<mark>Bramley</mark>" in page
    data = {"surface": "Bramley", "label": "cultivar", "place": [f"{tasks[3].pk}:4"]}
    page = client.post("/projects/orchard/propagations/make", data, follow=True).content.decode()
    assert "Marked in 1 place." in page
    propagation = Propagation.objects.get()
    page = client.post(
        f"/projects/orchard/propagations/{propagation.pk}/back", {"reason": "wrong"}, follow=True
    ).content.decode()
    assert "Taken back from 1 texts; 0 were submitted" in page
    assert "ana: wrong" in page


@pytest.mark.parametrize("place", ["x", "1", "1:-1", "1:2:3", "٣:4", f"{'9' * 30}:1"])
def test_a_malformed_place_is_no_place(tasks: list[Task], client: Client, ana: User, place: str) -> None:
    client.force_login(ana)
    data = {"surface": "Bramley", "label": "cultivar", "place": [place]}
    assert client.post("/projects/orchard/propagations/make", data).status_code == 404
