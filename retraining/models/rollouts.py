"""Bringing a better version to callers, step by step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from corpus.said import SaidField
from inference.models import ModelVersion
from ner.rollout import Plan
from retraining.models.runs import TrainingRun

_SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


def steps_default() -> list[float]:
    """In the shadow, then to more and more callers, then to all."""
    return [0.0, 5.0, 10.0, 25.0, 50.0, 100.0]


@pghistory.track()
class RolloutPolicy(models.Model):
    """How the versions of one project are brought to its callers, and what takes one back."""

    class Approval(models.TextChoices):
        NEVER = "never", _("Goes on by itself")
        LAST = "last", _("A person approves the last step, to all callers")
        EACH = "each", _("A person approves each step")

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="rollout_policy")
    steps = ArrayField(
        models.FloatField(validators=[MinValueValidator(0.0), MaxValueValidator(100.0)]),
        default=steps_default,
        help_text=_("Percent of the callers, rising to 100; 0 is in the shadow, where nobody is answered."),
    )
    approval = models.CharField(max_length=5, choices=Approval.choices, default=Approval.NEVER)
    min_samples = models.PositiveIntegerField(
        default=500, validators=[MinValueValidator(1)], help_text=_("Answers before the next step.")
    )
    min_seconds = models.PositiveIntegerField(default=600, help_text=_("Seconds before the next step."))
    min_reviews = models.PositiveIntegerField(
        default=0,
        help_text=_("Reviews of its answers, drawn at random, before the next step; 0 waits for none."),
    )
    watch_seconds = models.PositiveIntegerField(
        default=1800, help_text=_("Seconds for which it may still be taken back after it answers all.")
    )
    shadow_percent = models.FloatField(
        default=25.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(100.0)],
        help_text=_("Percent of the champion's answers that it reads again in the shadow."),
    )
    max_error_rate = models.FloatField(
        default=0.01, validators=_SHARE, help_text=_("Share of answers that it owes and does not give.")
    )
    max_p95_ms = models.FloatField(
        default=200.0,
        validators=[MinValueValidator(0.1)],
        help_text=_("At most 5 % of its answers take longer, in milliseconds."),
    )
    max_p99_ms = models.FloatField(
        default=500.0,
        validators=[MinValueValidator(0.1)],
        help_text=_("At most 1 % of its answers take longer, in milliseconds."),
    )
    min_agreement = models.FloatField(
        default=0.5,
        validators=_SHARE,
        help_text=_("In the shadow: mean F1 of its entities against the champion's."),
    )
    max_low_confidence_rise = models.FloatField(
        default=0.15,
        validators=_SHARE,
        help_text=_("How much larger its share of unsure answers may be than the champion's."),
    )
    max_label_drift = models.FloatField(
        default=0.25,
        validators=[MinValueValidator(0.01), MaxValueValidator(10.0)],
        help_text=_("How much its mix of labels may differ (population stability index)."),
    )
    max_edit_rate_rise = models.FloatField(
        default=0.05,
        validators=_SHARE,
        help_text=_("How much more of its entities people may edit than of the champion's."),
    )

    class Meta:
        verbose_name = _("rollout policy")
        verbose_name_plural = _("rollout policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(max_error_rate__gte=0, max_error_rate__lte=1, min_agreement__gte=0)
                & Q(min_agreement__lte=1, max_label_drift__gt=0),
                name="rollout_policy_limits_are_shares",
            ),
        ]

    def __str__(self) -> str:
        return f"rollout policy of {self.project}"

    def clean(self) -> None:
        """The steps rise, and lead to all callers."""
        super().clean()
        steps = self.steps or []
        if not steps or steps[-1] != 100 or any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValidationError({"steps": gettext("Steps rise from one to the next, and the last is 100.")})

    def to_json(self) -> dict[str, Any]:
        """What a rollout that starts now is started with: a `Plan`."""
        return {name: getattr(self, name) for name in Plan.__dataclass_fields__}


class Rollout(models.Model):
    """One version on its way from the shadow to all callers, at one of its steps; or what became of it.

    `generation` grows with every change, so that of two who would move it at once only one does. What the
    slots should be meanwhile is kept: where a person moved one by hand, the rollout stops.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("Under way")
        WAITING = "waiting", _("Waits for approval")
        PAUSED = "paused", _("Paused")
        DONE = "done", _("Done")
        ROLLED_BACK = "rolled_back", _("Rolled back")
        STOPPED = "stopped", _("Stopped")

    #: Those that are not over.
    UNFINISHED = (Status.ACTIVE, Status.WAITING, Status.PAUSED)

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="rollouts")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="rollouts")
    champion = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Who answered when it began, and answers again if it is taken back."),
    )
    run = models.ForeignKey(
        TrainingRun, on_delete=models.SET_NULL, null=True, blank=True, related_name="rollouts"
    )
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.ACTIVE)
    plan = models.JSONField(help_text=_("ner.rollout.Plan: the policy when it began."))
    step = models.PositiveSmallIntegerField(default=0, help_text=_("Which of the plan's steps."))
    share = models.FloatField(default=0.0, help_text=_("Percent of the callers."))
    generation = models.PositiveIntegerField(default=1)
    slot_generation = models.PositiveIntegerField(
        default=0, help_text=_("Of its own slot, as the rollout left it.")
    )
    champion_generation = models.PositiveIntegerField(
        default=0, help_text=_("Of the champion's slot, as the rollout left it.")
    )
    reason = SaidField(help_text=_("Why it was started."))
    outcome = SaidField(blank=True, help_text=_("Why it ended as it did."))
    started_by = models.CharField(max_length=200)
    findings = models.JSONField(default=list, help_text=_("What the last check saw: ner.rollout.Finding."))
    waits_for = SaidField(blank=True, help_text=_("Why it does not go on yet."))
    seconds_left = models.FloatField(null=True, blank=True, help_text=_("At the present rate."))
    checked_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    step_started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("rollout")
        verbose_name_plural = _("rollouts")
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(status__in=["active", "waiting", "paused"]),
                name="rollout_one_at_a_time_per_project",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["active", "waiting", "paused"], ended_at=None)
                | (~Q(status__in=["active", "waiting", "paused"]) & Q(ended_at__isnull=False)),
                name="rollout_ended_has_its_end",
            ),
            models.CheckConstraint(
                condition=Q(share__gte=0, share__lte=100), name="rollout_share_is_percent"
            ),
        ]

    def __str__(self) -> str:
        return f"rollout of {self.version}"

    @property
    def is_unfinished(self) -> bool:
        """Is it not over?"""
        return self.status in self.UNFINISHED

    @property
    def steps(self) -> list[float]:
        """All its steps, in percent."""
        return list(self.plan["steps"])

    @property
    def next_share(self) -> float | None:
        """What its next step gives it; None at the last."""
        later = self.steps[self.step + 1 :]
        return later[0] if later else None

    @property
    def needs_approval(self) -> bool:
        """Does a person have to approve the next step?"""
        approval = self.plan["approval"]
        is_next_last = self.step + 2 == len(self.steps)
        return self.next_share is not None and (
            approval == RolloutPolicy.Approval.EACH
            or (approval == RolloutPolicy.Approval.LAST and is_next_last)
        )

    def plan_of(self) -> Plan:
        """The plan it was started with."""
        return Plan(**self.plan)


class RolloutEvent(models.Model):
    """One thing that happened to a rollout: why, by whom, and what was measured against which limit."""

    class Kind(models.TextChoices):
        START = "start", _("Started")
        ADVANCE = "advance", _("Went a step further")
        ASK = "ask", _("Waits for approval")
        APPROVE = "approve", _("Approved")
        PAUSE = "pause", _("Paused")
        RESUME = "resume", _("Resumed")
        ROLL_BACK = "roll_back", _("Rolled back")
        STOP = "stop", _("Stopped")
        FINISH = "finish", _("Done")

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=9, choices=Kind.choices)
    by = models.CharField(max_length=200)
    share_before = models.FloatField()
    share = models.FloatField()
    reason = SaidField()
    findings: Any = models.JSONField(default=list)

    class Meta:
        ordering = ["rollout", "id"]
        verbose_name = _("event of a rollout")

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reason}"
