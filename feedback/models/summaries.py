"""What people decided, counted by day: derived from corrections, and rebuilt from them at any time."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from inference.models import ModelVersion


class SummaryMark(models.Model):
    """Up to which moment a project's corrections are counted in its daily summaries."""

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, primary_key=True, related_name="summary_mark"
    )
    counted_to = models.DateTimeField(help_text=_("Corrections before this moment are counted."))
    closed_to = models.DateField(help_text=_("Days before this one were counted again after they had ended."))

    def __str__(self) -> str:
        return f"{self.project_id} counted to {self.counted_to:%Y-%m-%d %H:%M}"


class DailyReviews(models.Model):
    """How many corrections one author stored in one day, and how long they took."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="daily_reviews")
    day = models.DateField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Empty for API keys."),
    )
    stratum = models.CharField(max_length=12)
    corrections = models.PositiveIntegerField()
    timed = models.PositiveIntegerField(help_text=_("Corrections that say how long they took."))
    milliseconds = models.PositiveBigIntegerField()

    class Meta:
        verbose_name_plural = _("daily reviews")
        ordering = ["project", "day", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "day", "author", "stratum"],
                nulls_distinct=False,
                name="daily_reviews_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.corrections}"


class DailyDecisions(models.Model):
    """How often in one day people decided one thing about one version's spans of one label.

    Only a document's first judgement of a machine's answer counts: a later correction starts from a
    human's spans and says nothing new about the machine.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="daily_decisions")
    day = models.DateField()
    version = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Empty where no machine had answered."),
    )
    stratum = models.CharField(max_length=12)
    decision = models.CharField(max_length=8)
    predicted_label = models.CharField(max_length=50, blank=True)
    label = models.CharField(max_length=50, blank=True)
    tenth = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text=_("The machine's confidence, 0 for up to 10 %, 9 for the surest.")
    )
    spans = models.PositiveIntegerField()
    confidence = models.FloatField(help_text=_("Sum of the machine's confidences."))
    timed = models.PositiveIntegerField(help_text=_("Decisions that say how long they took."))
    milliseconds = models.PositiveBigIntegerField()

    class Meta:
        verbose_name_plural = _("daily decisions")
        ordering = ["project", "day", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "project",
                    "day",
                    "version",
                    "stratum",
                    "decision",
                    "predicted_label",
                    "label",
                    "tenth",
                ],
                nulls_distinct=False,
                name="daily_decisions_once",
            ),
            models.CheckConstraint(
                condition=Q(tenth__isnull=True) | Q(tenth__lte=9), name="daily_decisions_tenths"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.spans} x {self.decision} {self.predicted_label or self.label}"
