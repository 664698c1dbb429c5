"""People come into a project, get another role and go, from the team's page."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.errors import (
    AccountAmbiguous,
    AccountOff,
    AccountUnknown,
    DomainError,
    LastManager,
    MemberAlready,
    Refused,
)
from corpus.models import Membership, Project
from corpus.services import membership_end, membership_set, project_change
from labeling.models import Assignment, Task
from labeling.services import task_claim
from labeling.services.assignments import assignment_rule_set, tasks_assign
from labeling.services.claims import task_take
from labeling.services.members import member_add, member_change, member_remove
from tests.labeling.conftest import Queue
from tests.people import member

pytestmark = pytest.mark.django_db

TEAM = "/projects/orchard/team/"


@pytest.fixture
def adam(project: Project) -> User:
    """Adam runs the project."""
    return member(project, "adam", "admin")


def role_of(project: Project, user: User) -> str | None:
    return Membership.objects.filter(project=project, user=user).values_list("role", flat=True).first()


def part(project: Project, user: User) -> Membership:
    return Membership.objects.get(project=project, user=user)


@pytest.mark.parametrize("typed", ["otto", " OTTO ", "Otto@Example.org"])
def test_an_account_is_found_by_its_name_or_address(
    project: Project, adam: User, otto: User, typed: str
) -> None:
    User.objects.filter(pk=otto.pk).update(email="otto@example.org")
    member_add(project=project, name=typed, role="annotator", user=adam)
    assert role_of(project, otto) == "annotator"
    event = AuditEvent.objects.filter(action="membership.change").latest("pk")
    assert (event.actor_name, event.data) == ("adam", {"user": otto.pk, "role": "annotator"})


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        ("nobody", AccountUnknown),
        ("", AccountUnknown),
        ("ot\x00to", AccountUnknown),
        ("shared@example.org", AccountAmbiguous),
        ("gone", AccountOff),
        ("ana", MemberAlready),
    ],
)
def test_who_cannot_be_added_is_told_why(
    project: Project, adam: User, ana: User, otto: User, typed: str, refusal: type[DomainError]
) -> None:
    for name in ("one", "two"):
        User.objects.create_user(name, email="shared@example.org")
    User.objects.create_user("gone", is_active=False)
    with pytest.raises(refusal):
        member_add(project=project, name=typed, role="admin", user=adam)
    assert role_of(project, ana) == "reviewer"
    assert project.memberships.count() == 2


def test_the_last_manager_stays_whoever_asks_and_wherever(
    project: Project, adam: User, ana: User, ada: User
) -> None:
    for user in (adam, ada):
        with pytest.raises(LastManager):
            member_change(membership=part(project, adam), role="viewer", user=user)
        with pytest.raises(LastManager):
            member_remove(membership=part(project, adam), user=user)
    with pytest.raises(LastManager):
        membership_end(membership=part(project, adam), actor=SYSTEM)
    with pytest.raises(LastManager):
        membership_set(project=project, user=adam, role="viewer", actor=SYSTEM)
    member_change(membership=part(project, ana), role="admin", user=adam)
    User.objects.filter(pk=ana.pk).update(is_active=False)
    with pytest.raises(LastManager):
        member_remove(membership=part(project, adam), user=adam)
    User.objects.filter(pk=ana.pk).update(is_active=True)
    member_remove(membership=part(project, adam), user=adam)
    assert role_of(project, adam) is None


@pytest.mark.parametrize("way", ["removed", "viewer"])
def test_whoever_goes_holds_nothing_back(
    project: Project, queue: Queue, adam: User, ana: User, ben: User, way: str
) -> None:
    queue(count=3)
    rule = assignment_rule_set(project=project, user=adam, people=[ben], method="load")
    both = assignment_rule_set(project=project, user=adam, people=[ana, ben], method="load")
    tasks_assign(project=project, assignee=ben, user=adam, count=2)
    begun = task_claim(project=project, user=ben)
    third = Task.objects.get(assignments=None)
    task_take(task=third, user=ben)
    assert task_claim(project=project, user=ana) is None
    if way == "removed":
        member_remove(membership=part(project, ben), user=adam)
    else:
        member_change(membership=part(project, ben), role="viewer", user=adam)
    assert not Assignment.objects.filter(user=ben).exists()
    mine: list[int] = []
    while task := task_claim(project=project, user=ana, besides=mine):
        mine.append(task.pk)
    assert begun is not None
    assert len(mine) == 3
    assert not type(rule).objects.filter(pk=rule.pk).exists()
    assert list(both.people.all()) == [ana]
    action = "membership.end" if way == "removed" else "membership.change"
    assert AuditEvent.objects.filter(action=action).latest("pk").actor_name == "adam"


def test_a_seat_of_several_that_is_begun_is_free_again(
    project: Project, queue: Queue, adam: User, ana: User, ben: User
) -> None:
    project_change(project=project, actor=SYSTEM, annotators_per_document=2)
    project.refresh_from_db()
    (task,) = queue(count=1)
    tasks_assign(project=project, assignee=ben, user=adam, count=1)
    task_take(task=task, user=ben)
    task_take(task=task, user=ana)
    member_remove(membership=part(project, ben), user=adam)
    task.refresh_from_db()
    assert task.seats == 1
    assert [seat.user for seat in task.assignments.all()] == [ana]


def test_only_who_manages_decides_who_is_in(project: Project, ana: User, mia: User, otto: User) -> None:
    with pytest.raises(Refused):
        member_add(project=project, name="otto", role="viewer", user=mia)
    with pytest.raises(Refused):
        member_change(membership=part(project, ana), role="viewer", user=mia)
    with pytest.raises(Refused):
        member_remove(membership=part(project, ana), user=mia)


def test_members_are_added_changed_and_removed_on_the_page(
    project: Project, client: Client, adam: User, otto: User
) -> None:
    client.force_login(adam)

    def said(path: str, **sent: Any) -> str:
        page = client.post(f"{TEAM}{path}", sent, follow=True)
        return " ".join(str(message) for message in page.context["messages"])

    assert said("members", name="otto", role="viewer") == "otto is in the project now, as Viewer."
    assert said(f"{otto.pk}/role", role="reviewer") == "otto is Reviewer from now on."
    assert said(f"{otto.pk}/remove").startswith("otto is not in the project any more.")
    assert said(f"{adam.pk}/remove").startswith("adam is the last who manages this project")
    refused = client.post(f"{TEAM}members", {"name": "ot<b>to", "role": "viewer"})
    assert refused.status_code == 400
    page = refused.content.decode()
    assert "There is no account “ot&lt;b&gt;to”" in page
    assert 'value="ot&lt;b&gt;to"' in page, "what was typed is there to be mended"
    assert client.post(f"{TEAM}members", {"name": "otto", "role": "king"}).status_code == 404
    assert client.post(f"{TEAM}{otto.pk}/role", {"role": "viewer"}).status_code == 404
    client.post(f"{TEAM}members", {"name": "otto", "role": "admin"})
    left = client.post(f"{TEAM}{adam.pk}/remove", follow=True)
    assert left.status_code == 200, "who took themselves out is not sent to a page that is closed to them"


def test_a_project_without_members_gets_its_first_from_a_superuser(
    project: Project, client: Client, ada: User, otto: User
) -> None:
    client.force_login(ada)
    page = client.get(TEAM).content.decode()
    assert "Nobody is in this project yet" in page
    assert "Add to the project" in page
    client.post(f"{TEAM}members", {"name": "otto", "role": "admin"})
    assert role_of(project, otto) == "admin"
    assert "Make an account" in client.post(f"{TEAM}members", {"name": "x", "role": "admin"}).content.decode()
