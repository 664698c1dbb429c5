"""Counters and standings are kept by the database: they hold whoever writes, and however."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from corpus.models import Document, Project
from corpus.services import document_store
from feedback.models import Stratum
from feedback.services import correction_submit
from labeling.models import Standing, Tally, Task
from labeling.selectors import progress_of, tallies, texts_count
from labeling.services import queue_fill, task_claim, task_skip, task_submit
from labeling.services.tallies import LOOSE_ROWS, tallies_check, tallies_compact, tallies_repair
from tests.labeling.conftest import Queue
from tests.labeling.transfer import imported, jsonl, row

pytestmark = pytest.mark.django_db

State = Standing.State


def standing_of(document: Document) -> Standing:
    return Standing.objects.get(document=document)


def test_a_text_stands_where_its_task_stands(queue: Queue, project: Project, ana: User) -> None:
    document, _ = document_store(project=project, text="Ada Lovelace moved to London.", source="letters")
    assert standing_of(document).state == State.NEW
    (task,) = queue()
    waiting = standing_of(document)
    assert (waiting.state, waiting.uncertainty) == (State.WAITING, task.prediction.uncertainty)
    assert set(waiting.facets) == {
        "source:letters",
        "language:en",
        f"stratum:{task.stratum}",
        "label:per",
        "label:geo",
    }
    task_submit(task=task, user=ana, spans=[], base_number=0, idempotency_key="k", milliseconds=1)
    done = standing_of(document)
    assert (done.state, done.reviewer) == (State.DONE, ana)
    assert not [facet for facet in done.facets if facet.startswith("label:")]


def test_a_new_text_stands_at_once_where_a_repair_would_put_it(project: Project, tmp_path: Path) -> None:
    rows = (row("Ada wrote to London.", (0, 3, "per"), (13, 19, "geo")), {"text": "Unseen."}, row("None."))
    assert imported(project, tmp_path, jsonl(*rows)).counts["corrected"] == 2
    at_once = list(Standing.objects.order_by("document").values())
    assert {standing["state"] for standing in at_once} == {State.NEW, State.DONE}
    Standing.objects.all().delete()
    tallies_repair(project=project)
    assert list(Standing.objects.order_by("document").values()) == at_once


def test_a_skipped_text_and_an_erased_one_say_so(queue: Queue, project: Project, ana: User) -> None:
    one, two = queue(count=2)
    task_skip(task=one, user=ana, reason="not readable")
    assert standing_of(one.document).state == State.SKIPPED
    Document.objects.filter(pk=two.document_id).update(text="", redacted_at=timezone.now())
    erased = standing_of(two.document)
    assert (erased.state, erased.facets) == (State.ERASED, ["source:import"])


def test_a_correction_from_elsewhere_counts_as_reviewed(project: Project, ana: User) -> None:
    document, _ = document_store(project=project, text="Ada wrote.")
    correction_submit(
        document=document,
        spans=[{"start": 0, "end": 3, "label": "per"}],
        base_number=0,
        author=ana,
        prediction=None,
        stratum=Stratum.IMPORT,
        milliseconds=0,
        idempotency_key="k",
    )
    standing = standing_of(document)
    assert (standing.state, standing.reviewer) == (State.DONE, ana)
    assert {"stratum:import", "label:per"} <= set(standing.facets)


def test_rows_that_come_by_copy_are_counted(project: Project) -> None:
    lines = "".join(
        f"{uuid.uuid4()}\t{project.pk}\ttext {number}\t{number:064x}\tcopy\t\ten\t{{}}\t2026-01-01\n"
        for number in range(500)
    )
    columns = (
        *("id", "project_id", "text", "text_hash", "source", "external_id", "language", "metadata"),
        "created_at",
    )
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY corpus_document ({', '.join(columns)}) FROM STDIN", io.StringIO(lines))
    assert texts_count(project=project)[State.NEW] == 500
    assert Tally.objects.count() == 1, "one row of change for one statement"
    Document.objects.filter(external_id="", text__endswith="7").delete()
    assert texts_count(project=project)[State.NEW] == 450
    assert tallies_check(project=project) == []


@pytest.mark.parametrize("seed", range(6))
def test_counters_hold_under_any_order_of_work(queue: Queue, project: Project, ana: User, seed: int) -> None:
    random = Random(seed)
    keys = iter(range(10_000))

    def arrive() -> None:
        for _ in range(random.randint(1, 3)):
            document_store(project=project, text=f"Ada wrote letter {next(keys)} in London.")

    def skip() -> None:
        if task := task_claim(project=project, user=ana):
            task_skip(task=task, user=ana, reason="odd")

    def submit() -> None:
        if task := task_claim(project=project, user=ana):
            key = f"k{next(keys)}"
            task_submit(task=task, user=ana, spans=[], base_number=0, idempotency_key=key, milliseconds=1)

    def move() -> None:
        some = Task.objects.filter(status="open").order_by("?").values("pk")[:3]
        Task.objects.filter(pk__in=list(some.values_list("pk", flat=True))).update(
            stratum=random.choice(Stratum.values)
        )

    def fail() -> None:
        try:
            with transaction.atomic():
                arrive()
                queue_fill(project=project)
                raise InterruptedError
        except InterruptedError:
            pass

    def erase() -> None:
        document = Document.objects.filter(redacted_at=None).order_by("?").first()
        if document:
            Document.objects.filter(pk=document.pk).update(text="", redacted_at=timezone.now())

    def undo() -> None:
        Task.objects.filter(status="open").order_by("?").first()
        open_ones = Task.objects.filter(status="open").values_list("pk", flat=True)[:2]
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM labeling_task WHERE id = ANY(%s)", [list(open_ones)])

    acts: list[Callable[[], object]] = [
        *(arrive, skip, submit, submit, move, fail, erase, undo, tallies_compact),
        lambda: queue_fill(project=project),
        lambda: Tally.objects.count() and tallies_compact(),
    ]
    for _ in range(40):
        random.choice(acts)()
        assert tallies_check(project=project) == []
    before = list(Standing.objects.order_by("pk").values())
    assert tallies_repair(project=project) == []
    assert list(Standing.objects.order_by("pk").values()) == before, "and each text stood where it should"


@pytest.mark.django_db(transaction=True)
def test_reviewers_at_once_leave_true_counters(queue: Queue, project: Project) -> None:
    queue(count=40)
    people = [User.objects.create_superuser(f"reviewer{number}") for number in range(6)]

    def work(user: User) -> int:
        done = 0
        try:
            while task := task_claim(project=project, user=user):
                task_submit(
                    task=task,
                    user=user,
                    spans=[],
                    base_number=0,
                    idempotency_key=f"k{task.pk}",
                    milliseconds=1,
                )
                done += 1
                tallies_compact()
        finally:
            connections.close_all()
        return done

    with ThreadPoolExecutor(len(people)) as pool:
        assert sum(pool.map(work, people)) == 40
    assert tallies_check(project=project) == []
    assert progress_of(project=project, user=people[0]).done == 40
    assert texts_count(project=project)[State.DONE] == 40


@pytest.mark.django_db(transaction=True)
def test_two_decisions_on_one_text_at_once_end_in_the_later_state(
    queue: Queue, project: Project, ana: User
) -> None:
    # A skip is under way while a caller's correction arrives: each sees the other only once it is committed.
    (task,) = queue(count=1)

    def correct() -> None:
        try:
            correction_submit(
                document=task.document,
                spans=[],
                base_number=0,
                author=ana,
                prediction=None,
                stratum=Stratum.API,
                milliseconds=1,
                idempotency_key="k",
            )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Task.objects.filter(pk=task.pk).update(status="skipped")
            other = pool.submit(correct)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.4)
        other.result(timeout=10)
    assert standing_of(task.document).state == State.DONE


def test_compacting_keeps_the_sums_and_few_rows(queue: Queue, project: Project) -> None:
    for number in range(LOOSE_ROWS + 5):
        document_store(project=project, text=f"text {number}")
    before = tallies(project=project, kind=Tally.Kind.TEXT)
    assert tallies_compact() == 1
    assert tallies(project=project, kind=Tally.Kind.TEXT) == before
    assert Tally.objects.filter(project=project).count() == 1
    assert tallies_compact() == 0


def test_the_command_finds_a_wrong_counter_and_makes_it_anew(queue: Queue, project: Project) -> None:
    queue(count=3)
    Tally.objects.create(project=project, kind="task", state="open", stratum="random", change=7)
    with pytest.raises(CommandError, match="1 counters are wrong"):
        call_command("check_counters")
    call_command("check_counters", repair=True)
    call_command("check_counters")
    assert progress_of(project=project, user=User(pk=1)).waiting == 3
