"""Answers that callers did not get."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from inference.models.versions import ModelVersion


class ArmFailure(models.Model):
    """So many answers that a version owed callers and that one process, within a second or so, missed."""

    class Kind(models.TextChoices):
        UNSOUND = "unsound", _("Gave no answer that can be right")
        LEFT_ALONE = "left_alone", _("Failed again and again, so another stood in")
        REFUSED = "refused", _("Its bundle was refused")

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="arm_failures", db_index=False
    )
    version = models.ForeignKey(
        ModelVersion, on_delete=models.CASCADE, related_name="failures", db_index=False
    )
    slot = models.CharField(max_length=12, blank=True, help_text=_("The slot that should have answered."))
    kind = models.CharField(max_length=10, choices=Kind.choices)
    count = models.PositiveIntegerField()
    reason = models.CharField(max_length=60, blank=True, help_text=_("Why its bundle was refused."))
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("missed answer")
        verbose_name_plural = _("missed answers")
        ordering = ["-at", "-id"]
        constraints = [models.CheckConstraint(condition=Q(count__gte=1), name="arm_failure_is_of_something")]
        indexes = [
            models.Index(fields=["project", "version", "at"], name="arm_failure_by_version"),
            models.Index(fields=["at"], name="arm_failure_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.count} of {self.version_id}: {self.kind}"
