"""Several annotators on one text, each blind to the others."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.utils import DatabaseError
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import project_change
from feedback.errors import StaleVersion
from feedback.models import Correction, Opinion
from feedback.selectors import correction_current, corrections_newest
from feedback.services import gold_mark
from inference.services import deployment_set
from labeling.errors import DecisionStands, SeatsTaken
from labeling.models import Assignment, Standing, Task
from labeling.selectors import queue_rows, task_get
from labeling.services import (
    comment_add,
    queue_fill,
    task_claim,
    task_release,
    task_renew,
    task_skip,
    task_submit,
)
from labeling.services.claims import task_take
from labeling.workbench import task_payload
from retraining.selectors import corrections_new
from tests.labeling.conftest import Queue
from tests.people import member

pytestmark = pytest.mark.django_db

ADA = {"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"}


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
    """Annette annotates; she adjudicates nothing."""
    return member(project, "annette", "annotator")


def submit(task: Task, user: User, spans: list[dict[str, Any]], base: int = 0, key: str = "") -> Any:
    return task_submit(
        task=task,
        user=user,
        spans=spans,
        base_number=base,
        idempotency_key=key or f"{user}-{task.pk}-{base}",
        milliseconds=900,
    )


def test_each_of_two_gets_the_text_and_a_third_does_not(
    pair: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    (task,) = queue(count=1)
    assert task_claim(project=pair, user=ana) == task
    assert task_claim(project=pair, user=ana, besides=[task.pk]) is None, "nobody twice"
    assert task_claim(project=pair, user=ben) == task
    assert task_claim(project=pair, user=mia) is None
    with pytest.raises(SeatsTaken):
        task_take(task=task, user=mia)


def test_one_opinion_is_nobodys_truth(pair: Project, queue: Queue, ana: User) -> None:
    (task,) = queue(count=1)
    submit(task, ana, [ADA])
    assert Opinion.objects.count() == 1
    assert not Correction.objects.exists()
    assert correction_current(task.document) is None
    assert not corrections_newest(pair).exists()
    assert not corrections_new(project=pair).exists()
    task.refresh_from_db()
    assert task.status == Task.Status.OPEN
    assert Standing.objects.get(document=task.document).state == "waiting"


def test_nothing_of_anothers_opinion_is_in_what_one_is_given(
    pair: Project, queue: Queue, ana: User, ben: User
) -> None:
    (task,) = queue(count=1)
    before = task_payload(task=task_get(project=pair, task_id=task.pk), user=ben)
    submit(task, ana, [{**ADA, "label": "pest"}])
    after = task_payload(task=task_get(project=pair, task_id=task.pk), user=ben)
    assert after == before
    assert (after["number"], after["current"], after["mine"]) == (0, None, True)
    mine = task_payload(task=task_get(project=pair, task_id=task.pk), user=ana)
    assert mine["current"]["spans"][0]["label"] == "pest"


def test_what_others_remarked_is_not_shown_before_all_have_spoken(
    pair: Project, queue: Queue, ana: User, ben: User
) -> None:
    (task,) = queue(count=1)
    comment_add(document=task.document, user=ana, body="surely a pest", idempotency_key="c1")

    def seen(user: User) -> list[str]:
        payload = task_payload(task=task_get(project=pair, task_id=task.pk), user=user)
        return [comment["body"] for comment in payload["comments"]]

    assert (seen(ana), seen(ben)) == (["surely a pest"], [])
    submit(task, ana, [ADA])
    submit(task, ben, [ADA])
    assert seen(ben) == ["surely a pest"]


def test_equal_opinions_become_the_correction_in_the_same_step(
    pair: Project, queue: Queue, ana: User, ben: User
) -> None:
    (task,) = queue(count=1)
    submit(task, ana, [ADA])
    submit(task, ben, [ADA])
    task.refresh_from_db()
    assert task.status == Task.Status.DONE
    assert task.correction == correction_current(task.document)
    assert task.correction is not None
    assert (task.correction.author, task.correction.number) == (ben, 1)
    event = AuditEvent.objects.get(action="opinion.agree")
    assert event.data["opinions"] == 2


def test_different_opinions_wait_for_adjudication(pair: Project, queue: Queue, ana: User, ben: User) -> None:
    (task,) = queue(count=1)
    submit(task, ana, [ADA])
    submit(task, ben, [])
    task.refresh_from_db()
    assert (task.status, task.correction) == (Task.Status.OPEN, None)
    assert task.disputed_at is not None
    assert AuditEvent.objects.filter(action="opinion.dispute").count() == 1
    submit(task, ben, [ADA], base=1)
    task.refresh_from_db()
    assert task.status == Task.Status.DONE, "a change of mind settles it"
    assert task.disputed_at is None


def test_ones_own_windows_cannot_overwrite_each_other(pair: Project, queue: Queue, ana: User) -> None:
    (task,) = queue(count=1)
    first = submit(task, ana, [ADA])
    with pytest.raises(StaleVersion) as refused:
        submit(task, ana, [], key="another window")
    assert refused.value.current == first
    assert submit(task, ana, [ADA]) == first, "sent again"


def test_an_opinion_cannot_be_changed_afterwards(pair: Project, queue: Queue, ana: User) -> None:
    (task,) = queue(count=1)
    submit(task, ana, [ADA])
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("UPDATE feedback_opinion SET spans = '[]'")


def test_only_the_drawn_share_gets_several(project: Project, queue: Queue) -> None:
    several(project, annotators_per_document=3, overlap_share=0.3)
    wanted = Counter(task.annotators_wanted for task in queue(count=100))
    assert set(wanted) == {1, 3}
    assert 15 <= wanted[3] <= 45
    assert all(task.seats == task.annotators_wanted for task in Task.objects.all())


def test_a_seat_left_alone_goes_to_another_and_costs_nobody_their_work(
    pair: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    (task,) = queue(count=1)
    task_claim(project=pair, user=ana)
    task_claim(project=pair, user=ben)
    Assignment.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert task_claim(project=pair, user=mia) == task
    assert submit(task, ana, [ADA]).author == ana


def test_a_seat_is_renewed_given_back_and_skipped(
    pair: Project, queue: Queue, ana: User, ben: User, mia: User
) -> None:
    (task,) = queue(count=1)
    assert not task_renew(task=task, user=ana)
    task_claim(project=pair, user=ana)
    task_claim(project=pair, user=ben)
    assert task_renew(task=task, user=ana)
    assert task_release(task=task, user=ana)
    assert task_claim(project=pair, user=mia) == task
    task_skip(task=task, user=mia, reason="not mine")
    task.refresh_from_db()
    assert (task.status, task.seats) == (Task.Status.OPEN, 1)
    task_skip(task=task, user=ben, reason="not readable")
    task.refresh_from_db()
    assert (task.status, task.skip_reason) == (Task.Status.SKIPPED, "not readable")


def test_what_annotators_decided_is_not_one_annotators_to_change(
    pair: Project, queue: Queue, ana: User, ben: User, annette: User
) -> None:
    (task,) = queue(count=1)
    submit(task, ana, [ADA])
    submit(task, ben, [ADA])
    with pytest.raises(DecisionStands):
        submit(task, annette, [], base=1)
    assert submit(task, ana, [], base=1, key="a reviewer may").number == 2


def test_the_head_of_the_queue_shows_what_one_holds_first(
    pair: Project, queue: Queue, ana: User, ben: User
) -> None:
    queue(count=3)
    task = task_claim(project=pair, user=ana)
    assert task is not None
    rows = queue_rows(project=pair, user=ana)
    assert rows[0].id == task.pk
    assert rows[0].is_mine
    assert [row.id for row in rows].count(task.pk) == 1


def test_annotators_of_one_text_start_from_one_answer(
    pair: Project, queue: Queue, ana: User, champion: Any, tmp_path: Any
) -> None:
    from inference.services import version_register
    from tests.bundles import WORDS, tiny_bundle

    begun, untouched = queue(count=2)
    task_take(task=begun, user=ana)
    version = version_register(
        path=tiny_bundle(tmp_path / "next", WORDS), name="next", project=pair, actor=SYSTEM
    )
    deployment_set(project=pair, slot="champion", version=version, actor=SYSTEM, reason="better")
    queue_fill(project=pair)
    begun.refresh_from_db()
    untouched.refresh_from_db()
    assert begun.prediction.version == champion
    assert untouched.prediction.version == version


@pytest.mark.django_db(transaction=True)
def test_six_annotators_at_once_fill_every_seat_exactly_once(queue: Queue, project: Project) -> None:
    several(project, annotators_per_document=3)
    queue(count=12)
    people = [User.objects.create_superuser(f"annotator{number}") for number in range(6)]

    def work(user: User) -> None:
        mine: list[int] = []
        try:
            # A row that another one holds this moment is passed over: two misses in a row mean the end.
            misses = 0
            while misses < 5:
                task = task_claim(project=project, user=user, besides=mine)
                misses = 0 if task else misses + 1
                if task:
                    mine.append(task.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(work, people))
    seats = Counter(Assignment.objects.values_list("task_id", flat=True))
    assert len(seats) == 12
    assert set(seats.values()) == {3}
    assert not Task.objects.exclude(seats=0).exists()


def test_an_opinion_sent_again_after_all_is_settled_is_still_that_opinion(
    pair: Project, queue: Queue, ana: User, ben: User
) -> None:
    (task,) = queue(count=1)
    first = submit(task, ana, [ADA])
    submit(task, ben, [ADA])
    assert submit(task, ana, [ADA]) == first
    assert Correction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("agree", [True, False])
def test_the_last_two_opinions_at_once_settle_the_text_once(
    queue: Queue, project: Project, agree: bool
) -> None:
    several(project, annotators_per_document=2)
    tasks = queue(count=4)
    people = [User.objects.create_superuser(f"annotator{number}") for number in range(2)]

    def work(place: int) -> None:
        try:
            for task in tasks:
                submit(task, people[place], [ADA] if agree or place else [])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert Correction.objects.count() == (4 if agree else 0)
    assert Task.objects.filter(disputed_at__isnull=False).count() == (0 if agree else 4)
    assert Opinion.objects.count() == 8


def test_a_gold_item_looks_like_any_text_and_changes_nothing(
    project: Project, queue: Queue, ana: User, ben: User
) -> None:
    gold, _plain = queue(count=2)
    correction = submit(gold, ben, [ADA])
    gold_mark(correction=correction, user=ben)
    several(project, gold_share=1.0)
    task = task_claim(project=project, user=ana)
    assert task == gold
    payload = task_payload(task=task_get(project=project, task_id=gold.pk), user=ana)
    assert (payload["status"], payload["number"], payload["current"]) == ("open", 0, None)
    assert payload["mine"]
    rows = queue_rows(project=project, user=ana)
    assert rows[0].id == gold.pk
    assert not rows[0].is_corrected
    opinion = submit(gold, ana, [])
    assert isinstance(opinion, Opinion)
    assert correction_current(gold.document) == correction
    gold.refresh_from_db()
    assert gold.correction == correction


def test_who_made_the_gold_item_is_not_measured_on_it(project: Project, queue: Queue, ben: User) -> None:
    gold, plain = queue(count=2)
    gold_mark(correction=submit(gold, ben, [ADA]), user=ben)
    several(project, gold_share=1.0)
    assert task_claim(project=project, user=ben) == plain


def test_a_gold_item_is_not_an_annotators_to_correct(queue: Queue, ben: User, annette: User) -> None:
    (gold,) = queue(count=1)
    gold_mark(correction=submit(gold, ben, [ADA]), user=ben)
    with pytest.raises(DecisionStands):
        submit(gold, annette, [], base=1)
