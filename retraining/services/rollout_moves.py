"""What a rollout does to slots: its row, the slots, its event and the audit log change at once.

All of it is one transaction: a kill at any moment leaves what was before, or all that follows. Callers hold
the rollout's row locked; the conditional update is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from audit.services import Actor, event_record
from inference.models import Deployment
from inference.selectors import deployment_of
from inference.services import (
    deployment_clear,
    deployment_set,
    deployment_share,
    version_promote,
    version_roll_back,
)
from ner.criteria import Finding
from ner.said import Said as _
from retraining.errors import RolloutMoved, TrafficBusy
from retraining.models import Rollout, RolloutEvent, TrainingRunEvent
from retraining.services.promotion import tracking_sync_ask

Slot = Deployment.Slot
Status = Rollout.Status
Kind = RolloutEvent.Kind

ALL = 100.0
#: A new step begins to be measured anew.
_NOTHING_SEEN: dict[str, Any] = {"findings": [], "waits_for": "", "seconds_left": None}


def slot_for(share: float) -> str:
    """Where a version stands that has so many percent of the callers."""
    if share >= ALL:
        return Slot.CHAMPION
    return Slot.CHALLENGER if share > 0 else Slot.SHADOW


def enter(rollout: Rollout, *, actor: Actor, reason: str) -> None:
    """The slots of the first step. Raises TrafficBusy where another version stands in one of them."""
    for slot in {slot_for(share) for share in rollout.steps} - {Slot.CHAMPION}:
        found = deployment_of(rollout.project, slot)
        if found is not None and found.version_id != rollout.version_id:
            raise TrafficBusy(what=f"{found.version} stands in the slot {slot}")
    _move_slots(rollout, rollout.share, actor=actor, reason=reason)
    Rollout.objects.filter(pk=rollout.pk).update(
        slot_generation=rollout.slot_generation, champion_generation=rollout.champion_generation
    )
    _told(rollout, kind=Kind.START, before=0.0, actor=actor, reason=reason)


def advance(rollout: Rollout, *, actor: Actor, reason: str, measured: Sequence[Finding] = ()) -> None:
    """To the next step. Raises DeploymentMoved where a person moved a slot, or RolloutMoved."""
    share = rollout.next_share
    if share is None:
        raise RolloutMoved()
    before = rollout.share
    _move_slots(rollout, share, actor=actor, reason=reason)
    change(
        rollout,
        kind=Kind.ADVANCE,
        actor=actor,
        reason=reason,
        measured=measured,
        before=before,
        status=Status.ACTIVE,
        step=rollout.step + 1,
        share=share,
        step_started_at=Now(),
        slot_generation=rollout.slot_generation,
        champion_generation=rollout.champion_generation,
        **_NOTHING_SEEN,
    )


def take_back(rollout: Rollout, *, actor: Actor, reason: str, measured: Sequence[Finding] = ()) -> None:
    """The champion of before answers everybody again, in every process within seconds."""
    told: dict[str, Any] = {"project": rollout.project, "actor": actor, "reason": reason}
    slot = slot_for(rollout.share)
    standing = deployment_of(rollout.project, slot)
    if standing is not None and standing.version_id == rollout.version_id:
        if slot == Slot.CHAMPION:
            version_roll_back(expected_generation=standing.generation, **told)
        else:
            deployment_clear(slot=slot, expected_generation=standing.generation, **told)
    _end(
        rollout,
        Status.ROLLED_BACK,
        kind=Kind.ROLL_BACK,
        share=0.0,
        actor=actor,
        reason=reason,
        measured=measured,
    )


def finish(rollout: Rollout, *, actor: Actor, reason: str, measured: Sequence[Finding] = ()) -> None:
    """It was watched for long enough: it is the champion as any other."""
    _end(
        rollout,
        Status.DONE,
        kind=Kind.FINISH,
        share=rollout.share,
        actor=actor,
        reason=reason,
        measured=measured,
    )


def stop(rollout: Rollout, *, actor: Actor, reason: str) -> None:
    """Let go of the callers: of the slots only what nobody else has touched is put back."""
    slot = slot_for(rollout.share)
    standing = deployment_of(rollout.project, slot)
    if standing is not None and slot != Slot.CHAMPION and standing.generation == rollout.slot_generation:
        deployment_clear(
            project=rollout.project,
            slot=slot,
            actor=actor,
            reason=reason,
            expected_generation=rollout.slot_generation,
        )
    _end(rollout, Status.STOPPED, kind=Kind.STOP, share=rollout.share, actor=actor, reason=reason)


def moved_by_hand(rollout: Rollout) -> str:
    """What a person did to the slots meanwhile, in words; empty where nothing."""
    champion = deployment_of(rollout.project)
    expected = rollout.version_id if rollout.share >= ALL else rollout.champion_id
    if (
        champion is None
        or champion.generation != rollout.champion_generation
        or champion.version_id != expected
    ):
        if champion is None:
            return _("somebody else took the champion away meanwhile")
        return _("somebody else made {version} the champion meanwhile", version=str(champion.version))
    slot = slot_for(rollout.share)
    standing = champion if slot == Slot.CHAMPION else deployment_of(rollout.project, slot)
    if standing is None:
        return _("somebody emptied the slot {slot} meanwhile", slot=str(slot))
    if slot != Slot.CHAMPION and standing.generation != rollout.slot_generation:
        return _("somebody moved the slot {slot} meanwhile", slot=str(slot))
    return ""


def change(
    rollout: Rollout,
    *,
    kind: str,
    actor: Actor,
    reason: str,
    measured: Sequence[Finding] = (),
    before: float | None = None,
    **to: Any,
) -> None:
    """The compare-and-set of a rollout, with its event: of two who saw the same one only one changes it."""
    share = rollout.share if before is None else before
    rows = Rollout.objects.filter(
        pk=rollout.pk, generation=rollout.generation, status__in=Rollout.UNFINISHED
    ).update(generation=F("generation") + 1, **to)
    if rows != 1:
        raise RolloutMoved()
    rollout.refresh_from_db()
    _told(rollout, kind=kind, before=share, actor=actor, reason=reason, measured=measured)


def _end(
    rollout: Rollout,
    status: Status,
    *,
    kind: Kind,
    share: float,
    actor: Actor,
    reason: str,
    measured: Sequence[Finding] = (),
) -> None:
    change(
        rollout,
        kind=kind,
        actor=actor,
        reason=reason,
        measured=measured,
        before=rollout.share,
        status=status,
        share=share,
        ended_at=Now(),
        outcome=reason,
        **_NOTHING_SEEN,
    )


def _move_slots(rollout: Rollout, share: float, *, actor: Actor, reason: str) -> None:
    """Put the version where it belongs with this share; keeps in the rollout how it left the slots."""
    told: dict[str, Any] = {"project": rollout.project, "actor": actor, "reason": reason}
    slot, left = slot_for(share), slot_for(rollout.share)
    if left not in (slot, Slot.CHAMPION):
        deployment_clear(slot=left, expected_generation=rollout.slot_generation, **told)
    if slot == Slot.CHAMPION:
        promoted = version_promote(
            version=rollout.version,
            expected_generation=rollout.champion_generation,
            verdict=rollout.run.verdict if rollout.run else None,
            **told,
        )
        rollout.champion_generation, rollout.slot_generation = promoted.generation, 0
        transaction.on_commit(partial(tracking_sync_ask))
        return
    standing = deployment_of(rollout.project, slot)
    if standing is None or standing.version_id != rollout.version_id:
        standing = deployment_set(slot=slot, version=rollout.version, expected_generation=0, **told)
    elif left == slot and rollout.slot_generation:
        standing.generation = rollout.slot_generation
    moved = deployment_share(
        slot=slot,
        share=share or float(rollout.plan["shadow_percent"]),
        expected_generation=standing.generation,
        **told,
    )
    rollout.slot_generation = moved.generation


def _told(
    rollout: Rollout,
    *,
    kind: str,
    before: float,
    actor: Actor,
    reason: str,
    measured: Sequence[Finding] = (),
) -> None:
    kept = [finding.to_json() for finding in measured]
    RolloutEvent.objects.create(
        rollout=rollout,
        kind=kind,
        by=actor.name,
        share_before=before,
        share=rollout.share,
        reason=reason,
        findings=kept,
    )
    event_record(
        action=f"rollout.{kind}",
        actor=actor,
        subject=rollout,
        chain=rollout.project.slug,
        reason=reason,
        data={
            "version": str(rollout.version),
            "champion": str(rollout.champion),
            "status": rollout.status,
            "share_before": before,
            "share": rollout.share,
            "next_share": rollout.next_share if rollout.is_unfinished else None,
            "findings": kept,
        },
    )
    if rollout.run_id is not None:
        words = RolloutEvent.Kind(kind).label
        TrainingRunEvent.objects.create(
            run_id=rollout.run_id, message=f"Rollout at {rollout.share:g} %, {str(words).lower()}: {reason}"
        )
