"""Files of texts that callers want predicted: each is one job, worked on in chunks."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from inference.models.keys import ApiKey
from inference.models.leases import Leased
from inference.models.versions import ModelVersion


class PredictionJob(models.Model):
    """One file of texts, the version that predicts all of them, and how far that is."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    #: What is worked on, or about to be.
    ACTIVE = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="predictionjobs", db_index=False
    )
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="predictionjobs")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="predictionjobs")
    slot = models.CharField(max_length=12, blank=True, help_text=_("The slot that chose the version."))
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    file_name = models.CharField(
        max_length=255, blank=True, help_text=_("For people; no path is made of it.")
    )
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    options = models.JSONField(help_text=_("What the caller asked for."))
    layout = models.JSONField(help_text=_("How the file is laid out, found when it came."))
    rules = models.JSONField(help_text=_("What the labels asked of answers when the job was started."))
    idempotency_key = models.CharField(max_length=255, blank=True)
    request_digest = models.CharField(max_length=64)
    position = models.PositiveBigIntegerField(default=0, help_text=_("Bytes of the file done so far."))
    lines = models.PositiveBigIntegerField(default=0, help_text=_("Lines answered so far, bad ones too."))
    failed = models.PositiveBigIntegerField(default=0, help_text=_("Of those, the ones with an error."))
    result_bytes = models.PositiveBigIntegerField(default=0)
    error_code = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True, help_text=_("Why it failed, for people."))
    published_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    file_removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("bulk prediction")
        verbose_name_plural = _("bulk predictions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["api_key", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="job_once_per_idempotency_key",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="job_newest_first"),
            models.Index(
                fields=["created_at"], condition=Q(status__in=["queued", "running"]), name="job_active"
            ),
        ]

    def __str__(self) -> str:
        return self.file_name or str(self.pk)[:8]

    @property
    def is_active(self) -> bool:
        """Is it being worked on, or about to be?"""
        return self.status in self.ACTIVE

    @property
    def percent(self) -> int:
        """How much of the file is done."""
        return 100 if self.status == self.Status.DONE else 100 * self.position // max(self.size_bytes, 1)


class PredictionChunk(Leased):
    """A stretch of a job's file, from one line's beginning to another's, that one process predicts at a time.

    A file begins as one chunk; whoever takes a long one cuts off what it can do and leaves the rest.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(PredictionJob, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    start = models.PositiveBigIntegerField(help_text=_("Where it begins in the file, in bytes."))
    end = models.PositiveBigIntegerField(help_text=_("Where it ends, in bytes."))
    line = models.PositiveBigIntegerField(help_text=_("The number of its first line."))
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.WAITING)
    part = models.UUIDField(null=True, help_text=_("Which of the files written for it is its answer."))
    part_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "start"], name="chunk_once_per_place"),
            models.CheckConstraint(condition=Q(end__gt=F("start")), name="chunk_is_not_empty"),
            models.CheckConstraint(
                condition=Q(status="done", part__isnull=False) | ~Q(status="done"),
                name="chunk_done_has_its_part",
            ),
        ]
        indexes = [
            models.Index(fields=["job", "start"], condition=~Q(status="done"), name="chunk_undone"),
            models.Index(fields=["lease_expires_at"], condition=Q(status="running"), name="chunk_running"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} from line {self.line}"
