"""What of callers' requests leaves no row of its own: answers they did not get, or wanted not kept."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from inference.models.versions import ModelVersion


class _ArmCount(models.Model):
    """So many requests whose answer was a version's turn, as one process counted them until `at`."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+", db_index=False)
    slot = models.CharField(max_length=12, blank=True, help_text=_("The slot whose turn it was."))
    dealt = models.BooleanField(
        default=False, db_default=False, help_text=_("The shares decided whose turn it was.")
    )
    count = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True
        ordering = ["-at", "-id"]


class ArmFailure(_ArmCount):
    """So many answers that a version owed callers and that one process, within a second or so, missed."""

    class Kind(models.TextChoices):
        UNSOUND = "unsound", _("Gave no answer that can be right")
        LEFT_ALONE = "left_alone", _("Failed again and again, so another stood in")
        REFUSED = "refused", _("Its bundle was refused")

    kind = models.CharField(max_length=10, choices=Kind.choices)
    reason = models.CharField(max_length=60, blank=True, help_text=_("Why its bundle was refused."))

    class Meta(_ArmCount.Meta):
        verbose_name = _("missed answer")
        verbose_name_plural = _("missed answers")
        constraints = [models.CheckConstraint(condition=Q(count__gte=1), name="arm_failure_is_of_something")]
        indexes = [
            models.Index(fields=["project", "version", "at"], name="arm_failure_by_version"),
            models.Index(fields=["at"], name="arm_failure_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.count} of {self.version_id}: {self.kind}"


class ArmUnkept(_ArmCount):
    """So many answers that a version gave callers who wanted nothing kept: part of what it owed."""

    class Meta(_ArmCount.Meta):
        verbose_name = _("answers not kept")
        verbose_name_plural = _("answers not kept")
        constraints = [models.CheckConstraint(condition=Q(count__gte=1), name="arm_unkept_is_of_something")]
        indexes = [
            models.Index(fields=["project", "version", "at"], name="arm_unkept_by_version"),
            models.Index(fields=["at"], name="arm_unkept_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.count} of {self.version_id}, not kept"
