"""How good live answers are: counted from reviews of a random share, and counted again at any time."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from inference.models import ModelVersion
from ner.live_quality import Estimate, reviews_needed


class QualityEstimate(models.Model):
    """How good one version's answers were found to be by the newest reviews of random texts, as of one day.

    Of one label, or of all for an empty one. Today's row is counted anew as reviews come in.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="quality_estimates", db_index=False
    )
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=50, blank=True, help_text=_("Empty for all labels together."))
    day = models.DateField()
    tp = models.PositiveIntegerField(help_text=_("Spans that people left as they were."))
    fp = models.PositiveIntegerField(help_text=_("Spans that people took away or changed."))
    fn = models.PositiveIntegerField(help_text=_("Spans that people added, or made of others."))
    f1 = models.FloatField()
    low = models.FloatField(help_text=_("The lower end of the 95 % interval."))
    high = models.FloatField(help_text=_("Its upper end."))
    documents = models.PositiveIntegerField(help_text=_("Reviewed texts behind it."))
    at = models.DateTimeField(help_text=_("Reviews before this moment are counted."))

    class Meta:
        verbose_name = _("quality estimate")
        ordering = ["-day", "label", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "version", "label", "day"], name="quality_estimate_once_a_day"
            ),
            models.CheckConstraint(
                condition=Q(low__gte=0, low__lte=F("f1"), high__gte=F("f1"), high__lte=1),
                name="quality_estimate_lies_in_its_interval",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version}: F1 {self.f1:.3f} ({self.low:.3f} to {self.high:.3f})"

    @property
    def support(self) -> int:
        """True entities."""
        return self.tp + self.fn

    @property
    def reviews_needed(self) -> int | None:
        """About how many more reviews narrow it to 2 points on either side; None: too few to tell."""
        return reviews_needed(Estimate(self.f1, self.low, self.high, self.documents, self.support))
