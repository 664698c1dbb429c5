"""Experiments: several versions answer a project's callers side by side, and reviews say which is better."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from corpus.said import SaidField
from inference.models import Deployment, Division, ModelVersion

#: Every web process deals the callers by then as the experiment says; what came before is not counted.
SETTLING = timedelta(seconds=10)


class Experiment(models.Model):
    """One question put to callers and reviewers: is one of these versions better than the champion?"""

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        RUNNING = "running", _("Running")
        ENDED = "ended", _("Ended")

    class Outcome(models.TextChoices):
        WIN = "win", _("A version is better")
        LOSS = "loss", _("A version is worse")
        FUTILITY = "futility", _("No difference worth having")
        STOPPED = "stopped", _("Stopped by hand")
        INTERRUPTED = "interrupted", _("Somebody moved a slot")

    class Metric(models.TextChoices):
        EDIT_RATE = "edit_rate", _("Edit rate: spans that reviewers changed or added")
        REVIEWED_F1 = "reviewed_f1", _("F1 against what reviewers left")
        RATING = "rating", _("Callers' ratings")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="experiments")
    question = models.CharField(max_length=300, help_text=_("What is to be found out, in one sentence."))
    by = models.CharField(
        max_length=8,
        choices=Division.By.choices,
        default=Division.By.SUBJECT,
        help_text=_("What always gets the same version."),
    )
    salt = models.CharField(max_length=16, blank=True, editable=False)
    metric = models.CharField(max_length=12, choices=Metric.choices, default=Metric.EDIT_RATE)
    effect = models.FloatField(
        default=0.03,
        validators=[MinValueValidator(0.001), MaxValueValidator(4.0)],
        help_text=_(
            "The smallest difference worth having: 0.03 are 3 points of a rate; ratings go from 1 to 5."
        ),
    )
    alpha = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0.001), MaxValueValidator(0.2)],
        help_text=_("How often a difference may be seen where there is none."),
    )
    power = models.FloatField(
        default=0.8,
        validators=[MinValueValidator(0.5), MaxValueValidator(0.99)],
        help_text=_("How often a difference of that size is to be seen where there is one."),
    )
    max_days = models.PositiveIntegerField(
        default=28,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
        help_text=_("Whatever was not seen by then is not worth waiting for."),
    )
    promotes_winner = models.BooleanField(
        default=False, help_text=_("Make the winner champion without a human; otherwise it is proposed.")
    )
    estimate = models.JSONField(
        default=dict, blank=True, help_text=_("How long it was thought to take when it was started.")
    )
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.DRAFT)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, blank=True)
    ended_why = SaidField(blank=True)
    winner = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="experiments_won"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    promoted_at = models.DateTimeField(null=True, blank=True, help_text=_("When the winner became champion."))

    class Meta:
        verbose_name = _("experiment")
        verbose_name_plural = _("experiments")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(status="running"), name="experiment_one_running"
            ),
            models.CheckConstraint(
                condition=Q(status="draft", started_at=None, ended_at=None, outcome="")
                | Q(status="running", started_at__isnull=False, ended_at=None, outcome="")
                | (Q(status="ended", started_at__isnull=False, ended_at__isnull=False) & ~Q(outcome="")),
                name="experiment_status_has_its_moments",
            ),
            models.CheckConstraint(
                condition=Q(promoted_at=None) | Q(status="ended", winner__isnull=False),
                name="experiment_promotes_its_winner",
            ),
        ]

    def __str__(self) -> str:
        return self.question

    @property
    def counted_from(self) -> datetime | None:
        """Answers before this moment are not counted: some processes had not heard of the experiment."""
        return self.started_at + SETTLING if self.started_at else None

    @property
    def lower_is_better(self) -> bool:
        """Is less of the metric better?"""
        return self.metric == self.Metric.EDIT_RATE


class ExperimentArm(models.Model):
    """A version that an experiment compares, and its percent of the callers; the champion is the control."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="arms")
    slot = models.CharField(max_length=12, choices=Deployment.Slot.choices)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="experiment_arms")
    share = models.FloatField(help_text=_("Percent of the callers."))
    dropped_at = models.DateTimeField(
        null=True, blank=True, help_text=_("Since then its callers get the champion's answers.")
    )
    dropped_why = SaidField(blank=True, default="", db_default="")

    class Meta:
        ordering = ["experiment", "slot"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "slot"], name="experiment_arm_once_per_slot"),
            models.CheckConstraint(
                condition=Q(share__gt=0, share__lt=100), name="experiment_arm_has_a_share"
            ),
            models.CheckConstraint(
                condition=Q(slot="champion") | Q(slot__startswith="challenger"),
                name="experiment_arm_is_champion_or_challenger",
            ),
            models.CheckConstraint(
                condition=Q(dropped_at=None) | ~Q(slot="champion"), name="experiment_arm_control_stays"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} ({self.share:g} %)"

    @property
    def is_control(self) -> bool:
        """Is it what the others are compared with?"""
        return self.slot == Deployment.Slot.CHAMPION

    @property
    def is_dropped(self) -> bool:
        """Was it so surely worse that the others go on without it?"""
        return self.dropped_at is not None


class ExperimentLook(models.Model):
    """What one look at a running experiment saw; together they are its plot. Never changed."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="looks", db_index=False)
    at = models.DateTimeField()
    reviews = models.PositiveIntegerField(help_text=_("Of all arms; ratings, where they are the metric."))
    needed = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("So many more, at present variance.")
    )
    arms = models.JSONField(help_text=_("By slot: what was measured of the arm, with intervals."))
    comparisons = models.JSONField(help_text=_("By slot of a challenger: its difference to the control."))
    ratio_p = models.FloatField(
        help_text=_("How likely such uneven numbers of callers are; below 0.001 the assignment is broken.")
    )

    class Meta:
        ordering = ["experiment", "at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ratio_p__gte=0, ratio_p__lte=1), name="experiment_look_p_is_a_probability"
            ),
        ]
        indexes = [models.Index(F("experiment"), F("at").desc(), name="experiment_look_newest")]

    def __str__(self) -> str:
        return f"{self.experiment_id} at {self.at:%Y-%m-%d %H:%M}"
