"""Pointing slots at versions. Every move is one conditional UPDATE with its audit event and its reason."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from audit.services import Actor, event_record
from corpus.models import Project
from inference.engine import engine
from inference.errors import (
    BundleBroken,
    DeploymentMoved,
    NothingToRollBackTo,
    ReasonRequired,
    ShareNotSettable,
    ShareOutOfRange,
    ShareTooLarge,
    SlotNotClearable,
    UnknownModel,
)
from inference.models import Deployment, ModelVersion
from inference.selectors import deployment_of
from inference.shares import SHARED, shares_of
from ner.errors import BundleRefused

Slot = Deployment.Slot


def deployment_set(
    *,
    project: Project,
    slot: str,
    version: ModelVersion,
    actor: Actor,
    reason: str,
    expected_generation: int | None = None,
) -> Deployment:
    """Point a slot at a version, whatever it pointed at; the same version again changes nothing.

    Raises DeploymentMoved when somebody else moves the slot at the same time, or it is not any more what the
    caller looked at; `expected_generation` is 0 for an empty slot.
    """
    _reason_check(reason)
    _usable_check(project, version)
    with transaction.atomic():
        deployment = deployment_of(project, slot)
        if deployment is not None and deployment.version_id == version.pk:
            return deployment
        if expected_generation not in (None, deployment.generation if deployment else 0):
            raise DeploymentMoved()
        if deployment is None:
            try:
                with transaction.atomic():
                    moved = Deployment.objects.create(project=project, slot=Slot(slot), version=version)
            except IntegrityError:
                raise DeploymentMoved() from None
        else:
            # A share was given to a version, not to whatever comes after it.
            moved = _move(
                project, slot, deployment.generation, version=version, previous=F("version"), share=None
            )
        _moved(moved, deployment, action="deployment.set", actor=actor, reason=reason, data={"slot": slot})
        return moved


def deployment_share(
    *,
    project: Project,
    slot: str,
    share: float | None,
    actor: Actor,
    reason: str,
    expected_generation: int | None = None,
) -> Deployment:
    """Give a slot this percentage of the project's callers, or with None what slots have by default.

    A shadow answers nobody: its share is of the champion's answers, which it reads again. In every process
    within seconds; who was given to the slot before stays when the share grows. Raises DeploymentMoved when
    the slot is not any more what the caller looked at, ShareTooLarge when all slots together would have more
    than everybody.
    """
    _reason_check(reason)
    if slot == Slot.CHAMPION:
        raise ShareNotSettable(pointer="/slot", slot=slot)
    if share is not None and not 0 <= share <= 100:
        raise ShareOutOfRange(pointer="/share")
    with transaction.atomic():
        # All rows in one order: two who give away the last percent come one after the other.
        found = Deployment.objects.select_for_update(of=("self",)).filter(project=project).order_by("pk")
        filled = {row.slot: row for row in found.select_related("version")}
        if slot not in filled:
            raise UnknownModel(pointer="/slot", model=slot)
        before = filled[slot]
        _room_check({name: row.share for name, row in filled.items()} | {slot: share}, slot)
        generation = before.generation if expected_generation is None else expected_generation
        moved = _move(project, slot, generation, share=share)
        _moved(
            moved,
            before,
            action="deployment.share",
            actor=actor,
            reason=reason,
            data={"slot": slot, "share": share, "share_before": before.share},
        )
        return moved


def deployment_clear(
    *, project: Project, slot: str, actor: Actor, reason: str, expected_generation: int | None = None
) -> None:
    """Empty a slot: who was answered by it is answered by the champion, within seconds.

    A slot that is empty already is no change. Raises SlotNotClearable for the champion's, DeploymentMoved
    when the slot is not any more what the caller looked at.
    """
    _reason_check(reason)
    if slot == Slot.CHAMPION:
        raise SlotNotClearable(pointer="/slot")
    with transaction.atomic():
        before = deployment_of(project, slot)
        if before is None:
            return
        generation = before.generation if expected_generation is None else expected_generation
        _, removed = Deployment.objects.filter(pk=before.pk, generation=generation).delete()
        if not removed:
            raise DeploymentMoved()
        event_record(
            action="deployment.clear",
            actor=actor,
            subject=before,
            chain=project.slug,
            reason=reason.strip(),
            data={"from": str(before.version), "generation": before.generation, "slot": slot},
        )


def version_promote(
    *,
    project: Project,
    version: ModelVersion,
    expected_generation: int,
    actor: Actor,
    reason: str,
    verdict: dict[str, Any] | None = None,
) -> Deployment:
    """Make a version the champion, if the champion is still the one the caller looked at.

    `expected_generation` is the champion's generation then, 0 for none. The version that serves already
    is no change. `verdict`, the gate's, goes into the audit log; whoever calls has judged it. Raises
    DeploymentMoved for the slower one of two, UnknownModel for another project's version, BundleBroken
    for a version whose bundle does not load.
    """
    _reason_check(reason)
    _usable_check(project, version)
    data: dict[str, Any] = {} if verdict is None else {"verdict": verdict}
    with transaction.atomic():
        deployment = deployment_of(project)
        if deployment is not None and deployment.version_id == version.pk:
            return deployment
        if deployment is None:
            if expected_generation != 0:
                raise DeploymentMoved()
            try:
                with transaction.atomic():
                    moved = Deployment.objects.create(project=project, slot=Slot.CHAMPION, version=version)
            except IntegrityError:
                raise DeploymentMoved() from None
        else:
            moved = _move(project, Slot.CHAMPION, expected_generation, version=version, previous=F("version"))
        _moved(moved, deployment, action="version.promote", actor=actor, reason=reason, data=data)
        return moved


def version_roll_back(*, project: Project, expected_generation: int, actor: Actor, reason: str) -> Deployment:
    """Bring back the version that was champion before; a second roll back returns to the first."""
    _reason_check(reason)
    with transaction.atomic():
        deployment = deployment_of(project)
        if deployment is None or deployment.previous is None:
            raise NothingToRollBackTo()
        _usable_check(project, deployment.previous)
        moved = _move(
            project, Slot.CHAMPION, expected_generation, version=F("previous"), previous=F("version")
        )
        _moved(moved, deployment, action="version.roll_back", actor=actor, reason=reason, data={})
        return moved


def _reason_check(reason: str) -> None:
    if not reason.strip():
        raise ReasonRequired(pointer="/reason")


def _room_check(set_shares: dict[str, float | None], slot: str) -> None:
    """All slots together have no more than all callers."""
    shares = shares_of(set_shares)
    others = sum(shares.get(name, 0.0) for name in SHARED if name != slot)
    if shares.get(slot, 0.0) > 100 - others:
        raise ShareTooLarge(pointer="/share", others=f"{others:g}", rest=f"{100 - others:g}")


def _usable_check(project: Project, version: ModelVersion) -> None:
    """The version is this project's to use, and its bundle loads: nobody is sent to a broken one."""
    if version.project_id not in (None, project.pk):
        raise UnknownModel(pointer="/version", model=str(version))
    try:
        engine.recogniser_for(version)
    except BundleRefused as refused:
        raise BundleBroken(pointer="/version", version=str(version), reason=refused.code) from refused


def _move(project: Project, slot: str, generation: int, **to: Any) -> Deployment:
    """The compare-and-set: of two who saw the same generation one row is moved, once."""
    rows = Deployment.objects.filter(project=project, slot=slot, generation=generation).update(
        generation=F("generation") + 1, changed_at=Now(), **to
    )
    moved = deployment_of(project, slot)
    if rows != 1 or moved is None:
        raise DeploymentMoved()
    return moved


def _moved(
    moved: Deployment,
    before: Deployment | None,
    *,
    action: str,
    actor: Actor,
    reason: str,
    data: dict[str, Any],
) -> None:
    event_record(
        action=action,
        actor=actor,
        subject=moved,
        chain=moved.project.slug,
        reason=reason.strip(),
        data={
            "from": str(before.version) if before else None,
            "to": str(moved.version),
            "generation": moved.generation,
            **data,
        },
    )
