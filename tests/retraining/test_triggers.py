"""What starts a training before there are corrections enough, and what holds one back."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import LazySettings
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from feedback.models import QualityEstimate
from inference.models import Deployment, Evaluation
from retraining.models import (
    DriftReference,
    DriftReport,
    RetrainDecision,
    RetrainPolicy,
    TrainingRun,
)
from retraining.services import policies_check, policy_change, policy_check, run_cancel
from retraining.services.verdict import Numbers, night_of, verdict
from tests.retraining.conftest import Correct

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
#: 30 corrections of the 200, the last an hour ago; twenty of them for four hours.
WAITING = Numbers(
    now=NOW,
    new=30,
    newest=NOW - timedelta(hours=1),
    ripe=NOW - timedelta(hours=9),
    early=NOW - timedelta(hours=4),
    champion_since=NOW - timedelta(days=3),
)


def said(numbers: Numbers, **policy: object) -> str:
    due, explanation = verdict(RetrainPolicy(**policy), numbers)
    assert due == explanation.startswith("due: ")
    return explanation


# --- Live F1 ---


def test_a_fall_of_the_live_f1_starts_a_training_early() -> None:
    fallen = replace(WAITING, exam_f1=0.85, live_f1=0.79, live_high=0.82)
    assert (
        said(fallen)
        == "due: 30 new corrections and a live F1 more than 2 points below the exam's, quiet for 60 min"
    )
    assert said(fallen, max_f1_drop=0.05) == "not due: 30 of 200 corrections"
    assert said(fallen, max_f1_drop=None) == "not due: 30 of 200 corrections"


def test_as_long_as_its_interval_reaches_up_to_the_exam_it_may_be_chance() -> None:
    assert (
        said(replace(WAITING, exam_f1=0.85, live_f1=0.70, live_high=0.84)) == "not due: 30 of 200 corrections"
    )


def test_without_an_exam_or_a_review_nothing_is_compared() -> None:
    assert said(replace(WAITING, live_f1=0.1, live_high=0.2)) == "not due: 30 of 200 corrections"
    assert said(replace(WAITING, exam_f1=0.85)) == "not due: 30 of 200 corrections"


# --- Drift ---


def test_drift_starts_a_training_early_and_is_named() -> None:
    drifted = replace(WAITING, drift={"vocabulary": 0.55, "unknown_words": 0.4})
    assert said(drifted) == "due: 30 new corrections and drift (vocabulary, unknown words), quiet for 60 min"
    assert said(drifted, on_drift=False) == "not due: 30 of 200 corrections"


def test_an_alarm_waits_for_something_to_learn_from() -> None:
    drifted = replace(WAITING, drift={"length": 0.3})
    few = replace(drifted, new=19, early=None)
    assert (
        said(few) == "not due: 19 of 200 corrections, though there is drift (length); an alarm waits for 20"
    )
    none = replace(drifted, new=0, newest=None, ripe=None, early=None)
    assert said(none) == "not due: no new corrections, though there is drift (length)"


def test_the_sentence_stays_the_same_while_the_numbers_of_one_reason_move() -> None:
    drifted = replace(WAITING, new=19, early=None, drift={"length": 0.3}, exam_f1=0.9, live_high=0.8)
    moved = replace(drifted, drift={"length": 0.4}, live_high=0.81, now=NOW + timedelta(minutes=5))
    assert said(drifted) == said(moved)


def test_several_causes_are_all_named() -> None:
    everything = replace(
        WAITING,
        new=230,
        drift={"length": 0.3},
        exam_f1=0.9,
        live_high=0.8,
        champion_since=NOW - timedelta(days=40),
    )
    assert said(everything, nightly_hour=7) == (
        "due: 230 new corrections, a live F1 more than 2 points below the exam's, drift (length), "
        "the night's 07:00 has come and a champion that is 40 days old, quiet for 60 min"
    )


def test_an_alarm_waits_for_quiet_too_but_not_for_ever() -> None:
    busy = replace(WAITING, newest=NOW - timedelta(seconds=5), drift={"length": 0.3})
    assert said(busy) == "due: 30 new corrections and drift (length), never quiet for 4 h"
    assert said(replace(busy, early=NOW - timedelta(minutes=9))) == (
        "not due: 30 new corrections and drift (length), waiting until nobody corrected for 2 min"
    )


# --- The night ---


def test_at_the_hour_of_the_night_what_waits_is_learned() -> None:
    assert said(WAITING, nightly_hour=8) == (
        "due: 30 new corrections and the night's 08:00 has come, quiet for 60 min"
    )
    # Enough corrections came only after five: the next night's.
    assert said(WAITING, nightly_hour=4) == "not due: 30 of 200 corrections"
    assert said(WAITING, nightly_hour=None) == "not due: 30 of 200 corrections"


def test_one_night_starts_one_training() -> None:
    assert said(replace(WAITING, started=[NOW - timedelta(minutes=50)]), nightly_hour=8) == (
        "not due: 30 of 200 corrections"
    )
    assert said(replace(WAITING, started=[NOW - timedelta(minutes=70)]), nightly_hour=8).startswith("due: ")


def test_a_night_that_the_beat_slept_through_is_made_up_for() -> None:
    late = replace(WAITING, now=NOW + timedelta(hours=8))
    assert said(late, nightly_hour=8).startswith("due: ")


def test_the_hour_is_that_of_the_projects_time_zone(settings: LazySettings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        assert night_of(RetrainPolicy(nightly_hour=17), NOW) == datetime(2026, 11, 26, 8, tzinfo=UTC)
        assert night_of(RetrainPolicy(nightly_hour=19), NOW) == datetime(2026, 11, 25, 10, tzinfo=UTC)


def test_where_the_clock_leaps_over_the_hour_the_night_comes_all_the_same() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        leap = datetime(2027, 3, 28, 12, tzinfo=UTC)
        assert night_of(RetrainPolicy(nightly_hour=2), leap) == datetime(2027, 3, 28, 1, tzinfo=UTC)


# --- The budget ---


def test_no_more_trainings_start_by_themselves_than_allowed() -> None:
    full = replace(WAITING, new=250, started=[NOW - timedelta(hours=hours) for hours in (1, 5)])
    assert said(full, max_runs_per_day=3).startswith("due: ")
    assert said(full, max_runs_per_day=2) == (
        "not due: 250 new corrections, but 2 trainings started by themselves in the last 24 h, "
        "and no more are allowed"
    )


# --- What a check reads ---


@pytest.fixture
def policy(project: Project, champion: Deployment) -> RetrainPolicy:
    """A hundred corrections, on alarm two; no quiet."""
    return policy_change(
        project=project, actor=SYSTEM, new_corrections=100, early_corrections=2, quiet_seconds=0
    )


def report(champion: Deployment, *drifted: str, source: str = "training") -> DriftReport:
    """The newest comparison found these."""
    one = {"project": champion.project, "version": champion.version}
    reference = DriftReference.objects.create(
        **one, source=source, fingerprint=f"{timezone.now()}", profile={}
    )
    measures = [
        {"name": name, "value": 0.4, "threshold": 0.25, "drifted": name in drifted}
        for name in ("length", "labels")
    ]
    return DriftReport.objects.create(
        **one,
        reference=reference,
        window_from=timezone.now(),
        window_to=timezone.now(),
        texts=500,
        measures=measures,
        drifted=list(drifted),
        histograms={},
    )


@pytest.mark.django_db
def test_the_newest_report_about_the_champion_decides(
    project: Project, champion: Deployment, policy: RetrainPolicy, correct: Correct
) -> None:
    correct(2)
    found = report(champion, "length")
    decision = policy_check(project=project)
    assert decision.due
    assert (decision.numbers["drifted"], decision.numbers["drift_report"]) == ({"length": 0.4}, found.pk)
    assert decision.run is not None
    assert decision.run.reason.startswith("2 new corrections and drift (length)")
    run_cancel(run=decision.run, actor=SYSTEM)
    correct(2)
    report(champion)
    assert policy_check(project=project).explanation == "not due: 2 of 100 corrections"


@pytest.mark.django_db
def test_unlike_the_general_sentences_is_every_project_and_no_alarm(
    project: Project, champion: Deployment, policy: RetrainPolicy, correct: Correct
) -> None:
    correct(2)
    report(champion, "length", source="general")
    assert policy_check(project=project).explanation == "not due: 2 of 100 corrections"


@pytest.mark.django_db
def test_the_live_f1_is_compared_with_the_champions_exam_on_the_projects_texts(
    project: Project, champion: Deployment, policy: RetrainPolicy, correct: Correct
) -> None:
    correct(2)
    for kind, f1 in (("general", 0.99), ("test", 0.8)):
        Evaluation.objects.create(
            version=champion.version,
            project=project,
            kind=kind,
            set_fingerprint=kind,
            documents=50,
            precision=f1,
            recall=f1,
            f1=f1,
            report={},
        )
    live = QualityEstimate(
        project=project,
        version=champion.version,
        day=timezone.now().date(),
        at=timezone.now(),
        tp=1,
        fp=1,
        fn=1,
        documents=80,
        f1=0.75,
        low=0.7,
        high=0.79,
    )
    live.save()
    assert policy_check(project=project).explanation == "not due: 2 of 100 corrections"
    live.high = 0.77
    live.save()
    decision = policy_check(project=project)
    assert decision.explanation.startswith("due: 2 new corrections and a live F1 more than 2 points below")
    assert (decision.numbers["exam_f1"], decision.numbers["live_f1_high"]) == (0.8, 0.77)


@pytest.mark.django_db
def test_each_check_leaves_the_numbers_that_it_saw(
    project: Project, champion: Deployment, policy: RetrainPolicy, correct: Correct
) -> None:
    correct(1)
    numbers = policy_check(project=project).numbers
    assert (numbers["new_corrections"], numbers["threshold"], numbers["early_corrections"]) == (1, 100, 2)
    assert (numbers["runs_last_day"], numbers["max_runs_per_day"], numbers["drifted"]) == (0, 12, {})


@pytest.mark.django_db
def test_trainings_of_yesterday_are_no_part_of_the_budget(
    project: Project, champion: Deployment, policy: RetrainPolicy, correct: Correct
) -> None:
    policy_change(project=project, actor=SYSTEM, new_corrections=1, max_runs_per_day=1)
    correct(1)
    run = policy_check(project=project).run
    assert run is not None
    run_cancel(run=run, actor=SYSTEM)
    correct(1)
    assert "but one training started by itself in the last 24 h" in policy_check(project=project).explanation
    RetrainDecision.objects.filter(due=True).update(created_at=timezone.now() - timedelta(hours=25))
    assert policy_check(project=project).due


@pytest.mark.django_db
@pytest.mark.parametrize("value", [24, -1])
def test_a_day_has_the_hours_that_it_has(project: Project, policy: RetrainPolicy, value: int) -> None:
    with pytest.raises(ValidationError):
        policy_change(project=project, actor=SYSTEM, nightly_hour=value)


@pytest.mark.django_db(transaction=True)
def test_of_beats_that_were_started_twice_one_queues_a_run(
    project: Project, champion: Deployment, policy: RetrainPolicy, correct: Correct
) -> None:
    correct(3)
    policy_change(project=project, actor=SYSTEM, new_corrections=3)
    start, failed = threading.Barrier(6), []

    def beat() -> None:
        try:
            start.wait()
            policies_check()
        except Exception as error:  # noqa: BLE001  (told below)
            failed.append(error)
        finally:
            connection.close()

    beats = [threading.Thread(target=beat) for _ in range(6)]
    for one in beats:
        one.start()
    for one in beats:
        one.join()
    assert not failed
    assert TrainingRun.objects.count() == 1
    assert RetrainDecision.objects.filter(due=True).count() == 1
    waiting = RetrainDecision.objects.get(due=False)
    assert (waiting.explanation, waiting.checks) == (
        f"not due: run {TrainingRun.objects.get().pk} is queued",
        5,
    )
