"""What waits for people."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Document, Project
from feedback.models import Correction, Stratum
from inference.models import ModelVersion, Prediction


class Task(models.Model):
    """A document to review, with the reason why it was chosen and who holds it now."""

    class Status(models.TextChoices):
        OPEN = "open", _("Waiting")
        DONE = "done", _("Reviewed")
        SKIPPED = "skipped", _("Skipped")

    class Cause(models.TextChoices):
        LOW = "low", _("A caller's text with an unsure span")
        RATED = "rated", _("A caller's text with a bad rating")
        DIFFERS = "differs", _("A caller's text on which a shadow differs")
        DRAWN = "drawn", _("Drawn from callers' texts")

    # Where the indexes below begin with a column, it has none of its own: the planner would take that one.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="tasks", db_index=False)
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="tasks")
    prediction = models.ForeignKey(
        Prediction,
        on_delete=models.PROTECT,
        related_name="tasks",
        help_text=_("The machine's spans that the reviewer starts from."),
    )
    version = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text=_("The prediction's; a trigger keeps it, so that stale tasks are found by index."),
    )
    stratum = models.CharField(max_length=12, choices=Stratum.choices)
    priority = models.FloatField(help_text=_("Higher comes first: the uncertainty, or chance."))
    cause = models.CharField(
        max_length=8,
        choices=Cause.choices,
        blank=True,
        db_default="",
        help_text=_("Of a caller's text."),
    )
    annotators_wanted = models.PositiveSmallIntegerField(
        default=1, db_default=1, help_text=_("So many annotate it, blind; with one it is simply reviewed.")
    )
    seats = models.SmallIntegerField(
        default=1, db_default=1, help_text=_("So many may still be handed out to whoever comes next.")
    )
    disputed_at = models.DateTimeField(
        null=True, blank=True, help_text=_("Its annotators differ since then: it waits for adjudication.")
    )
    raised_at = models.DateTimeField(
        null=True, blank=True, help_text=_("Somebody asked for it next; the first asked comes first.")
    )
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN)
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="claimed_tasks",
        db_index=False,
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    skip_reason = models.CharField(max_length=300, blank=True)
    correction = models.OneToOneField(
        Correction, on_delete=models.PROTECT, null=True, blank=True, related_name="task"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        ordering = ["-priority", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["document"],
                condition=Q(status="open"),
                name="task_one_open_per_document",
            ),
            models.CheckConstraint(
                condition=~Q(status="done") | Q(correction__isnull=False),
                name="task_done_has_its_correction",
            ),
        ]
        indexes = [
            # "The next task of this stratum", the one query of the queue.
            models.Index(
                fields=["project", "stratum", "-priority", "id"],
                condition=Q(status="open", seats__gt=0),
                name="task_next_with_seats",
            ),
            models.Index(
                fields=["project", "raised_at", "id"],
                condition=Q(status="open", seats__gt=0, raised_at__isnull=False),
                name="task_raised_with_seats",
            ),
            models.Index(
                fields=["project", "disputed_at", "id"],
                condition=Q(status="open", disputed_at__isnull=False),
                name="task_disputed",
            ),
            models.Index(
                fields=["project", "version", "-priority", "id"],
                condition=Q(status="open"),
                name="task_open_by_version",
            ),
            models.Index(fields=["project", "-closed_at"], name="task_newest_closed"),
            models.Index(
                fields=["project", "claimed_by", "-closed_at"],
                condition=Q(closed_at__isnull=False),
                name="task_closed_by",
            ),
            models.Index(
                fields=["project", "claimed_by"],
                condition=Q(status="open", claimed_by__isnull=False),
                name="task_held",
            ),
        ]

    def __str__(self) -> str:
        return f"task {self.pk} ({self.get_status_display()})"
