"""Keeping texts for people: by hand, or by rules that new texts pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from audit.services import Actor, event_record
from corpus.models import Project
from corpus.selectors import project_allows, project_require
from corpus.services import project_change
from labeling.errors import NotInTeam, TooManyAssigned
from labeling.models import Assignment, AssignmentRule, Task
from labeling.selectors.names import naming
from labeling.selectors.seats import WAITING
from labeling.services.seats import not_seated

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: So many texts are assigned in one step.
ASSIGNED_AT_ONCE = 1_000

#: Waiting texts that nobody has touched get as many annotators as new ones would: the same draw
#: (labeling.choice.annotators_of), in the database.
_OVERLAP = """
UPDATE labeling_task AS t SET annotators_wanted = d.wanted, seats = d.wanted
FROM (
    SELECT id, CASE WHEN %(annotators)s > 1 AND
        ('x' || substr(text_hash, 14, 13))::bit(52)::bigint::float8 / 4503599627370496 < %(share)s
        THEN %(annotators)s ELSE 1 END AS wanted
    FROM corpus_document WHERE project_id = %(project)s) AS d
WHERE t.document_id = d.id AND t.project_id = %(project)s AND t.status = 'open'
    AND t.claimed_by_id IS NULL AND t.disputed_at IS NULL AND t.annotators_wanted <> d.wanted
    AND NOT EXISTS (SELECT 1 FROM labeling_assignment a WHERE a.task_id = t.id)
"""


@transaction.atomic
def tasks_assign(*, project: Project, assignee: User, user: User, count: int) -> int:
    """Keep the next `count` texts of the queue for a person. Returns how many there were.

    Texts that somebody holds, that are kept for others or that the person had before are passed over.
    Texts that somebody picked: `labeling.services.texts.text_assign`.
    """
    project_require(project=project, user=user, permission="adjudicate")
    if not project_allows(project=project, user=assignee, permission="review"):
        raise NotInTeam(pointer="/user", person=naming(project=project, viewer=user)(assignee))
    if count > ASSIGNED_AT_ONCE:
        raise TooManyAssigned(pointer="/count", limit=ASSIGNED_AT_ONCE)
    free = (
        Task.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(not_seated(assignee), project=project, status=Task.Status.OPEN, seats__gt=0)
        .filter(Q(claimed_by=None) | Q(claimed_by=assignee) | Q(lease_expires_at__lt=Now()))
    )
    chosen = list(free.order_by("-priority", "id")[:count])
    tasks_keep([(task, assignee.pk) for task in chosen], assigned_by=user)
    if chosen:
        event_record(
            action="task.assign",
            actor=Actor.of_user(user),
            subject=project,
            chain=project.slug,
            data={"user": assignee.pk, "tasks": [task.pk for task in chosen]},
        )
    return len(chosen)


@transaction.atomic
def tasks_unassign(*, project: Project, assignee: User, user: User) -> int:
    """Give back to all what is kept for a person and not begun. Returns how many texts."""
    project_require(project=project, user=user, permission="adjudicate")
    kept = Assignment.objects.filter(project=project, user=assignee, is_kept=True, is_gold=False)
    kept = kept.filter(state=Assignment.State.ASSIGNED)
    ids = list(kept.values_list("task_id", flat=True))
    # The task first, as everywhere: locks taken in one order cannot deadlock.
    tasks = list(Task.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk"))
    gone = []
    for task in tasks:
        if kept.filter(task=task).delete()[0]:
            gone.append(task.pk)
    Task.objects.filter(pk__in=gone).update(seats=F("seats") + 1)
    if gone:
        event_record(
            action="task.unassign",
            actor=Actor.of_user(user),
            subject=project,
            chain=project.slug,
            data={"user": assignee.pk, "tasks": gone},
        )
    return len(gone)


@transaction.atomic
def team_change(*, project: Project, user: User, **values: Any) -> Project:
    """Change how the team works; waiting texts that nobody has touched follow.

    Texts that somebody has begun keep the number of annotators that they had.
    """
    project_require(project=project, user=user, permission="manage")
    changed = project_change(project=project, actor=Actor.of_user(user), **values)
    if values.keys() & {"annotators_per_document", "overlap_share"}:
        with connection.cursor() as cursor:
            cursor.execute(
                _OVERLAP,
                {
                    "annotators": changed.annotators_per_document,
                    "share": changed.overlap_share,
                    "project": changed.pk,
                },
            )
    return changed


@transaction.atomic
def assignment_rule_set(
    *, project: Project, user: User, people: Sequence[User], method: str, source: str = "", language: str = ""
) -> AssignmentRule:
    """Keep new texts of a kind for some people. Rules are asked in the order in which they were made."""
    project_require(project=project, user=user, permission="manage")
    for person in people:
        if not project_allows(project=project, user=person, permission="review"):
            raise NotInTeam(pointer="/people", person=str(person))
    if not people:
        raise NotInTeam(pointer="/people", person="nobody")
    rule = AssignmentRule(
        project=project, method=AssignmentRule.Method(method), source=source, language=language
    )
    rule.full_clean()
    rule.save()
    rule.people.set(people)
    event_record(
        action="assignment_rule.set",
        actor=Actor.of_user(user),
        subject=rule,
        chain=project.slug,
        data={"method": method, "source": source, "language": language, "people": [p.pk for p in people]},
    )
    return rule


@transaction.atomic
def assignment_rule_end(*, rule: AssignmentRule, user: User) -> None:
    """Take a rule away. What it has assigned stays assigned."""
    project_require(project=rule.project, user=user, permission="manage")
    event_record(
        action="assignment_rule.end", actor=Actor.of_user(user), subject=rule, chain=rule.project.slug
    )
    rule.delete()


def rules_apply(*, project: Project, tasks: Sequence[Task]) -> None:
    """Keep new tasks for whom the rules say; a task that no rule fits is for whoever comes first."""
    rules = list(AssignmentRule.objects.filter(project=project).prefetch_related("people"))
    if not rules or not tasks:
        return
    load: Counter[int] = Counter(
        Assignment.objects.filter(project=project, state__in=WAITING).values_list("user_id", flat=True)
    )
    kept: list[tuple[Task, int]] = []
    for task in tasks:
        rule = next((rule for rule in rules if _fits(rule, task)), None)
        if rule is None:
            continue
        for person in _chosen(rule, load, task.annotators_wanted):
            kept.append((task, person))
            load[person] += 1
    AssignmentRule.objects.bulk_update(rules, ["turn"])
    tasks_keep(kept, assigned_by=None)


def _fits(rule: AssignmentRule, task: Task) -> bool:
    return (not rule.source or rule.source == task.document.source) and (
        not rule.language or rule.language == task.document.language
    )


def _chosen(rule: AssignmentRule, load: Counter[int], wanted: int) -> list[int]:
    """As many different people as the text wants, or all there are."""
    people = sorted(person.pk for person in rule.people.all())
    if rule.method == AssignmentRule.Method.LOAD:
        return sorted(people, key=lambda person: (load[person], person))[:wanted]
    start = rule.turn % len(people) if people else 0
    chosen = [*people[start:], *people[:start]][:wanted]
    rule.turn += len(chosen)
    return chosen


def tasks_keep(kept: Sequence[tuple[Task, int]], *, assigned_by: User | None) -> None:
    """Give a seat of each task to a person, the tasks' rows locked or new."""
    Assignment.objects.bulk_create(
        Assignment(
            project_id=task.project_id,
            task=task,
            user_id=person,
            state=Assignment.State.ASSIGNED,
            is_kept=True,
            assigned_by=assigned_by,
        )
        for task, person in kept
    )
    parts = Counter(task.pk for task, _ in kept)
    for count in set(parts.values()):
        ids = [task for task, seats in parts.items() if seats == count]
        Task.objects.filter(pk__in=ids).update(seats=F("seats") - count)
