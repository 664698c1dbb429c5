"""Is a retraining due? Asked often, answered in words, written down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from feedback.services import correction_submit
from inference.models import Deployment
from retraining.models import RetrainDecision, RetrainPolicy, Rollout, TrainingRun
from retraining.selectors import corrections_new, corrections_new_count
from retraining.services import policies_check, policy_change, policy_check, run_cancel
from retraining.services.verdict import duration
from tests.retraining.conftest import Correct

pytestmark = pytest.mark.django_db
Status = TrainingRun.Status


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """Append to it to let time pass for the policy."""
    passed: list[timedelta] = []
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + sum(passed, timedelta()))
    return passed


@pytest.fixture
def policy(project: Project, champion: Deployment) -> RetrainPolicy:
    """Three corrections and a minute of quiet."""
    return policy_change(project=project, actor=SYSTEM, new_corrections=3, quiet_seconds=60)


def test_too_few_corrections_are_counted(project: Project, policy: RetrainPolicy, correct: Correct) -> None:
    correct(2)
    decision = policy_check(project=project)
    assert (decision.due, decision.explanation) == (False, "not due: 2 of 3 corrections")


def test_the_same_answer_confirms_its_row_instead_of_repeating_it(
    project: Project, policy: RetrainPolicy, correct: Correct
) -> None:
    correct(1)
    first = policy_check(project=project)
    again = policy_check(project=project)
    assert (again.pk, again.checks) == (first.pk, 2)
    assert again.last_checked_at >= first.last_checked_at
    correct(1)
    assert policy_check(project=project).pk != first.pk


def test_it_waits_for_quiet_and_then_queues_a_run(
    project: Project, policy: RetrainPolicy, correct: Correct, later: list[timedelta]
) -> None:
    correct(4)
    waiting = policy_check(project=project)
    assert waiting.explanation == "not due: 4 new corrections, waiting until nobody corrected for 60 s"
    later.append(timedelta(minutes=3))
    decision = policy_check(project=project)
    assert (decision.due, decision.explanation) == (True, "due: 4 new corrections, quiet for 3 min")
    assert decision.run is not None
    assert decision.run.status == Status.QUEUED
    assert decision.numbers["new_corrections"] == 4
    assert policy_check(project=project).explanation == f"not due: run {decision.run.pk} is queued"


def test_it_does_not_wait_for_quiet_for_ever(
    project: Project, policy: RetrainPolicy, correct: Correct, later: list[timedelta]
) -> None:
    correct(3)
    later.append(timedelta(hours=2))
    correct(1)
    assert policy_check(project=project).explanation == "due: 4 new corrections, never quiet for 2 h"


def test_a_slow_trickle_is_not_taken_for_restlessness(
    project: Project, policy: RetrainPolicy, correct: Correct, later: list[timedelta]
) -> None:
    # The threshold was met only now, however old the first correction is.
    correct(2)
    later.append(timedelta(days=3))
    correct(1)
    assert policy_check(project=project).explanation.startswith("not due: 3 new corrections, waiting")


def test_an_old_champion_is_retrained_on_less(
    project: Project, policy: RetrainPolicy, correct: Correct, later: list[timedelta]
) -> None:
    correct(1)
    later.append(timedelta(days=31))
    explanation = policy_check(project=project).explanation
    assert explanation == "due: 1 new correction and a champion that is 31 days old, quiet for 31 days"


def test_an_old_champion_without_anything_new_is_left_alone(
    project: Project, policy: RetrainPolicy, later: list[timedelta]
) -> None:
    later.append(timedelta(days=400))
    assert policy_check(project=project).explanation == "not due: no new corrections"


def test_corrections_that_a_run_has_considered_do_not_trigger_again(
    project: Project, policy: RetrainPolicy, correct: Correct, later: list[timedelta]
) -> None:
    correct(3)
    later.append(timedelta(minutes=2))
    run = policy_check(project=project).run
    assert run is not None
    run_cancel(run=run, actor=SYSTEM, reason="not today")
    assert policy_check(project=project).explanation == f"not due: no new corrections since run {run.pk}"
    correct(2)
    assert policy_check(project=project).explanation == "not due: 2 of 3 corrections"


def test_a_page_counts_as_the_policy_does_as_far_as_it_needs(
    project: Project, policy: RetrainPolicy, correct: Correct, later: list[timedelta], ben: User
) -> None:
    def both() -> tuple[int, int]:
        exact = corrections_new(project=project).count()
        return exact, corrections_new_count(project=project, limit=100)

    assert both() == (0, 0)
    first, *_ = correct(3)
    assert both() == (3, 3)
    later.append(timedelta(minutes=2))
    run = policy_check(project=project).run
    assert run is not None
    assert both() == (3, 3)  # a run that has not ended has considered nothing
    run_cancel(run=run, actor=SYSTEM, reason="not today")
    assert both() == (0, 0)
    correct(2)
    correction_submit(
        document=first.document,
        spans=[],
        base_number=1,
        author=ben,
        prediction=None,
        stratum=first.stratum,
        milliseconds=1,
        idempotency_key="again",
    )
    assert both() == (3, 3)
    assert corrections_new_count(project=project, limit=2) == 2


def test_it_backs_off_after_failures(
    project: Project, policy: RetrainPolicy, correct: Correct, later: list[timedelta]
) -> None:
    correct(3)
    later.append(timedelta(minutes=2))
    for minutes, pause in ((10, "10 min"), (20, "20 min")):
        run = policy_check(project=project).run
        assert run is not None
        TrainingRun.objects.filter(pk=run.pk).update(status=Status.FAILED, ended_at=timezone.now())
        waiting = policy_check(project=project)
        assert not waiting.due
        assert f"waiting {pause} before the next try" in waiting.explanation
        later.append(timedelta(minutes=minutes, seconds=1))
    assert policy_check(project=project).due


def test_switched_off_is_said(project: Project, policy: RetrainPolicy, correct: Correct) -> None:
    correct(5)
    policy_change(project=project, actor=SYSTEM, enabled=False, reason="moving house")
    assert policy_check(project=project).explanation == "not due: automatic retraining is switched off"
    event = AuditEvent.objects.filter(action="policy.change").first()
    assert event is not None
    assert event.data == {"enabled": False}


def test_a_project_without_a_champion_does_not_keep_the_others_waiting(
    project: Project, correct: Correct
) -> None:
    correct(1)
    policies_check()
    newest = RetrainDecision.objects.get(project=project)
    assert newest.explanation == "not due: there is no champion to start from"


def test_the_defaults_are_those_of_the_documentation(project: Project, champion: Deployment) -> None:
    policy_check(project=project)
    policy = RetrainPolicy.objects.get(project=project)
    assert (policy.new_corrections, policy.quiet_seconds, policy.max_age_days) == (200, 120, 30)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (180, "3 min"), (7200, "2 h"), (86400 * 31, "31 days")],
)
def test_durations_read_as_people_say_them(seconds: int, said: str) -> None:
    assert duration(timedelta(seconds=seconds)) == said


def test_it_waits_while_a_version_is_being_rolled_out(
    project: Project, policy: RetrainPolicy, correct: Correct, champion: Deployment, later: list[timedelta]
) -> None:
    correct(3)
    later.append(timedelta(minutes=5))
    Rollout.objects.create(
        project=project,
        version=champion.version,
        champion=champion.version,
        plan={"steps": [0, 100]},
        reason="x",
        started_by="mia",
    )
    decision = policy_check(project=project)
    assert (decision.due, decision.explanation) == (
        False,
        f"not due: {champion.version} is being rolled out",
    )
