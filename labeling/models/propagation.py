"""Decisions on a surface that were carried over to other texts that wait."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from labeling.models.tasks import Task


class Propagation(models.Model):
    """One person's decision on a surface, offered as a starting point in other texts: one batch.

    It is no correction: nothing learns from it until the reviewer of each text submits that text.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="propagations")
    surface = models.CharField(max_length=200)
    label = models.CharField(max_length=50, blank=True, help_text=_("Empty: not an entity."))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="propagations"
    )
    task = models.ForeignKey(
        Task,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="propagations_from",
        help_text=_("Where the decision was made."),
    )
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    revoke_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(surface=""), name="propagation_has_a_surface"),
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True, revoked_by__isnull=True)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
                name="propagation_revoked_by_somebody",
            ),
        ]
        indexes = [models.Index(fields=["project", "-created_at"], name="propagation_newest")]

    def __str__(self) -> str:
        return f"{self.surface}: {self.label or 'not an entity'}"


class PropagatedSpan(models.Model):
    """One place in one waiting text that a propagation marks."""

    propagation = models.ForeignKey(Propagation, on_delete=models.CASCADE, related_name="spans")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="propagated_spans")
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()

    class Meta:
        ordering = ["task", "start"]
        constraints = [
            models.UniqueConstraint(fields=["propagation", "task", "start"], name="propagated_once"),
            models.CheckConstraint(condition=Q(start__lt=F("end")), name="propagated_span_ordered"),
        ]

    def __str__(self) -> str:
        return f"{self.start}–{self.end} in task {self.task_id}"
