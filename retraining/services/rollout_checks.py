"""Looking at every rollout under way, again and again: it goes on, waits and says why, or is taken back.

Beat asks every few seconds. Two that look at once, or one that is killed, change nothing twice: the row is
locked while it is judged, and whoever finds it locked leaves it to the other.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from audit.services import SYSTEM
from corpus.errors import DomainError
from corpus.models import Project
from inference.errors import BundleBroken, DeploymentMoved, ModelUnusable
from inference.models import Deployment, ShadowTest
from inference.selectors import exams_newest, exams_shared
from ner.evaluate import EvalReport
from ner.rollout import (
    Judgement,
    Plan,
    Seen,
    ShadowSeen,
    exam_arm,
    judge_shadow,
    judge_share,
    judge_watch,
    label_drift,
)
from ner.said import Number
from ner.said import Said as _
from retraining.arms import Place, Span, arm_counted, edits_sampled, shadow_slow
from retraining.models import Rollout, RolloutEvent, RolloutPolicy
from retraining.services import rollout_moves

log = structlog.get_logger(__name__)

Slot = Deployment.Slot
Status = Rollout.Status

#: What went wrong just now must not be hidden by what went well for hours.
WINDOW = timedelta(seconds=60)


def rollouts_check() -> int:
    """Look at every rollout under way; one that cannot be judged does not keep others from it."""
    _policies_make()
    looked_at = 0
    for pk in Rollout.objects.filter(status__in=Rollout.UNFINISHED).values_list("pk", flat=True):
        try:
            looked_at += rollout_check(rollout_id=pk)
        except Exception:
            # Whatever it is, such as a plan of another release: the others are looked at nevertheless.
            log.exception("rollout_not_judged", rollout=pk)
    return looked_at


def _policies_make() -> None:
    """A row for each project, so that there is one to change."""
    without = Project.objects.filter(rollout_policy=None)
    RolloutPolicy.objects.bulk_create(
        (RolloutPolicy(project=project) for project in without), ignore_conflicts=True
    )


@transaction.atomic
def rollout_check(*, rollout_id: int, now: datetime | None = None) -> bool:
    """Judge one rollout and do what follows; False where somebody else has it, or it is over."""
    rollout = (
        Rollout.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
        .select_related("project", "version", "champion", "run")
        .filter(pk=rollout_id, status__in=Rollout.UNFINISHED)
        .first()
    )
    if rollout is None:
        return False
    if moved := rollout_moves.moved_by_hand(rollout):
        rollout_moves.stop(rollout, actor=SYSTEM, reason=moved)
        return True
    judgement = rollout_judged(rollout=rollout, now=now)
    if judgement.broken:
        rollout_moves.take_back(rollout, actor=SYSTEM, reason=judgement.why_back, measured=judgement.findings)
        return True
    blocked = ""
    if judgement.is_met and rollout.status == Status.ACTIVE:
        blocked = _go_on(rollout, judgement)
        if not blocked:
            return True
    Rollout.objects.filter(pk=rollout.pk).update(
        findings=[finding.to_json() for finding in judgement.findings],
        waits_for=blocked or judgement.why_not,
        seconds_left=None if blocked else judgement.seconds_left,
        checked_at=timezone.now(),
    )
    return True


def rollout_judged(*, rollout: Rollout, now: datetime | None = None) -> Judgement:
    """What is measured of a rollout's present step, against its plan."""
    plan, now = rollout.plan_of(), now or timezone.now()
    if rollout.share <= 0:
        return judge_shadow(plan, _shadow_seen(rollout, plan, now))
    if rollout.share < rollout_moves.ALL:
        champion = Place(rollout.project, Slot.CHAMPION, rollout.champion)
        step = Span(rollout.step_started_at)
        return judge_share(plan, _seen(rollout, plan, now, Slot.CHALLENGER, champion, step))
    # The champion of before answers no more: what it answered until then is what its successor is held to.
    before = Span(rollout.started_at, rollout.step_started_at)
    champion = Place(rollout.project, Slot.CHAMPION, rollout.champion)
    return judge_watch(plan, _seen(rollout, plan, now, Slot.CHAMPION, champion, before))


def _go_on(rollout: Rollout, judgement: Judgement) -> str:
    """The next step, the question for approval, or the end; returns what stands in the way, if anything."""
    if rollout.next_share is None:
        seconds = Number(rollout.plan["watch_seconds"], "g")
        rollout_moves.finish(
            rollout,
            actor=SYSTEM,
            reason=_("it answered all callers for {seconds} s within every limit", seconds=seconds),
            measured=judgement.findings,
        )
        return ""
    if rollout.needs_approval:
        rollout_moves.change(
            rollout,
            kind=RolloutEvent.Kind.ASK,
            actor=SYSTEM,
            reason=_(
                "{within}; a person approves {share} %",
                within=_within(rollout),
                share=Number(rollout.next_share, "g"),
            ),
            measured=judgement.findings,
            status=Status.WAITING,
        )
        return "approval"
    try:
        with transaction.atomic():
            rollout_moves.advance(
                rollout,
                actor=SYSTEM,
                reason=_within(rollout),
                measured=judgement.findings,
            )
    except DeploymentMoved:
        rollout_moves.stop(
            rollout, actor=SYSTEM, reason=_("somebody filled the slot of its next step meanwhile")
        )
    except BundleBroken as broken:
        rollout_moves.take_back(rollout, actor=SYSTEM, reason=broken.detail, measured=judgement.findings)
    except DomainError as refused:
        return refused.detail
    return ""


def _within(rollout: Rollout) -> str:
    if not rollout.share:
        return _("within every limit in the shadow")
    return _("within every limit at {share} %", share=Number(rollout.share, "g"))


def _seen(rollout: Rollout, plan: Plan, now: datetime, slot: str, champion: Place, before: Span) -> Seen:
    """Both arms: in this step, and in its last minute. `before` is when the champion's answers count."""
    began, recent = rollout.step_started_at, max(now - WINDOW, rollout.step_started_at)
    candidate = Place(rollout.project, slot, rollout.version)
    past = arm_counted(place=champion, during=before, plan=plan)
    return Seen(
        seconds=(now - began).total_seconds(),
        candidate=arm_counted(place=candidate, during=Span(began), plan=plan),
        champion=past,
        candidate_now=arm_counted(place=candidate, during=Span(recent), plan=plan),
        champion_now=arm_counted(place=champion, during=Span(recent), plan=plan)
        if before.until is None
        else past,
        window_seconds=(now - recent).total_seconds(),
        drift_expected=_drift_expected(rollout),
        edits=edits_sampled(project=rollout.project, version=rollout.version, since=rollout.started_at),
        champion_edits=edits_sampled(
            project=rollout.project, version=rollout.champion, since=rollout.started_at
        ),
    )


def _drift_expected(rollout: Rollout) -> float:
    sat = exams_shared(project=rollout.project, first=rollout.champion, second=rollout.version)
    if sat is None or sat[1].f1 < sat[0].f1:
        return 0.0
    champion, candidate = (exam_arm(EvalReport.from_json(exam.report).documents) for exam in sat)
    # Of the same texts, so none of it is chance.
    return label_drift(candidate, champion)[0]


def _shadow_seen(rollout: Rollout, plan: Plan, now: datetime) -> ShadowSeen:
    seconds = (now - rollout.step_started_at).total_seconds()
    test = ShadowTest.objects.filter(
        project=rollout.project, champion=rollout.champion, shadow=rollout.version, ended_at=None
    ).first()
    if test is None:
        return ShadowSeen(seconds)
    slow, very_slow, timed = shadow_slow(test=test, plan=plan)
    f1 = exams_newest([rollout.champion, rollout.version])
    return ShadowSeen(
        seconds=seconds,
        compared=test.compared,
        agreement=test.agreement,
        failed=test.failed,
        slow=slow,
        very_slow=very_slow,
        timed=timed,
        # One that is being loaded will be; one that cannot be will not.
        problem=test.problem if test.problem == ModelUnusable.code else "",
        champion_f1=f1[rollout.champion_id],
        candidate_f1=f1[rollout.version_id],
    )
