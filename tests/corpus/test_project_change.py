"""Changing a project and who is in it: through use cases that leave a line in the audit log."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from audit.models import AuditEvent
from audit.services import Actor
from corpus.models import Membership, Project
from corpus.services import membership_end, project_change

pytestmark = pytest.mark.django_db
ADA = Actor(ref="user:1", name="ada")


def test_it_changes_what_differs_and_says_what(project: Project) -> None:
    changed = project_change(project=project, actor=ADA, reason="renamed", name="Orchards", description="")
    assert changed.name == "Orchards"
    event = AuditEvent.objects.get(action="project.change")
    assert (event.chain, event.actor_name, event.reason) == ("orchard", "ada", "renamed")
    assert event.data == {"changed": ["name"]}


def test_the_same_values_again_change_nothing(project: Project) -> None:
    project_change(project=project, actor=ADA, name=project.name)
    assert not AuditEvent.objects.filter(action="project.change").exists()


@pytest.mark.parametrize("name", ["slug", "hash_key", "pk", "id"])
def test_what_names_the_chain_or_keys_the_hashes_cannot_be_changed(project: Project, name: str) -> None:
    with pytest.raises(ValueError, match="not a setting"):
        project_change(project=project, actor=ADA, **{name: "other"})


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(project: Project, share: float) -> None:
    with pytest.raises((ValidationError, ValueError)):
        project_change(project=project, actor=ADA, random_share=share)
    project.refresh_from_db()
    assert project.random_share == 0.2


def test_a_person_leaves_a_project_and_the_line_stays(project: Project, ana: User) -> None:
    membership = Membership.objects.get(user=ana)
    membership_end(membership=membership, actor=ADA, reason="moved on")
    assert not Membership.objects.filter(user=ana).exists()
    event = AuditEvent.objects.get(action="membership.end")
    assert (event.reason, event.data) == ("moved on", {"user": ana.pk, "role": "reviewer"})


def test_the_database_keeps_each_state_of_a_row_whoever_wrote_it(project: Project) -> None:
    """Row history sees what goes past the use cases, too."""
    Project.objects.filter(pk=project.pk).update(name="Past the service")
    names = list(project.events.order_by("pgh_id").values_list("name", flat=True))  # type: ignore[attr-defined]
    assert names == ["Orchard", "Past the service"]
