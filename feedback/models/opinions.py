"""What one of several annotators said about a text, before anybody knows what is true of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from audit.models import APPEND_ONLY
from corpus.models import Document, LabelSet, Project
from feedback.models.corrections import Correction
from inference.models import Prediction


class Opinion(models.Model):
    """One annotator's full set of spans for a document that several annotate blind; append-only.

    Not a correction, on purpose: nothing that reads corrections (training, exports, lists) can take one
    annotator's word for the truth by forgetting a condition. Numbered per document and author, so that
    two windows of one person cannot overwrite each other either.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="opinions")
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="opinions")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="opinions")
    number = models.PositiveIntegerField()
    prediction = models.ForeignKey(
        Prediction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="opinions",
        help_text=_("The machine's answer that the annotator started from."),
    )
    label_set = models.ForeignKey(LabelSet, on_delete=models.PROTECT, related_name="opinions")
    spans = models.JSONField(default=list)
    decisions = models.JSONField(
        default=dict, help_text=_("How many of the machine's spans were accepted, rejected, ..., and added.")
    )
    milliseconds = models.PositiveIntegerField(help_text=_("Time the annotator took."), default=0)
    idempotency_key = models.CharField(max_length=255)
    request_digest = models.CharField(
        max_length=64, help_text=_("SHA-256 of what was sent under the idempotency key.")
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("opinion")
        verbose_name_plural = _("opinions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "author", "number"], name="opinion_number_once_per_author"
            ),
            models.UniqueConstraint(
                fields=["author", "idempotency_key"], name="opinion_once_per_idempotency_key"
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="opinion_numbers_from_one"),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at"], name="opinion_newest_first"),
            models.Index(fields=["project", "author", "-created_at"], name="opinion_newest_of_author"),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"opinion {self.number} of {self.author_id} on {self.document_id}"

    @property
    def by(self) -> str:
        """Who says so, as of a correction."""
        return str(self.author)


class GoldItem(models.Model):
    """A correction that somebody vouched for: annotators are measured on its document."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gold_items")
    document = models.OneToOneField(Document, on_delete=models.PROTECT, related_name="gold_item")
    correction = models.ForeignKey(Correction, on_delete=models.PROTECT, related_name="gold_items")
    declared_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("gold item")
        verbose_name_plural = _("gold items")
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["project", "-created_at"], name="gold_newest_first")]

    def __str__(self) -> str:
        return f"gold: {self.correction}"
