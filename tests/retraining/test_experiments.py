"""Experiments: who gets which version, and how they begin and end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from inference.models import Deployment, Division
from inference.selectors import champion_of, deployment_of, shares_in
from inference.services import deployment_set, deployment_share, version_promote
from retraining.errors import (
    ArmsInvalid,
    ChampionMoved,
    ExperimentNotDraft,
    ExperimentNotRunning,
    NoSuchArm,
    ReasonRequired,
    TrafficBusy,
)
from retraining.models import Experiment
from retraining.services import (
    experiment_conclude,
    experiment_create,
    experiment_start,
    experiment_stop,
    experiments_check,
)
from tests.retraining.experiments import Lab

pytestmark = pytest.mark.django_db
ACT: dict[str, Any] = {"actor": SYSTEM, "reason": "because"}


def test_a_start_fills_slots_shares_and_the_deal_at_once(lab: Lab) -> None:
    draft = lab.draft(20.0, 10.0, by="api_key")
    assert not Division.objects.exists()
    assert shares_in(lab.project) == {"champion": 100.0}
    experiment = experiment_start(experiment=draft, **ACT)
    assert shares_in(lab.project) == {"champion": 70.0, "challenger": 20.0, "challenger-2": 10.0}
    division = Division.objects.get(project=lab.project)
    assert (division.by, division.salt) == ("api_key", experiment.salt)
    assert len(experiment.salt) == 16
    assert {arm.slot: arm.share for arm in experiment.arms.all()} == shares_in(lab.project)
    assert experiment.estimate["per_arm"] > 100
    event = AuditEvent.objects.get(action="experiment.start")
    assert event.reason == "because"
    assert event.data["arms"]["champion"] == ["tiny@1", 70.0]


def test_each_experiment_deals_with_a_salt_of_its_own(lab: Lab) -> None:
    first = experiment_start(experiment=lab.draft(), **ACT)
    experiment_stop(experiment=first, **ACT)
    assert experiment_start(experiment=lab.draft(), **ACT).salt != first.salt


def test_a_start_that_is_refused_halfway_leaves_everything_as_it_was(lab: Lab) -> None:
    draft = lab.draft(20.0, 10.0)
    told: dict[str, Any] = {"project": lab.project, "slot": "challenger-2", **ACT}
    deployment_set(version=lab.champion, **told)
    with pytest.raises(TrafficBusy, match="stands in the slot challenger-2"):
        experiment_start(experiment=draft, **ACT)
    assert deployment_of(lab.project, "challenger") is None
    draft.refresh_from_db()
    assert draft.status == Experiment.Status.DRAFT


def test_two_at_once_are_refused(lab: Lab) -> None:
    first = experiment_start(experiment=lab.draft(), **ACT)
    second = lab.draft()
    with pytest.raises(TrafficBusy, match=f"experiment {first.pk} divides them"):
        experiment_start(experiment=second, **ACT)
    with pytest.raises(IntegrityError), transaction.atomic():
        Experiment.objects.filter(pk=second.pk).update(status="running", started_at=timezone.now())


def test_one_is_started_once(lab: Lab) -> None:
    experiment = experiment_start(experiment=lab.draft(), **ACT)
    with pytest.raises(ExperimentNotDraft):
        experiment_start(experiment=experiment, **ACT)


def test_the_champion_must_keep_somebody(lab: Lab) -> None:
    with pytest.raises(ArmsInvalid, match="leave the champion nobody"):
        lab.draft(60.0, 40.0)
    for slot in ("speed", "backup"):
        deployment_set(project=lab.project, slot=slot, version=lab.champion, **ACT)
        deployment_share(project=lab.project, slot=slot, share=20.0, **ACT)
    with pytest.raises(ArmsInvalid, match="together leave the champion nobody"):
        experiment_start(experiment=lab.draft(60.0), **ACT)


@pytest.mark.parametrize("shares", [(), (10.0,) * 4, (0.0,), (float("nan"),)])
def test_arms_that_cannot_be_compared_are_refused(lab: Lab, shares: tuple[float, ...]) -> None:
    arms = [(lab.champion, share) for share in shares]
    with pytest.raises(ArmsInvalid):
        experiment_create(project=lab.project, question="?", arms=arms, actor=SYSTEM)


def test_settings_out_of_range_are_refused(lab: Lab) -> None:
    with pytest.raises(ValidationError):
        lab.draft(alpha=0.9)
    with pytest.raises(ValidationError):
        lab.draft(question=" ")


def test_the_same_version_may_be_compared_with_itself(lab: Lab) -> None:
    draft = experiment_create(
        project=lab.project, question="Is it sound?", arms=[(lab.champion, 50.0)], actor=SYSTEM
    )
    assert experiment_start(experiment=draft, **ACT).status == Experiment.Status.RUNNING


def test_a_stop_brings_everybody_back_to_the_champion(lab: Lab) -> None:
    experiment = experiment_stop(experiment=lab.running(20.0, 10.0), actor=SYSTEM, reason="seen enough")
    assert (experiment.status, experiment.outcome) == ("ended", "stopped")
    assert experiment.ended_why == "seen enough"
    assert shares_in(lab.project) == {"champion": 100.0}
    assert not Division.objects.exists()
    assert AuditEvent.objects.get(action="experiment.end").data["outcome"] == "stopped"
    with pytest.raises(ExperimentNotRunning):
        experiment_stop(experiment=experiment, **ACT)


def test_an_arm_is_made_champion_by_hand(lab: Lab) -> None:
    experiment = lab.running(20.0, 10.0)
    better = experiment.arms.get(slot="challenger-2").version
    concluded = experiment_conclude(experiment=experiment, version=better, actor=SYSTEM, reason="I like it")
    assert champion_of(lab.project) == better == concluded.winner
    assert concluded.promoted_at is not None
    assert shares_in(lab.project) == {"champion": 100.0}
    assert AuditEvent.objects.get(action="experiment.promote").data["over"] == "tiny@1"
    with pytest.raises(ExperimentNotRunning):
        experiment_conclude(experiment=concluded, version=better, **ACT)


def test_concluding_with_the_control_keeps_it(lab: Lab) -> None:
    concluded = experiment_conclude(experiment=lab.running(), version=lab.champion, **ACT)
    assert (concluded.status, concluded.promoted_at) == ("ended", None)
    assert champion_of(lab.project) == lab.champion


def test_one_that_has_ended_may_still_be_decided_while_its_champion_serves(lab: Lab) -> None:
    experiment = experiment_stop(experiment=lab.running(), **ACT)
    challenger = experiment.arms.get(slot="challenger").version
    other = lab.version("other")
    version_promote(project=lab.project, version=other, expected_generation=1, **ACT)
    with pytest.raises(ChampionMoved):
        experiment_conclude(experiment=experiment, version=challenger, **ACT)
    with pytest.raises(NoSuchArm):
        experiment_conclude(experiment=experiment, version=other, **ACT)
    version_promote(project=lab.project, version=lab.champion, expected_generation=2, **ACT)
    experiment_conclude(experiment=experiment, version=challenger, **ACT)
    assert champion_of(lab.project) == challenger


def test_a_refused_promotion_leaves_it_running(lab: Lab) -> None:
    experiment = lab.running()
    version_promote(project=lab.project, version=lab.version("other"), expected_generation=1, **ACT)
    with pytest.raises(ChampionMoved):
        experiment_conclude(
            experiment=experiment, version=experiment.arms.get(slot="challenger").version, **ACT
        )
    experiment.refresh_from_db()
    assert experiment.status == "running"


def test_everything_of_weight_needs_its_reason(lab: Lab) -> None:
    draft = lab.draft()
    with pytest.raises(ReasonRequired):
        experiment_start(experiment=draft, actor=SYSTEM, reason=" ")
    experiment = lab.running()
    with pytest.raises(ReasonRequired):
        experiment_stop(experiment=experiment, actor=SYSTEM, reason="")
    with pytest.raises(ReasonRequired):
        experiment_conclude(experiment=experiment, version=lab.champion, actor=SYSTEM, reason="")


def test_a_slot_that_somebody_moves_ends_it_and_is_left_to_them(lab: Lab) -> None:
    experiment = lab.running()
    theirs = lab.version("theirs")
    deployment_set(project=lab.project, slot="challenger", version=theirs, **ACT)
    experiments_check()
    experiment.refresh_from_db()
    assert experiment.outcome == Experiment.Outcome.INTERRUPTED
    assert experiment.ended_why == "the slot challenger was given to another version"
    assert Deployment.objects.get(project=lab.project, slot="challenger").version == theirs


def test_a_changed_share_ends_it(lab: Lab) -> None:
    experiment = lab.running()
    deployment_share(project=lab.project, slot="challenger", share=30.0, **ACT)
    experiments_check(now=timezone.now() + timedelta(seconds=1))
    experiment.refresh_from_db()
    assert experiment.ended_why == "the share of the slot challenger was changed"
