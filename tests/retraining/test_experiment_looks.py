"""What an experiment measures, and when that ends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from feedback.models import Stratum
from inference.models import ArmFailure, ArmUnkept
from inference.selectors import champion_of, deployment_of, shares_in
from inference.services import api_key_create
from inference.shares import BUCKETS, arm_of, bucket_of
from ner.sequential import Sequential, sample_ratio_p
from retraining.experiment_estimates import experiment_estimate
from retraining.experiment_measures import RATIO_ALARM, Measured, measure, ratio_p
from retraining.models import Experiment, ExperimentLook
from retraining.services import experiments_check
from retraining.services.experiment_checks import decide
from tests.retraining.experiments import SPANS, Lab

pytestmark = pytest.mark.django_db


def look(experiment: Experiment) -> Measured:
    return measure(experiment, list(experiment.arms.all()), until=timezone.now())


def reviewed(lab: Lab, experiment: Experiment, count: int = 400, **edited: float) -> None:
    """So many reviewed answers of each arm, with these edit rates."""
    for slot, rate in edited.items():
        lab.review(lab.answers(experiment, slot.replace("_", "-"), count), edited=rate)


def checked(experiment: Experiment) -> Experiment:
    experiments_check()
    experiment.refresh_from_db()
    return experiment


def test_a_win_ends_it_and_is_promoted_by_rule(lab: Lab) -> None:
    experiment = lab.running(promotes_winner=True)
    reviewed(lab, experiment, champion=0.3, challenger=0.1)
    checked(experiment)
    assert experiment.outcome == Experiment.Outcome.WIN
    assert champion_of(lab.project) == experiment.winner == experiment.arms.get(slot="challenger").version
    assert experiment.promoted_at is not None
    assert shares_in(lab.project) == {"champion": 100.0}
    assert AuditEvent.objects.get(action="experiment.end").data["winner"] == str(experiment.winner)


def test_a_win_is_only_proposed_where_a_human_decides(lab: Lab) -> None:
    experiment = lab.running()
    reviewed(lab, experiment, champion=0.3, challenger=0.1)
    checked(experiment)
    assert (experiment.outcome, experiment.promoted_at) == (Experiment.Outcome.WIN, None)
    assert experiment.winner is not None
    assert champion_of(lab.project) == lab.champion


def test_of_two_that_are_better_the_best_wins(lab: Lab) -> None:
    experiment = lab.running(33.0, 33.0)
    reviewed(lab, experiment, champion=0.4, challenger=0.25, challenger_2=0.1)
    assert checked(experiment).winner == experiment.arms.get(slot="challenger-2").version


def test_a_loss_ends_it_and_the_champion_stays(lab: Lab) -> None:
    experiment = lab.running(promotes_winner=True)
    reviewed(lab, experiment, champion=0.1, challenger=0.3)
    checked(experiment)
    assert (experiment.outcome, experiment.winner) == (Experiment.Outcome.LOSS, None)
    assert experiment.ended_why.startswith("new-")
    assert champion_of(lab.project) == lab.champion
    assert shares_in(lab.project) == {"champion": 100.0}


def test_one_of_several_that_is_worse_goes_alone(lab: Lab) -> None:
    experiment = lab.running(20.0, 20.0)
    reviewed(lab, experiment, champion=0.2, challenger=0.45, challenger_2=0.18)
    checked(experiment)
    assert experiment.status == Experiment.Status.RUNNING
    worse, other = (experiment.arms.get(slot=slot) for slot in ("challenger", "challenger-2"))
    assert (worse.is_dropped, other.is_dropped) == (True, False)
    assert worse.dropped_why.startswith(f"{worse.version} is worse: edit rate, difference +0.2")
    assert deployment_of(lab.project, "challenger").version == lab.champion  # type: ignore[union-attr]
    assert shares_in(lab.project) == {"champion": 60.0, "challenger": 20.0, "challenger-2": 20.0}
    assert AuditEvent.objects.get(action="experiment.drop").data["version"] == str(worse.version)


def test_the_others_go_on_as_if_nobody_had_gone(lab: Lab) -> None:
    experiment = lab.running(33.0, 33.0)
    reviewed(lab, experiment, 200, champion=0.2, challenger=0.45, challenger_2=0.18)
    experiments_check()
    before = look(experiment).comparisons["challenger-2"]
    first = experiment.looks.get()
    # What the champion answers in the place of the one that went is nobody's.
    lab.review(lab.answers(experiment, "challenger", 200), edited=0.0)
    assert set(look(experiment).arms) == {"champion", "challenger-2"}
    after = look(experiment).comparisons["challenger-2"]
    # The database adds up in any order.
    assert (after.low, after.high) == pytest.approx((before.low, before.high))
    experiments_check(now=timezone.now() + timedelta(hours=1))
    second = experiment.looks.last()
    assert second is not None
    assert second.arms["challenger"] == first.arms["challenger"]
    assert second.comparisons["challenger"] == first.comparisons["challenger"]
    assert second.reviews == first.reviews
    reviewed(lab, experiment, 200, champion=0.2, challenger_2=0.02)
    experiments_check(now=timezone.now() + timedelta(hours=2))
    experiment.refresh_from_db()
    assert experiment.winner == experiment.arms.get(slot="challenger-2").version
    assert shares_in(lab.project) == {"champion": 100.0}


def test_when_the_last_one_is_worse_too_it_ends(lab: Lab) -> None:
    experiment = lab.running(20.0, 20.0)
    reviewed(lab, experiment, 200, champion=0.1, challenger=0.4, challenger_2=0.12)
    assert checked(experiment).status == Experiment.Status.RUNNING
    reviewed(lab, experiment, 200, champion=0.1, challenger_2=0.5)
    experiments_check(now=timezone.now() + timedelta(hours=2))
    experiment.refresh_from_db()
    assert experiment.outcome == Experiment.Outcome.LOSS
    assert shares_in(lab.project) == {"champion": 100.0}


def test_futility_ends_it_once_no_difference_worth_having_is_left(lab: Lab) -> None:
    experiment = lab.running(effect=0.2)
    reviewed(lab, experiment, champion=0.2, challenger=0.2)
    assert checked(experiment).outcome == Experiment.Outcome.FUTILITY


def test_an_undecided_one_goes_on_and_says_how_many_reviews_it_needs(lab: Lab) -> None:
    experiment = lab.running(effect=0.03)
    reviewed(lab, experiment, 150, champion=0.2, challenger=0.19)
    assert checked(experiment).status == Experiment.Status.RUNNING
    seen = ExperimentLook.objects.get()
    assert seen.reviews == 300
    assert seen.needed is not None
    assert seen.needed > 1000
    assert seen.comparisons["challenger"]["low"] < 0 < seen.comparisons["challenger"]["high"]
    experiments_check()
    assert ExperimentLook.objects.count() == 1, "the next look is not due yet"


def test_time_ends_what_found_nothing(lab: Lab) -> None:
    experiment = lab.running(days_ago=29)
    assert checked(experiment).ended_why == "nothing was found in 28 days"
    assert experiment.outcome == Experiment.Outcome.FUTILITY


def test_of_few_reviews_nothing_is_said(lab: Lab) -> None:
    experiment = lab.running()
    reviewed(lab, experiment, 60, champion=0.9, challenger=0.0)
    assert checked(experiment).status == Experiment.Status.RUNNING
    assert ExperimentLook.objects.get().comparisons["challenger"]["low"] is None


def test_uneven_callers_are_an_alarm_and_nothing_is_promoted(lab: Lab) -> None:
    experiment = lab.running(promotes_winner=True)
    reviewed(lab, experiment, 300, champion=0.3, challenger=0.05)
    lab.answers(experiment, "champion", 700)
    assert checked(experiment).status == Experiment.Status.RUNNING
    assert ExperimentLook.objects.get().ratio_p < RATIO_ALARM
    assert champion_of(lab.project) == lab.champion


def test_uneven_callers_do_not_keep_a_worse_version_in_service(lab: Lab) -> None:
    experiment = lab.running()
    reviewed(lab, experiment, 300, champion=0.05, challenger=0.3)
    lab.answers(experiment, "champion", 700)
    assert checked(experiment).outcome == Experiment.Outcome.LOSS


def dealt(
    subjects: int, asks: Any, shares: dict[str, float], salt: str = "salt"
) -> dict[str, dict[int, int]]:
    """Answers by arm and group, of subjects who ask so many times each."""
    found: dict[str, dict[int, int]] = {slot: {} for slot in shares}
    for number in range(subjects):
        slot, group = arm_of(f"user {number}", shares, salt), bucket_of(f"user {number}", salt)
        found[slot][group] = found[slot].get(group, 0) + asks(number)
    return found


def test_subjects_who_ask_often_are_no_alarm() -> None:
    shares = {"champion": 50.0, "challenger": 50.0}
    often = [dealt(300, lambda number: 1 + 200 * (number % 7 == 0), shares, salt) for salt in "abcdefghijkl"]
    by_answer = [
        sample_ratio_p({slot: sum(groups.values()) for slot, groups in one.items()}, shares) for one in often
    ]
    assert sum(p < RATIO_ALARM for p in by_answer) > len(often) / 2, "answer by answer most are alarms"
    assert min(ratio_p(one, shares) for one in often) > RATIO_ALARM
    lost = {"champion": often[0]["champion"], "challenger": {}}
    assert ratio_p(lost, shares) < RATIO_ALARM


def test_a_broken_deal_of_many_subjects_is_an_alarm() -> None:
    shares = {"champion": 50.0, "challenger": 30.0, "challenger-2": 20.0}
    assert ratio_p(dealt(5000, lambda _: 2, shares), shares) > 0.01
    claimed = {"champion": 45.0, "challenger": 30.0, "challenger-2": 25.0}
    assert ratio_p(dealt(5000, lambda _: 2, shares), claimed) < RATIO_ALARM


def test_what_the_shares_did_not_decide_is_not_counted(lab: Lab) -> None:
    experiment = lab.running()
    internal, _ = api_key_create(
        project=lab.project, name="nightly", scopes=["predict"], actor=SYSTEM, internal=True
    )
    lab.review(lab.answers(experiment, "champion", 5, bucket=None, key=internal), edited=0)
    lab.review(lab.answers(experiment, "challenger", 7, bucket=None), edited=0)
    lab.review(lab.answers(experiment, "champion", 3, at=timezone.now() - timedelta(days=2)), edited=0)
    measured = look(experiment)
    assert [(arm.answers, arm.reviews) for arm in measured.arms.values()] == [(0, 0), (0, 0)]


def test_only_what_was_drawn_at_random_judges(lab: Lab) -> None:
    experiment = lab.running()
    lab.review(lab.answers(experiment, "champion", 5), edited=0, stratum=Stratum.API)
    lab.review(lab.answers(experiment, "champion", 4), edited=0)
    arm = look(experiment).arms["champion"]
    assert (arm.answers, arm.reviews) == (9, 4)


def test_every_metric_of_an_arm_has_its_interval(lab: Lab) -> None:
    experiment = lab.running()
    made = lab.answers(experiment, "challenger", 200, milliseconds=lambda number: number + 1.0)
    lab.review(made, edited=0.2)
    lab.rate(made[:50], 4)
    lab.answers(experiment, "challenger", 100, uncertainty=0.7, milliseconds=lambda number: 250.0)
    version = experiment.arms.get(slot="challenger").version
    for kind, count in (("unsound", 2), ("left_alone", 4), ("refused", 50)):
        ArmFailure.objects.create(
            project=lab.project, version=version, slot="challenger", kind=kind, count=count, dealt=True
        )
    arm = look(experiment).arms["challenger"]
    assert (arm.answers, arm.reviews, arm.ratings) == (300, 200, 50)
    assert arm.error_rate is not None
    assert arm.error_rate.value == pytest.approx(6 / 306)
    for name in (
        "edit_rate",
        "reviewed_f1",
        "rating",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "error_rate",
        "low_confidence",
    ):
        interval = getattr(arm, name)
        assert interval.low <= interval.value <= interval.high, name
    assert arm.edit_rate is not None
    assert arm.edit_rate.value == pytest.approx(0.2, abs=0.05)
    assert arm.low_confidence is not None
    assert arm.low_confidence.value == pytest.approx(1 / 3)
    assert arm.p50_ms is not None
    assert arm.p50_ms.value == pytest.approx(150.5)
    assert arm.seconds_per_answer == pytest.approx((200 * 100.5 + 100 * 250) / 300 / 1000, abs=1e-5)


def test_answers_that_were_not_kept_are_owed_too(lab: Lab) -> None:
    experiment = lab.running()
    lab.answers(experiment, "challenger", 100)
    turn = {"project": lab.project, "version": experiment.arms.get(slot="challenger").version}
    turn["slot"] = "challenger"
    ArmFailure.objects.create(**turn, kind="unsound", count=10, dealt=True)
    ArmUnkept.objects.create(**turn, count=890, dealt=True)
    # Of who named the slot nothing else is counted either.
    ArmFailure.objects.create(**turn, kind="unsound", count=500)
    ArmUnkept.objects.create(**turn, count=500)
    arm = look(experiment).arms["challenger"]
    assert arm.error_rate is not None
    assert arm.error_rate.value == pytest.approx(10 / 1000)
    assert arm.answers == 100


def test_reviews_of_one_subject_are_not_taken_for_many(lab: Lab) -> None:
    experiment = lab.running()
    lab.review(lab.answers(experiment, "champion", 300, bucket=1), edited=0.3)
    lab.review(lab.answers(experiment, "challenger", 300, bucket=2), edited=0.1)
    assert not look(experiment).comparisons["challenger"].is_said


def test_ratings_can_be_what_decides(lab: Lab) -> None:
    experiment = lab.running(metric="rating", effect=0.5)
    for slot, score in (("champion", 2), ("challenger", 4)):
        lab.rate(lab.answers(experiment, slot, 200), score)
    assert checked(experiment).outcome == Experiment.Outcome.WIN


def test_reviewed_f1_can_be_what_decides(lab: Lab) -> None:
    experiment = lab.running(metric="reviewed_f1")
    reviewed(lab, experiment, champion=0.4, challenger=0.1)
    assert checked(experiment).outcome == Experiment.Outcome.WIN


def test_several_challengers_share_the_alpha(lab: Lab) -> None:
    one, three = lab.running(20.0), lab.draft(20.0, 20.0, 20.0)
    reviewed(lab, one, 300, champion=0.2, challenger=0.2)
    alone = look(one).comparisons["challenger"]
    arms = list(three.arms.all())
    three.started_at = one.started_at
    among = measure(three, arms, until=timezone.now()).comparisons["challenger"]
    assert among.high - among.low > alone.high - alone.low


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(-0.2, -0.1, "win"), (0.1, 0.2, "loss"), (-0.02, 0.05, "futility"), (-0.1, 0.05, None)],
)
def test_the_stop_rules(lab: Lab, low: float, high: float, outcome: str | None) -> None:
    experiment = lab.running()
    middle = Sequential((low + high) / 2, low, high, 0.5)
    measured = Measured(arms={}, comparisons={"challenger": middle})
    ending = decide(experiment, list(experiment.arms.all()), measured, now=timezone.now()).ending
    assert (ending.outcome if ending else None) == outcome


def test_looks_become_rarer_with_age(lab: Lab) -> None:
    experiment = lab.running(days_ago=10)
    experiments_check()
    experiments_check(now=timezone.now() + timedelta(minutes=60))
    assert experiment.looks.count() == 1
    experiments_check(now=timezone.now() + timedelta(minutes=80))
    assert experiment.looks.count() == 2


def test_an_estimate_is_read_from_past_reviews_of_callers_texts(lab: Lab) -> None:
    assumed = experiment_estimate(project=lab.project, shares=[50.0])
    assert assumed.is_assumed
    assert assumed.days is None
    lab.review(lab.answers(None, "champion", 140, bucket=None), edited=0.2)
    read = experiment_estimate(project=lab.project, shares=[50.0], effect=0.05)
    assert not read.is_assumed
    assert read.variance == pytest.approx(0.2 * 0.8 / SPANS, rel=0.4)
    assert read.reviews_per_day == 10
    assert read.total == 2 * read.per_arm
    assert read.days == pytest.approx(read.total / 10, abs=0.1)
    assert experiment_estimate(project=lab.project, shares=[10.0], effect=0.05).days == pytest.approx(
        read.per_arm / 0.1 / 10, rel=0.01
    )


def test_an_estimate_warns_of_too_few_keys(lab: Lab) -> None:
    lab.answers(None, "champion", 3)
    estimate = experiment_estimate(project=lab.project, shares=[50.0], by="api_key")
    assert (estimate.keys, estimate.is_by_few) == (1, True)
    assert not experiment_estimate(project=lab.project, shares=[50.0]).is_by_few
    assert BUCKETS > 1000
