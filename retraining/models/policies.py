"""When a project retrains, and each time the question was asked."""

from __future__ import annotations

import pghistory
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from retraining.models.runs import TrainingRun


@pghistory.track()
class RetrainPolicy(models.Model):
    """The thresholds of one project, and what the gate asks of a candidate."""

    class AfterGate(models.TextChoices):
        KEEP = "keep", _("A person decides")
        ROLL_OUT = "roll_out", _("It is rolled out, step by step")
        PROMOTE = "promote", _("It answers all callers at once")

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="retrain_policy")
    enabled = models.BooleanField(default=True)
    new_corrections = models.PositiveIntegerField(
        default=200, validators=[MinValueValidator(1)], help_text=_("Retrain after this many.")
    )
    quiet_seconds = models.PositiveIntegerField(
        default=120, help_text=_("Wait until nobody corrected for this long.")
    )
    max_quiet_wait_seconds = models.PositiveIntegerField(
        default=3600, help_text=_("Do not wait for quiet longer than this.")
    )
    max_age_days = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text=_("Retrain when the champion is older and there is anything new."),
    )
    early_corrections = models.PositiveIntegerField(
        _("corrections on an alarm"),
        default=20,
        db_default=20,
        validators=[MinValueValidator(1)],
        help_text=_("An alarm or the night starts a training on this many already."),
    )
    max_f1_drop = models.FloatField(
        _("alarm when F1 falls by"),
        default=0.02,
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_(
            "Alarm: the whole interval of the live F1 lies below the exam's F1 by more than this. "
            "Empty for no such alarm."
        ),
    )
    on_drift = models.BooleanField(
        _("alarm on drift"),
        default=True,
        db_default=True,
        help_text=_("Alarm: the newest texts are unlike those that the champion was trained on."),
    )
    nightly_hour = models.PositiveSmallIntegerField(
        _("nightly from"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(23)],
        help_text=_("Retrain each night from this hour on (0 to 23). Empty for no such training."),
    )
    max_runs_per_day = models.PositiveIntegerField(
        _("trainings a day at most"),
        default=12,
        db_default=12,
        validators=[MinValueValidator(1)],
        help_text=_('No more trainings start by themselves in 24 hours. "Retrain now" is always possible.'),
    )
    must_be_better = models.BooleanField(
        default=True, help_text=_("Otherwise: not worse by more than the margin.")
    )
    margin = models.FloatField(default=0.01, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)])
    min_test_documents = models.PositiveIntegerField(
        default=20,
        validators=[MinValueValidator(1)],
        help_text=_("The gate refuses to judge on fewer documents of the random stratum."),
    )
    max_label_drop = models.FloatField(
        default=0.05, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)]
    )
    max_base_drop = models.FloatField(
        default=0.01,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("How much F1 on the general set may be lost."),
    )
    max_golden_lost = models.FloatField(
        default=0.1,
        db_default=0.1,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_(
            "The share of the golden texts that the champion gets right which may be lost; one always may."
        ),
    )
    max_ece = models.FloatField(
        _("max calibration error"),
        default=0.1,
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_(
            "How far confidence may be off beyond chance, unless the champion's is as far off. "
            "Empty: it is not judged."
        ),
    )
    after_gate = models.CharField(
        max_length=8,
        choices=AfterGate.choices,
        default=AfterGate.KEEP,
        db_default=AfterGate.KEEP,
        help_text=_("What becomes of a candidate that passed the gate."),
    )

    class Meta:
        verbose_name = _("retrain policy")
        verbose_name_plural = _("retrain policies")

    def __str__(self) -> str:
        return f"policy of {self.project}"


class RetrainDecision(models.Model):
    """One answer to "is a retraining due?", with the numbers it saw.

    While the answer stays the same, the newest row is confirmed (`last_checked_at`, `checks`) instead
    of repeated.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="retrain_decisions")
    due = models.BooleanField()
    explanation = models.TextField()
    numbers = models.JSONField(default=dict)
    run = models.ForeignKey(
        TrainingRun, on_delete=models.SET_NULL, null=True, blank=True, related_name="decisions"
    )
    checks = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    last_checked_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("retrain decision")
        verbose_name_plural = _("retrain decisions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(checks__gte=1), name="decision_checked_once_or_more"),
        ]

    def __str__(self) -> str:
        return self.explanation
