"""Tasks in reviewers' hands."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from audit.models import AuditEvent
from corpus.errors import Refused
from corpus.models import Document, Project
from feedback.errors import StaleVersion
from feedback.models import Correction, Stratum
from labeling.errors import SkipReasonMissing, TaskClosed, TaskLocked
from labeling.models import Task
from labeling.services import task_claim, task_release, task_renew, task_skip, task_submit
from labeling.services.claims import task_take
from tests.labeling.conftest import Queue

pytestmark = pytest.mark.django_db

ADA = {"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"}


def submit(task: Task, user: User, **changed: Any) -> Correction:
    given: dict[str, Any] = {
        "spans": [ADA],
        "base_number": 0,
        "idempotency_key": f"{user}-{task.pk}",
        "milliseconds": 900,
    }
    return task_submit(task=task, user=user, **(given | changed))


def let_lease_expire(task: Task) -> None:
    Task.objects.filter(pk=task.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.django_db(transaction=True)
def test_eight_reviewers_at_once_get_every_task_exactly_once(queue: Queue, project: Project) -> None:
    queue(count=50)
    people = [User.objects.create_superuser(f"reviewer{number}") for number in range(8)]

    def work(user: User) -> list[int]:
        mine: list[int] = []
        try:
            while task := task_claim(project=project, user=user, besides=mine):
                mine.append(task.pk)
        finally:
            connections.close_all()
        return mine

    with ThreadPoolExecutor(len(people)) as pool:
        claimed = Counter(pk for mine in pool.map(work, people) for pk in mine)
    assert len(claimed) == 50
    assert set(claimed.values()) == {1}


def test_a_reviewer_who_comes_back_gets_the_task_in_hand(queue: Queue, project: Project, ana: User) -> None:
    queue(count=5)
    first, again = task_claim(project=project, user=ana), task_claim(project=project, user=ana)
    assert first == again


def test_an_expired_lease_frees_the_task(queue: Queue, project: Project, ana: User, ben: User) -> None:
    (task,) = queue(count=1)
    task_claim(project=project, user=ana)
    assert task_claim(project=project, user=ben) is None
    let_lease_expire(task)
    assert task_claim(project=project, user=ben) == task
    assert not task_renew(task=task, user=ana)


def test_renewing_prolongs_the_lease(queue: Queue, project: Project, ana: User, ben: User) -> None:
    (task,) = queue(count=1)
    task_claim(project=project, user=ana)
    let_lease_expire(task)
    assert task_renew(task=task, user=ana)
    assert task_claim(project=project, user=ben) is None


def test_a_released_task_waits_again(queue: Queue, project: Project, ana: User, ben: User) -> None:
    (task,) = queue(count=1)
    task_claim(project=project, user=ana)
    assert not task_release(task=task, user=ben), "only the holder gives it back"
    assert task_release(task=task, user=ana)
    assert task_claim(project=project, user=ben) == task


def test_random_checks_are_handed_out_in_their_share(queue: Queue, project: Project, ana: User) -> None:
    tasks = queue(count=60)
    # The unsure ones all look more urgent than any random check.
    Task.objects.filter(stratum=Stratum.UNCERTAIN).update(priority=2.0)
    available = sum(task.stratum == Stratum.RANDOM for task in tasks)
    strata = []
    for _ in range(30):
        task = task_claim(project=project, user=ana)
        assert task is not None
        strata.append(task.stratum)
        submit(task, ana, spans=[], idempotency_key=f"k{task.pk}")
    assert strata.count(Stratum.RANDOM) == min(available, round(30 * project.random_share))


def test_of_the_unsure_the_least_certain_comes_first(queue: Queue, project: Project, ana: User) -> None:
    project.random_share = project.diverse_share = 0
    project.save()
    queue(count=5)
    Task.objects.update(stratum=Stratum.UNCERTAIN, priority=0.1)
    urgent = Task.objects.order_by("id")[3]
    Task.objects.filter(pk=urgent.pk).update(priority=0.9)
    assert task_claim(project=project, user=ana) == urgent


def test_a_submit_stores_the_correction_and_closes_the_task(
    queue: Queue, project: Project, ana: User
) -> None:
    queue(count=1)
    task = task_claim(project=project, user=ana)
    assert task is not None
    correction = submit(task, ana, decisions_ms={"0:12:per": 700})
    task.refresh_from_db()
    assert (task.status, task.correction) == (Task.Status.DONE, correction)
    assert (correction.author, correction.milliseconds) == (ana, 900)
    assert correction.prediction == task.prediction
    assert correction.stratum == task.stratum
    accepted = correction.decisions.get(decision="accept")
    assert accepted.milliseconds == 700
    assert correction.decisions.get(decision="reject").predicted_label == "geo"
    event = AuditEvent.objects.get(action="correction.submit")
    assert event.actor_name == "ana"


def test_sending_again_stores_once(queue: Queue, ana: User) -> None:
    (task,) = queue(count=1)
    assert submit(task, ana) == submit(task, ana)
    assert Correction.objects.count() == 1


def test_it_refuses_a_stale_save_and_carries_both_versions(queue: Queue, ana: User, ben: User) -> None:
    (task,) = queue(count=1)
    first = submit(task, ana)
    with pytest.raises(StaleVersion) as refused:
        submit(task, ben, spans=[])
    assert refused.value.current == first
    assert Correction.objects.count() == 1


def test_a_closed_task_can_be_corrected_once_more(queue: Queue, ana: User, ben: User) -> None:
    (task,) = queue(count=1)
    first = submit(task, ana)
    second = submit(task, ben, spans=[], base_number=1)
    task.refresh_from_db()
    assert second.number == 2
    assert task.correction == first


def test_nobody_submits_what_another_holds(queue: Queue, project: Project, ana: User, ben: User) -> None:
    (task,) = queue(count=1)
    task_claim(project=project, user=ana)
    with pytest.raises(TaskLocked, match="ana is reviewing"):
        submit(task, ben)
    with pytest.raises(TaskLocked):
        task_take(task=task, user=ben)
    with pytest.raises(TaskLocked):
        task_skip(task=task, user=ben, reason="odd")


def test_a_lease_that_ran_out_costs_nobody_their_work(queue: Queue, project: Project, ana: User) -> None:
    (task,) = queue(count=1)
    task_claim(project=project, user=ana)
    let_lease_expire(task)
    assert submit(task, ana).number == 1


def test_a_skip_says_why(queue: Queue, ana: User) -> None:
    (task,) = queue(count=1)
    with pytest.raises(SkipReasonMissing):
        task_skip(task=task, user=ana, reason="  ")
    task_skip(task=task, user=ana, reason=" not  a text ")
    task_skip(task=task, user=ana, reason="sent twice")
    task.refresh_from_db()
    assert (task.status, task.skip_reason) == (Task.Status.SKIPPED, "not a text")
    assert AuditEvent.objects.get(action="task.skip").reason == "not a text"


def test_a_reviewed_task_cannot_be_skipped(queue: Queue, ana: User) -> None:
    (task,) = queue(count=1)
    submit(task, ana)
    with pytest.raises(TaskClosed):
        task_skip(task=task, user=ana, reason="late")


def test_an_erased_text_is_not_made_again(queue: Queue, ana: User) -> None:
    from corpus.errors import DocumentErased

    (task,) = queue(count=1)
    Document.objects.filter(pk=task.document_id).update(text="", redacted_at=timezone.now())
    with pytest.raises(DocumentErased):
        submit(task, ana)
    task.refresh_from_db()
    assert task.status == Task.Status.OPEN, "both or neither"


def test_outsiders_get_nothing(queue: Queue, project: Project, otto: User) -> None:
    (task,) = queue(count=1)
    with pytest.raises(Refused):
        task_claim(project=project, user=otto)
    with pytest.raises(Refused):
        submit(task, otto)
