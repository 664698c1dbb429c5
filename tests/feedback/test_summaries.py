"""What people decided, counted by day: exact, once, and never at the reviewers' cost."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from feedback.models import Correction, DailyDecisions, DailyReviews, SpanDecision, Stratum, SummaryMark
from feedback.selectors import Scope, decisions_counted, reviews_counted
from feedback.selectors import summaries as selectors
from feedback.services import summaries_update, summary_rebuild, summary_update
from inference.models import ModelVersion
from tests.decisions import ADA, LONDON, MONDAY, Review, review, version

__all__ = ["review", "version"]

pytestmark = pytest.mark.django_db


def stored() -> Counter[tuple[Any, ...]]:
    return Counter(
        {
            (str(row.day), row.stratum, row.decision, row.predicted_label, row.label, row.tenth): row.spans
            for row in DailyDecisions.objects.all()
        }
    )


def test_each_decision_is_counted_in_its_day(review: Review, project: Project, version: ModelVersion) -> None:
    for at in (MONDAY, MONDAY + timedelta(hours=1), MONDAY + timedelta(days=1)):
        review(at)
    summary_update(project=project)

    assert stored() == {
        ("2026-03-02", "uncertain", "accept", "per", "per", 9): 2,
        ("2026-03-02", "uncertain", "relabel", "org", "geo", 6): 2,
        ("2026-03-02", "uncertain", "reject", "tim", "", 9): 2,
        ("2026-03-03", "uncertain", "accept", "per", "per", 9): 1,
        ("2026-03-03", "uncertain", "relabel", "org", "geo", 6): 1,
        ("2026-03-03", "uncertain", "reject", "tim", "", 9): 1,
    }
    relabelled = DailyDecisions.objects.get(day="2026-03-02", decision="relabel")
    assert (relabelled.version, relabelled.timed, relabelled.milliseconds) == (version, 2, 1800)
    assert relabelled.confidence == pytest.approx(1.22)
    monday = DailyReviews.objects.get(day="2026-03-02")
    assert (monday.corrections, monday.timed, monday.milliseconds) == (2, 2, 12_000)


def test_counting_again_counts_nothing_twice(review: Review, project: Project) -> None:
    review(MONDAY)
    summary_update(project=project)
    first = stored()
    summary_update(project=project)
    summaries_update()
    assert stored() == first
    assert DailyReviews.objects.get().corrections == 1


def test_what_came_since_is_added_to_its_day(review: Review, project: Project) -> None:
    now = timezone.now() - timedelta(minutes=10)
    review(now)
    summary_update(project=project)
    review(now)  # stored late, under a moment that is counted already: the tail begins after the mark
    SummaryMark.objects.update(counted_to=now - timedelta(seconds=1))
    summary_update(project=project)
    # The first one was counted a second time, because the mark was moved by hand: the sums do add up.
    assert sum(row.corrections for row in DailyReviews.objects.all()) == 3
    summary_rebuild(project=project)
    assert sum(row.corrections for row in DailyReviews.objects.all()) == 2


def test_a_day_that_has_ended_is_counted_once_more_as_a_whole(review: Review, project: Project) -> None:
    review(MONDAY)
    summary_update(project=project)
    assert SummaryMark.objects.get().closed_to > MONDAY.date()
    # As if a clock had been wrong: stored in a day that is open, behind the mark.
    review(MONDAY + timedelta(hours=2))
    SummaryMark.objects.update(closed_to=MONDAY.date())
    summary_update(project=project)
    assert DailyReviews.objects.get().corrections == 2
    assert stored()[("2026-03-02", "uncertain", "accept", "per", "per", 9)] == 2


def test_a_rebuild_gives_the_same_as_counting_day_by_day(
    review: Review, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (0, 1, 9):
        at = MONDAY + timedelta(days=day)
        review(at)
        with monkeypatch.context() as then:
            then.setattr("feedback.services.summaries._settled", lambda at=at: at + timedelta(hours=1))
            summary_update(project=project)
    before = stored()
    assert sum(before.values()) == 9
    DailyDecisions.objects.update(spans=99)
    call_command("summaries_rebuild", project=project.slug)
    assert stored() == before


def test_a_second_look_at_a_text_says_nothing_more_about_the_machine(
    review: Review, project: Project, ben: User
) -> None:
    first = review(MONDAY)
    review(
        MONDAY + timedelta(hours=1),
        document=first.document,
        prediction=first.prediction,
        spans=[LONDON],
        base_number=1,
        author=ben,
    )
    summary_update(project=project)
    assert sum(stored().values()) == 3
    assert stored()[("2026-03-02", "uncertain", "accept", "per", "per", 9)] == 1
    # The time was spent all the same.
    assert {row.author: row.corrections for row in DailyReviews.objects.all()} == {first.author: 1, ben: 1}


def test_a_review_after_an_import_without_a_machine_does_judge_it(review: Review, project: Project) -> None:
    gold = review(MONDAY, prediction=None, stratum=Stratum.IMPORT)
    review(MONDAY, document=gold.document, base_number=1, spans=[ADA])
    summary_update(project=project)
    found = DailyDecisions.objects.values_list("version__name", "decision", "predicted_label", "label")
    assert sorted((name or "", *rest) for name, *rest in found) == [
        ("", "add", "", "geo"),
        ("", "add", "", "per"),
        ("tiny", "accept", "per", "per"),
        ("tiny", "reject", "org", ""),
        ("tiny", "reject", "tim", ""),
    ]


def test_a_page_counts_what_no_summary_holds_yet(review: Review, project: Project) -> None:
    now = timezone.now()
    review(now - timedelta(hours=30))
    summary_update(project=project)
    review(now)
    review(now, stratum=Stratum.RANDOM)
    since = date.today() - timedelta(days=7)

    reviews = reviews_counted(project=project, since=since)
    assert sum(row["corrections"] for row in reviews) == 3
    by_decision = {
        row["decision"]: row["spans"]
        for row in decisions_counted(scope=Scope(project, since=since), by=("decision",))
    }
    assert by_decision == {"accept": 3, "relabel": 3, "reject": 3}
    (row,) = decisions_counted(scope=Scope(project, stratum="random"), by=("stratum",))
    assert row["spans"] == 3


def test_a_scope_leaves_out_what_is_not_in_it(
    review: Review, project: Project, version: ModelVersion
) -> None:
    review(MONDAY)
    summary_update(project=project)
    count = lambda **scope: sum(  # noqa: E731
        row["spans"] for row in decisions_counted(scope=Scope(project, **scope), by=("label",))
    )
    assert count() == count(version_id=version.pk) == count(since=MONDAY.date()) == 3
    assert count(version_id=version.pk + 1) == count(stratum="random") == 0
    assert count(since=MONDAY.date() + timedelta(days=1)) == 0


def test_a_page_counts_no_whole_import(
    review: Review, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "TAIL", 2)
    for minute in range(4):
        review(MONDAY + timedelta(minutes=minute))
    rows = reviews_counted(project=project, since=MONDAY.date())
    assert sum(row["corrections"] for row in rows) == 2
    _start, end = selectors.summary_tail(project)
    assert end == MONDAY + timedelta(minutes=2)


def test_a_project_without_corrections_is_quietly_passed(project: Project) -> None:
    summaries_update()
    assert not SummaryMark.objects.exists()
    assert reviews_counted(project=project, since=date(2026, 1, 1)) == []


def test_years_without_corrections_are_passed_in_one_step(
    review: Review, project: Project, django_assert_max_num_queries: Any
) -> None:
    review(datetime(2016, 3, 2, tzinfo=UTC))
    with django_assert_max_num_queries(60):
        summary_update(project=project)


def test_no_day_is_counted_by_the_decisions_of_another_project(review: Review, project: Project) -> None:
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    review(MONDAY)
    summaries_update()
    assert decisions_counted(scope=Scope(other), by=("label",)) == []
    assert not DailyReviews.objects.filter(project=other).exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_stored_while_it_counts_is_counted_the_next_time(
    review: Review, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction stamped before the mark and seen after it would be lost: the mark waits for its writer."""
    review(MONDAY)
    real = timezone.now
    stamped, counted = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with transaction.atomic():
                first = Correction.objects.get(project=project, created_at__lt=real())
                # Stamped now, seen only when this transaction ends.
                Correction.objects.create(
                    project=project,
                    document=first.document,
                    number=7,
                    label_set=first.label_set,
                    author=first.author,
                    stratum="random",
                    idempotency_key="late",
                    request_digest="x",
                )
                stamped.set()
                counted.wait(20)
        finally:
            connection.close()

    monkeypatch.setattr("feedback.services.summaries.SKEW", timedelta(0))
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert stamped.wait(20)
        summary_update(project=project)
    finally:
        counted.set()
        writer.join()
    assert sum(row.corrections for row in DailyReviews.objects.all()) == 1
    summary_update(project=project)
    assert sum(row.corrections for row in DailyReviews.objects.all()) == 2
    assert SpanDecision.objects.count() == 3
