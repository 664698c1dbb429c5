"""Who is in the team: people come in, get another role, and go; what was kept for them is free again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F

from audit.services import Actor
from corpus.errors import MemberAlready
from corpus.models import Membership, Project
from corpus.selectors import account_find, project_allows, project_require
from corpus.services import membership_end, membership_set
from labeling.models import Assignment, AssignmentRule, Task
from labeling.selectors.seats import WAITING
from labeling.services.assignments import assignment_rule_end, tasks_unassign

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def member_add(*, project: Project, name: str, role: str, user: User) -> Membership:
    """Take the owner of an account, by user name or e-mail address, into a project.

    Raises AccountUnknown, AccountAmbiguous, AccountOff, and MemberAlready instead of changing a role unseen.
    """
    project_require(project=project, user=user, permission="manage")
    person = account_find(name=name)
    known = Membership.objects.filter(project=project, user=person).first()
    if known is not None:
        raise MemberAlready(pointer="/name", person=str(person), role=known.get_role_display())
    return membership_set(project=project, user=person, role=role, actor=Actor.of_user(user))


@transaction.atomic
def member_change(*, membership: Membership, role: str, user: User) -> Membership:
    """Give a person another role. Raises LastManager."""
    project = membership.project
    project_require(project=project, user=user, permission="manage")
    person = membership.user
    if membership.role != role:
        membership = membership_set(project=project, user=person, role=role, actor=Actor.of_user(user))
        if not project_allows(project=project, user=person, permission="review"):
            _hands_empty(project=project, person=person, user=user)
    return membership


@transaction.atomic
def member_remove(*, membership: Membership, user: User) -> None:
    """Take a person out of the team. What they did stays, what waits for them is free. Raises LastManager."""
    project_require(project=membership.project, user=user, permission="manage")
    _hands_empty(project=membership.project, person=membership.user, user=user)
    membership_end(membership=membership, actor=Actor.of_user(user))


def _hands_empty(*, project: Project, person: User, user: User) -> None:
    """Free all that waits for a person, begun or not, and take them out of the rules."""
    tasks_unassign(project=project, assignee=person, user=user)
    begun = Assignment.objects.filter(project=project, user=person, state__in=WAITING)
    # The task first, as everywhere: locks taken in one order cannot deadlock.
    ids = list(begun.values_list("task_id", flat=True))
    for task in Task.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk"):
        seats = begun.filter(task=task, is_gold=False).count()
        begun.filter(task=task).delete()
        Task.objects.filter(pk=task.pk).update(seats=F("seats") + seats)
    held = Task.objects.filter(project=project, claimed_by=person, status=Task.Status.OPEN)
    held.update(claimed_by=None, lease_expires_at=None)
    for rule in AssignmentRule.objects.filter(project=project, people=person):
        rule.people.remove(person)
        if not rule.people.exists():
            # A rule for nobody would still be the first that fits.
            assignment_rule_end(rule=rule, user=user)
