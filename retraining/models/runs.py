"""Training runs: one row is one training, however often its process had to be started again."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from inference.models import ModelVersion
from retraining.models.sets import TrainingSet


class TrainingRun(models.Model):
    """One training, from queued to its verdict.

    `lease_token` fences it: only the process that holds the token may write to the row, so one that
    was paused past its lease and wakes up again can change nothing.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="training_runs")
    training_set = models.ForeignKey(TrainingSet, on_delete=models.PROTECT, related_name="runs")
    start_from = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("The champion it starts from and is judged against."),
    )
    candidate = models.OneToOneField(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="training_run"
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    config = models.JSONField(default=dict, help_text=_("ner.config.TrainConfig as JSON."))
    reason = models.TextField(blank=True, help_text=_("Why it was queued."))
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When the broker was last told of it; the row is the record.")
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict, help_text=_("Step, total, epoch, loss, F1, message."))
    verdict = models.JSONField(null=True, blank=True, help_text=_("ner.gate.GateDecision as JSON."))
    error = models.TextField(blank=True)
    mlflow_run_id = models.CharField(max_length=64, blank=True)
    queued_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("training run")
        verbose_name_plural = _("training runs")
        ordering = ["-queued_at", "-id"]
        permissions = [
            ("queue_trainingrun", "Can start a training run"),
            ("cancel_trainingrun", "Can stop a training run"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(status__in=["queued", "running"]),
                name="run_one_at_a_time_per_project",
            ),
            models.CheckConstraint(
                # A bundle that cannot even be put on the shelf is refused without a candidate.
                condition=~Q(status="done") | Q(candidate__isnull=False) | Q(verdict__isnull=False),
                name="run_done_has_its_candidate_or_why_not",
            ),
            models.CheckConstraint(
                condition=Q(status="running", lease_token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(status="running") & Q(lease_token__isnull=True, lease_expires_at__isnull=True)),
                name="run_lease_while_running",
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.project}"


class TrainingRunEvent(models.Model):
    """One line of a run's log: what happened, in words, with its numbers."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    message = models.TextField()
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["run", "id"]

    def __str__(self) -> str:
        return self.message
