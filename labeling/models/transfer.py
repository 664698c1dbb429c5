"""Files on their way in and out: each row is one job and all that is known of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from corpus.models import LabelSet, Project
from inference.models import ApiKey, Leased


class JobStatus(models.TextChoices):
    """How far a job is. Only `queued` and `running` ones are worked on."""

    UPLOADED = "uploaded", _("Uploaded")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    CHECKED = "checked", _("Checked")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class TransferJob(Leased):
    """What an import and an export have in common: who asked, how far it is, and who works on it."""

    Status = JobStatus

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="%(class)ss")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="%(class)ss",
        help_text=_("Nobody where a command or an API key asked."),
    )
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, blank=True, related_name="%(class)ss"
    )
    status = models.CharField(max_length=10, choices=JobStatus.choices)
    format = models.CharField(max_length=20)
    options = models.JSONField(default=dict)
    file_name = models.CharField(
        max_length=255, blank=True, help_text=_("For people; no path is made of it.")
    )
    size_bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    position = models.PositiveBigIntegerField(default=0, help_text=_("Records stored or written so far."))
    total = models.PositiveBigIntegerField(
        null=True, blank=True, help_text=_("Records there are, once known.")
    )
    counts = models.JSONField(default=dict)
    error_code = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True, help_text=_("Why it failed, for people."))
    published_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    file_removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-created_at", "id"]

    @property
    def is_active(self) -> bool:
        """Is it being worked on, or about to be?"""
        return self.status in (JobStatus.QUEUED, JobStatus.RUNNING)

    @property
    def percent(self) -> int | None:
        """How far it is, once it is known how far there is to go."""
        return None if not self.total else min(100, 100 * self.position // self.total)

    @property
    def who(self) -> str:
        """Who asked for it."""
        return str(self.requested_by or self.api_key or "nerapp")


class ImportJob(TransferJob):
    """One file on its way into a project: checked as a whole, then stored in steps that survive a kill."""

    class Phase(models.TextChoices):
        CHECK = "check", _("Checking")
        STORE = "store", _("Storing")

    phase = models.CharField(max_length=5, choices=Phase.choices, default=Phase.CHECK)
    is_dry_run = models.BooleanField(default=False)
    options_digest = models.CharField(max_length=64, blank=True)
    offset = models.PositiveBigIntegerField(
        default=0, help_text=_("Where the rest of the checked rows begins, in bytes.")
    )
    findings = models.JSONField(default=dict, help_text=_("What the check found: labels, models, repairs."))
    errors = models.JSONField(default=list, help_text=_("The first bad rows: place, code, what is wrong."))
    error_count = models.PositiveBigIntegerField(default=0)
    label_set = models.ForeignKey(
        LabelSet, on_delete=models.PROTECT, null=True, blank=True, related_name="importjobs"
    )

    class Meta(TransferJob.Meta):
        abstract = False
        constraints = [
            # The same file with the same options again is the same job.
            models.UniqueConstraint(
                fields=["project", "sha256", "options_digest"],
                condition=Q(status__in=["queued", "running", "done"], is_dry_run=False),
                name="import_once_per_file_and_options",
            ),
        ]
        indexes = [models.Index(fields=["project", "-created_at"], name="import_newest_first")]

    def __str__(self) -> str:
        return self.file_name or str(self.pk)[:8]


class ExportJob(TransferJob):
    """One file on its way out of a project: a snapshot of one moment, with a manifest."""

    manifest = models.JSONField(default=dict)
    losses = models.JSONField(default=list, help_text=_("What the format could not carry."))

    class Meta(TransferJob.Meta):
        abstract = False
        indexes = [models.Index(fields=["project", "-created_at"], name="export_newest_first")]

    def __str__(self) -> str:
        return self.file_name or str(self.pk)[:8]
