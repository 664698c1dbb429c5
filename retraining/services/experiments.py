"""Experiments from draft to decision. Whoever ends one brings all callers back to the champion."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.models import Project
from inference.models import Deployment, Division, ModelVersion
from inference.selectors import champion_of, deployment_of, shares_in
from inference.services import (
    callers_divide,
    deployment_clear,
    deployment_set,
    deployment_share,
    version_promote,
)
from retraining.errors import (
    ArmsInvalid,
    ChampionMoved,
    ExperimentNotDraft,
    ExperimentNotRunning,
    NoSuchArm,
    ReasonRequired,
    TrafficBusy,
)
from retraining.experiment_estimates import experiment_estimate
from retraining.models import Experiment, ExperimentArm
from retraining.selectors import arms_of
from retraining.services.traffic import traffic_claim

Status, Outcome = Experiment.Status, Experiment.Outcome
Slot = Deployment.Slot


@transaction.atomic
def experiment_create(
    *,
    project: Project,
    question: str,
    arms: Sequence[tuple[ModelVersion, float]],
    actor: Actor,
    **settings: Any,
) -> Experiment:
    """Draft an experiment: `arms` are versions and their percent of the callers, the champion keeps the rest.

    `settings` are fields of Experiment. Raises ArmsInvalid, and ValidationError for a setting out of range.
    """
    champion = champion_of(project)
    shares = [share for _, share in arms]
    _arms_check(project, arms)
    experiment = Experiment(project=project, question=question.strip(), **settings)
    experiment.full_clean()
    experiment.save()
    ExperimentArm.objects.create(
        experiment=experiment, slot=Slot.CHAMPION, version=champion, share=100 - sum(shares)
    )
    for slot, (version, share) in zip(Deployment.CHALLENGERS, arms, strict=False):
        ExperimentArm.objects.create(experiment=experiment, slot=slot, version=version, share=share)
    event_record(
        action="experiment.create",
        actor=actor,
        subject=experiment,
        chain=project.slug,
        data={
            "question": experiment.question,
            "arms": {str(version): share for version, share in arms},
            "metric": experiment.metric,
            "effect": experiment.effect,
            "promotes_winner": experiment.promotes_winner,
        },
    )
    return experiment


@transaction.atomic
def experiment_start(*, experiment: Experiment, actor: Actor, reason: str) -> Experiment:
    """Deal the callers out to the arms, all slots and shares in one transaction.

    Raises TrafficBusy while a rollout or another experiment moves the project's callers, or a challenger's
    slot is taken; ExperimentNotDraft for one that was started before.
    """
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
    experiment = _locked(experiment)
    project = experiment.project
    if experiment.status != Status.DRAFT:
        raise ExperimentNotDraft(status=experiment.get_status_display().lower())
    traffic_claim(project=project)
    champion = champion_of(project)
    control, *challengers = arms_of(experiment=experiment)
    for arm in challengers:
        if deployment_of(project, arm.slot) is not None:
            raise TrafficBusy(what=f"a version stands in the slot {arm.slot}")
    told: dict[str, Any] = {
        "project": project,
        "actor": actor,
        "reason": f"experiment: {experiment.question}",
    }
    for arm in challengers:
        deployment_set(slot=arm.slot, version=arm.version, **told)
        deployment_share(slot=arm.slot, share=arm.share, **told)
    rest = shares_in(project).get(Slot.CHAMPION, 0.0)
    if not rest:
        raise ArmsInvalid(problem="other slots and the arms together leave the champion nobody")
    # The champion may be another one than when the draft was made, and other slots have shares of their own.
    control.version, control.share = champion, rest
    control.save()
    salt = secrets.token_hex(8)
    callers_divide(by=experiment.by, salt=salt, **told)
    experiment.status, experiment.salt, experiment.started_at = Status.RUNNING, salt, timezone.now()
    experiment.estimate = experiment_estimate(
        project=project,
        shares=[arm.share for arm in challengers],
        metric=experiment.metric,
        by=experiment.by,
        effect=experiment.effect,
        alpha=experiment.alpha,
        power=experiment.power,
    ).to_json()
    experiment.save()
    event_record(
        action="experiment.start",
        actor=actor,
        subject=experiment,
        chain=project.slug,
        reason=reason.strip(),
        data={
            "arms": {arm.slot: [str(arm.version), arm.share] for arm in (control, *challengers)},
            "by": experiment.by,
            "estimate": experiment.estimate,
        },
    )
    return experiment


@transaction.atomic
def experiment_stop(*, experiment: Experiment, actor: Actor, reason: str) -> Experiment:
    """End a running experiment without a decision: the champion answers everybody again."""
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
    return experiment_end(
        experiment=_locked(experiment), outcome=Outcome.STOPPED, why=reason.strip(), actor=actor
    )


@transaction.atomic
def experiment_conclude(
    *, experiment: Experiment, version: ModelVersion, actor: Actor, reason: str
) -> Experiment:
    """Make one of the arms champion: by hand, whatever the numbers say. One that runs ends with it.

    The control's version ends it and leaves everything as it is. Raises ChampionMoved where the champion is
    no longer the one that the arms were compared with, NoSuchArm, ExperimentNotRunning for a draft.
    """
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
    experiment = _locked(experiment)
    control, *challengers = arms_of(experiment=experiment)
    if version.pk not in {control.version_id, *(arm.version_id for arm in challengers)}:
        raise NoSuchArm(pointer="/version", version=str(version))
    if experiment.status == Status.DRAFT or experiment.promoted_at is not None:
        raise ExperimentNotRunning(status=experiment.get_status_display().lower())
    if experiment.status == Status.RUNNING:
        experiment = experiment_end(
            experiment=experiment, outcome=Outcome.STOPPED, why=reason.strip(), actor=actor
        )
    if version.pk != control.version_id:
        winner_promote(experiment=experiment, version=version, actor=actor, reason=reason.strip())
    return experiment


def experiment_end(
    *,
    experiment: Experiment,
    outcome: Experiment.Outcome,
    why: str,
    actor: Actor,
    winner: ModelVersion | None = None,
) -> Experiment:
    """End a running experiment, inside the caller's transaction: slots empty, callers dealt as before.

    A slot that somebody has given to another version meanwhile is left to them.
    """
    if experiment.status != Status.RUNNING:
        raise ExperimentNotRunning(status=experiment.get_status_display().lower())
    project = experiment.project
    control, *challengers = arms_of(experiment=experiment)
    told: dict[str, Any] = {"project": project, "actor": actor, "reason": f"experiment ended: {why}"}
    for arm in challengers:
        deployment = deployment_of(project, arm.slot)
        if deployment is not None and deployment.version_id == serves(arm, control):
            deployment_clear(slot=arm.slot, expected_generation=deployment.generation, **told)
    callers_divide(by=Division.By.SUBJECT, salt="", **told)
    experiment.status, experiment.outcome = Status.ENDED, outcome
    experiment.ended_at, experiment.ended_why, experiment.winner = timezone.now(), why, winner
    experiment.save()
    event_record(
        action="experiment.end",
        actor=actor,
        subject=experiment,
        chain=project.slug,
        reason=why,
        data={"outcome": outcome, "winner": str(winner) if winner else None},
    )
    return experiment


def arm_drop(*, experiment: Experiment, arm: ExperimentArm, at: datetime, why: str, actor: Actor) -> None:
    """Let the champion answer an arm's callers, inside the caller's transaction; the others go on.

    Its slot stays theirs, with the champion's version: dealt out among the others they would move some of
    those, and the champion would be compared on other callers after this moment than before it.
    """
    [control] = [one for one in arms_of(experiment=experiment) if one.is_control]
    told: dict[str, Any] = {
        "project": experiment.project,
        "slot": arm.slot,
        "actor": actor,
        "reason": f"experiment {experiment.pk}: {why}",
    }
    deployment_set(version=control.version, **told)
    deployment_share(share=arm.share, **told)
    arm.dropped_at, arm.dropped_why = at, why
    arm.save()
    event_record(
        action="experiment.drop",
        actor=actor,
        subject=experiment,
        chain=experiment.project.slug,
        reason=why,
        data={"slot": arm.slot, "version": str(arm.version), "share": arm.share},
    )


def serves(arm: ExperimentArm, control: ExperimentArm) -> int:
    """The version that an arm's slot should serve while the experiment runs."""
    return control.version_id if arm.is_dropped else arm.version_id


def winner_promote(*, experiment: Experiment, version: ModelVersion, actor: Actor, reason: str) -> None:
    """Make an arm of an ended experiment champion, over the champion that it was compared with."""
    [control] = [arm for arm in arms_of(experiment=experiment) if arm.is_control]
    champion = deployment_of(experiment.project)
    if champion is None or champion.version_id != control.version_id:
        raise ChampionMoved()
    version_promote(
        project=experiment.project,
        version=version,
        expected_generation=champion.generation,
        actor=actor,
        reason=f"experiment {experiment.pk}: {reason}",
    )
    experiment.winner, experiment.promoted_at = version, timezone.now()
    experiment.save()
    event_record(
        action="experiment.promote",
        actor=actor,
        subject=experiment,
        chain=experiment.project.slug,
        reason=reason,
        data={"version": str(version), "over": str(control.version)},
    )


def _locked(experiment: Experiment) -> Experiment:
    return (
        Experiment.objects.select_for_update(of=("self",))
        .select_related("project", "winner")
        .get(pk=experiment.pk)
    )


def _arms_check(project: Project, arms: Sequence[tuple[ModelVersion, float]]) -> None:
    if not 1 <= len(arms) <= len(Deployment.CHALLENGERS):
        raise ArmsInvalid(
            pointer="/arms",
            problem=f"beside the champion there are 1 to {len(Deployment.CHALLENGERS)} versions",
        )
    for version, share in arms:
        if version.project_id not in (None, project.pk):
            raise ArmsInvalid(pointer="/arms", problem=f"{version} is not this project's")
        if version.origin == ModelVersion.Origin.EXTERNAL:
            raise ArmsInvalid(pointer="/arms", problem=f"{version} is a name without a model")
        if not share > 0:
            raise ArmsInvalid(pointer="/arms", problem="every arm needs some percent of the callers")
    if not sum(share for _, share in arms) < 100:
        raise ArmsInvalid(pointer="/arms", problem="they leave the champion nobody to be compared on")
