"""Rollouts by hand: start, approve, pause, resume, roll back; and how a project's are to go."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from audit.services import Actor, event_record
from corpus.models import Project
from inference.models import ModelVersion
from inference.selectors import deployment_of
from ner.said import Said as _
from retraining.errors import (
    AlreadyChampion,
    NoChampion,
    NothingToApprove,
    ReasonRequired,
    RolloutMoved,
    RolloutOver,
)
from retraining.models import Rollout, RolloutEvent, RolloutPolicy, TrainingRun
from retraining.selectors import rollout_policy_of
from retraining.services import rollout_moves
from retraining.services.promotion import run_require_passed
from retraining.services.traffic import traffic_claim

Status = Rollout.Status
Kind = RolloutEvent.Kind


@transaction.atomic
def rollout_start(
    *,
    project: Project,
    version: ModelVersion,
    actor: Actor,
    reason: str,
    run: TrainingRun | None = None,
) -> Rollout:
    """Begin to bring a version to a project's callers, by the steps of its policy as it is now.

    A trained version goes only past the gate, and only against the champion that it was judged against, as
    for `candidate_promote`. Raises TrafficBusy while callers are being moved already, by another rollout or
    by a version that stands in one of the slots it needs.
    """
    _reason_check(reason)
    traffic_claim(project=project)
    champion = deployment_of(project)
    if champion is None:
        raise NoChampion()
    if champion.version_id == version.pk:
        raise AlreadyChampion(pointer="/version", version=str(version))
    run = run or TrainingRun.objects.filter(candidate=version).first()
    if run is not None:
        run_require_passed(run, champion=champion)
    plan = rollout_policy_of(project=project).to_json()
    rollout = Rollout.objects.create(
        project=project,
        version=version,
        champion=champion.version,
        run=run,
        plan=plan,
        share=plan["steps"][0],
        champion_generation=champion.generation,
        reason=reason.strip(),
        started_by=actor.name,
    )
    rollout_moves.enter(rollout, actor=actor, reason=reason.strip())
    rollout.refresh_from_db()
    return rollout


@transaction.atomic
def rollout_approve(
    *, rollout: Rollout, actor: Actor, reason: str = "", expected_generation: int | None = None
) -> Rollout:
    """Let a rollout that waits for it go its next step, now.

    RolloutMoved where it is not any more what the caller looked at.
    """
    rollout = _held(rollout, expected_generation)
    if rollout.status != Status.WAITING:
        raise NothingToApprove(status=rollout.get_status_display().lower())
    said = reason.strip() or _("approved")
    rollout_moves.change(rollout, kind=Kind.APPROVE, actor=actor, reason=said, status=Status.ACTIVE)
    rollout_moves.advance(rollout, actor=actor, reason=_("{who} approved it", who=actor.name))
    return rollout


@transaction.atomic
def rollout_pause(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Keep a rollout at its step until somebody resumes it; a broken limit still takes it back."""
    _reason_check(reason)
    rollout = _held(rollout)
    if rollout.status != Status.PAUSED:
        rollout_moves.change(
            rollout, kind=Kind.PAUSE, actor=actor, reason=reason.strip(), status=Status.PAUSED
        )
    return rollout


@transaction.atomic
def rollout_resume(*, rollout: Rollout, actor: Actor, reason: str = "") -> Rollout:
    """Let a paused rollout go on; what its step measured so far counts."""
    rollout = _held(rollout)
    if rollout.status == Status.PAUSED:
        said = reason.strip() or _("goes on")
        rollout_moves.change(rollout, kind=Kind.RESUME, actor=actor, reason=said, status=Status.ACTIVE)
    return rollout


@transaction.atomic
def rollout_roll_back(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Take the version back: every process answers by the champion of before within 5 seconds."""
    _reason_check(reason)
    rollout = _held(rollout)
    rollout_moves.take_back(rollout, actor=actor, reason=reason.strip())
    return rollout


@transaction.atomic
def rollout_policy_change(
    *, project: Project, actor: Actor, reason: str = "", **values: Any
) -> RolloutPolicy:
    """Change how a project's versions are rolled out; a rollout under way keeps the plan it began with."""
    policy, _made = RolloutPolicy.objects.get_or_create(project=project)
    for name, value in values.items():
        setattr(policy, name, value)
    policy.full_clean()
    policy.save()
    event_record(
        action="rollout_policy.change",
        actor=actor,
        subject=policy,
        chain=project.slug,
        reason=reason,
        data={name: getattr(policy, name) for name in values},
    )
    return policy


def _held(rollout: Rollout, expected_generation: int | None = None) -> Rollout:
    """The row, locked and under way; a check that has it at this moment is waited for."""
    held = (
        Rollout.objects.select_for_update(of=("self",), no_key=True)
        .select_related("project", "version", "champion", "run")
        .get(pk=rollout.pk)
    )
    if not held.is_unfinished:
        raise RolloutOver(status=held.get_status_display().lower())
    if expected_generation not in (None, held.generation):
        raise RolloutMoved()
    return held


def _reason_check(reason: str) -> None:
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")
