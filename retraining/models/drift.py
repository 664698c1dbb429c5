"""Have the texts that come today moved away from those that the champion was made from?"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from inference.models import ModelVersion
from ner.drift import Measure, Profile


class DriftReference(models.Model):
    """What the texts that a version was made from look like, and what it says of those it was not trained on.

    Counts and hashes of words under the project's key: no text can be read from it.
    """

    class Source(models.TextChoices):
        TRAINING_SET = "training", _("The corrections that it was trained and judged with")
        GENERAL = "general", _("The general sentences that base models are judged with")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="drift_references")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="drift_references")
    source = models.CharField(max_length=10, choices=Source.choices)
    fingerprint = models.CharField(
        max_length=64, help_text=_("Covers the texts and the labels' bars of confidence.")
    )
    profile = models.JSONField(help_text=_("ner.drift.Profile as JSON."))
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "version", "fingerprint"], name="drift_reference_once_per_fingerprint"
            ),
        ]

    def __str__(self) -> str:
        return f"reference of {self.version}"

    @property
    def counts(self) -> Profile:
        """The profile, read."""
        return Profile.from_json(self.profile)


class DriftReport(models.Model):
    """One comparison of the newest texts of a project with its champion's reference."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="drift_reports", db_index=False
    )
    version = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        related_name="drift_reports",
        help_text=_("The champion of then."),
    )
    reference = models.ForeignKey(DriftReference, on_delete=models.CASCADE, related_name="reports")
    window_from = models.DateTimeField(help_text=_("When the oldest of the texts was answered."))
    window_to = models.DateTimeField()
    texts = models.PositiveIntegerField(help_text=_("Different texts that were compared."))
    measures = models.JSONField(help_text=_("ner.drift.Measure as JSON, one after the other."))
    drifted = ArrayField(
        models.CharField(max_length=30), default=list, help_text=_("The measures beyond their threshold.")
    )
    histograms = models.JSONField(help_text=_("The current texts' lengths, labels and confidences."))
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("drift report")
        verbose_name_plural = _("drift reports")
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["project", "-created_at"], name="drift_report_newest_first")]

    def __str__(self) -> str:
        return f"drift of {self.project} from {self.version}"

    @property
    def measured(self) -> list[Measure]:
        """The measures, read."""
        return [Measure(**body) for body in self.measures]
