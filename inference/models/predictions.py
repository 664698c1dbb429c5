"""What the models answered."""

from __future__ import annotations

import uuid

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from corpus.models import Document, Project
from inference.models.keys import ApiKey
from inference.models.versions import ModelVersion


class Prediction(models.Model):
    """One answer of one version about one text: a document's, or a text that a caller sent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The indexes below begin with these columns: on the path of every answer each index is felt.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="predictions", db_index=False)
    version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="predictions", db_index=False
    )
    document = models.ForeignKey(
        Document, on_delete=models.PROTECT, null=True, blank=True, related_name="predictions"
    )
    text = models.TextField(blank=True, help_text=_("Empty where the prediction is a document's."))
    spans = models.JSONField(default=list)
    uncertainty = models.FloatField(help_text=_("0 (sure) to 1 (unsure), see ner.acquisition."))
    min_confidence = models.FloatField(null=True, blank=True)
    language = models.CharField(max_length=16, blank=True, help_text=_("What the caller said it is."))
    slot = models.CharField(max_length=12, blank=True, help_text=_("The slot that answered."))
    bucket = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text=_(
            "Which of 4,096 groups the subject is in (inference.shares), where the shares decided who "
            "answers; empty where they did not."
        ),
    )
    latency_ms = models.FloatField()
    request_id = models.CharField(max_length=64, blank=True)
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, blank=True, related_name="predictions"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("prediction")
        verbose_name_plural = _("predictions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(document__isnull=False, text="") | (Q(document__isnull=True) & ~Q(text="")),
                name="prediction_is_of_a_document_or_a_text",
            ),
            models.CheckConstraint(
                condition=Q(uncertainty__gte=0, uncertainty__lte=1),
                name="prediction_uncertainty_is_a_share",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at"], name="prediction_newest_first"),
            models.Index(fields=["version", "-created_at"], name="prediction_by_version"),
            BrinIndex(fields=["created_at"], name="prediction_created_brin"),
        ]

    def __str__(self) -> str:
        return f"{str(self.pk)[:8]} by {self.version_id}"

    @property
    def source_text(self) -> str:
        """The text that the spans count into."""
        return self.document.text if self.document is not None else self.text
