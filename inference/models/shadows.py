"""What a version in the shadow would have answered."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from inference.models.predictions import Prediction
from inference.models.versions import ModelVersion
from ner.intervals import wilson


class ShadowTest(models.Model):
    """One version in the shadow of one champion: how far it has read, and how far both agree.

    When either of the two changes, the test ends and another one begins: its numbers are of one pair.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="shadow_tests")
    champion = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    shadow = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="shadow_tests")
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    read_until = models.DateTimeField(help_text=_("What was answered before this moment has been read."))
    read_prediction = models.UUIDField(
        null=True, blank=True, help_text=_("The last one read of those of that moment; empty for all.")
    )
    compared = models.PositiveBigIntegerField(default=0)
    identical = models.PositiveBigIntegerField(default=0, help_text=_("Answers with just the same entities."))
    agreement_sum = models.FloatField(default=0.0)
    latency_ms_sum = models.FloatField(default=0.0)
    failed = models.PositiveBigIntegerField(default=0, help_text=_("Texts that the shadow could not answer."))
    dropped = models.PositiveBigIntegerField(
        default=0, help_text=_("Answers passed over because the shadow was too far behind.")
    )
    problem = models.CharField(max_length=60, blank=True, help_text=_("Why the shadow cannot read now."))

    class Meta:
        verbose_name = _("shadow test")
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(ended_at=None), name="shadow_test_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(identical__lte=F("compared")), name="shadow_test_identical_were_compared"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shadow} in the shadow of {self.champion}"

    @property
    def agreement(self) -> float | None:
        """Mean F1 of the shadow's spans against the champion's, over texts; None before the first."""
        return self.agreement_sum / self.compared if self.compared else None

    @property
    def agreement_interval(self) -> tuple[float, float]:
        """95 % interval of the agreement; a little wide, since no mean of shares varies more than a share."""
        return wilson(min(self.agreement or 0.0, 1.0), self.compared)

    @property
    def latency_ms(self) -> float | None:
        """Mean time of the shadow for a text, read in batches."""
        return self.latency_ms_sum / self.compared if self.compared else None


class ShadowComparison(models.Model):
    """One answer of the champion beside what the shadow would have said."""

    test = models.ForeignKey(ShadowTest, on_delete=models.CASCADE, related_name="comparisons", db_index=False)
    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE, related_name="shadow_comparisons")
    spans = models.JSONField(default=list, help_text=_("The shadow's; the champion's are the prediction's."))
    agreement = models.FloatField(help_text=_("F1 of the shadow's spans against the champion's."))
    latency_ms = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("shadow comparison")
        verbose_name_plural = _("shadow comparisons")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["test", "prediction"], name="shadow_comparison_once"),
            models.CheckConstraint(
                condition=Q(agreement__gte=0, agreement__lte=1), name="shadow_comparison_agreement_is_a_share"
            ),
        ]
        indexes = [
            models.Index(
                fields=["test", "-created_at", "-id"],
                condition=Q(agreement__lt=1),
                name="shadow_disagreements",
            ),
            models.Index(fields=["-created_at", "-id"], name="shadow_comparison_newest"),
        ]

    def __str__(self) -> str:
        return f"{str(self.prediction_id)[:8]} at {self.agreement:.0%}"
