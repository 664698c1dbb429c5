"""What humans said about predictions."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.models import APPEND_ONLY
from corpus.models import Document, LabelSet, Project
from inference.models import ApiKey, Prediction


class Stratum(models.TextChoices):
    """How a document came to be reviewed. Only the random stratum may judge a model."""

    UNCERTAIN = "uncertain", _("Unsure")
    RANDOM = "random", _("Random check")
    DIVERSE = "diverse", _("Unlike the others")
    API = "api", _("Sent by a caller")
    IMPORT = "import", _("Imported gold")


class Correction(models.Model):
    """A human's full set of spans for a document, numbered, append-only.

    The number is the lock: a correction names the number it was made from, and the next one can be
    taken only once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The constraints and indexes below begin with these columns: a million imported rows feel one index more.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="corrections", db_index=False)
    document = models.ForeignKey(
        Document, on_delete=models.PROTECT, related_name="corrections", db_index=False
    )
    number = models.PositiveIntegerField()
    prediction = models.ForeignKey(
        Prediction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        help_text=_("The machine's answer that the human started from."),
    )
    label_set = models.ForeignKey(LabelSet, on_delete=models.PROTECT, related_name="corrections")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        db_index=False,
    )
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, blank=True, related_name="corrections"
    )
    source = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        default="",
        help_text=_("Who marked it elsewhere, for what was imported: the file's name for them."),
    )
    stratum = models.CharField(max_length=12, choices=Stratum.choices)
    spans = models.JSONField(default=list)
    milliseconds = models.PositiveIntegerField(help_text=_("Time the human took."), default=0)
    idempotency_key = models.CharField(max_length=255)
    request_digest = models.CharField(
        max_length=64, help_text=_("SHA-256 of what was sent under the idempotency key.")
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("correction")
        verbose_name_plural = _("corrections")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "number"], name="correction_number_once_per_document"
            ),
            models.UniqueConstraint(
                fields=["author", "api_key", "idempotency_key"],
                nulls_distinct=False,
                name="correction_once_per_idempotency_key",
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="correction_numbers_from_one"),
            models.CheckConstraint(
                condition=Q(author__isnull=False, api_key__isnull=True)
                | Q(author__isnull=True, api_key__isnull=False)
                # A command imported it: the named source alone answers for it.
                | (Q(author__isnull=True, api_key__isnull=True, stratum="import") & ~Q(source="")),
                name="correction_has_one_author",
            ),
        ]
        indexes = [models.Index(fields=["project", "-created_at"], name="correction_newest_first")]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"correction {self.number} of {self.document_id}"

    @property
    def by(self) -> str:
        """Who answers for it: a person, a key, or the named source of what a command imported."""
        return str(self.author or self.api_key or self.source)


class SpanDecision(models.Model):
    """What the human did with one span of the machine, or the span that the machine had missed."""

    class Decision(models.TextChoices):
        ACCEPT = "accept", _("Accepted")
        REJECT = "reject", _("Rejected")
        RELABEL = "relabel", _("Relabelled")
        RESIZE = "resize", _("Boundary moved")
        ADD = "add", _("Added")

    correction = models.ForeignKey(Correction, on_delete=models.PROTECT, related_name="decisions")
    decision = models.CharField(max_length=8, choices=Decision.choices)
    predicted_start = models.PositiveIntegerField(null=True, blank=True)
    predicted_end = models.PositiveIntegerField(null=True, blank=True)
    predicted_label = models.CharField(max_length=50, blank=True)
    confidence = models.FloatField(null=True, blank=True, help_text=_("The machine's."))
    start = models.PositiveIntegerField(null=True, blank=True)
    end = models.PositiveIntegerField(null=True, blank=True)
    label = models.CharField(max_length=50, blank=True)
    milliseconds = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["correction", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(start__isnull=True) | Q(start__lt=F("end")),
                name="decision_span_ordered",
            ),
            models.CheckConstraint(
                condition=Q(predicted_start__isnull=True) | Q(predicted_start__lt=F("predicted_end")),
                name="decision_predicted_span_ordered",
            ),
        ]
        triggers = APPEND_ONLY

    def __str__(self) -> str:
        return f"{self.decision} {self.predicted_label or self.label}"


class Rating(models.Model):
    """A caller's or reader's judgement of a whole prediction, 1 (bad) to 5 (good)."""

    prediction = models.ForeignKey(Prediction, on_delete=models.PROTECT, related_name="ratings")
    score = models.PositiveSmallIntegerField()
    comment = models.TextField(blank=True)
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    idempotency_key = models.CharField(max_length=255)
    request_digest = models.CharField(
        max_length=64, help_text=_("SHA-256 of what was sent under the idempotency key.")
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("rating")
        verbose_name_plural = _("ratings")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(score__gte=1, score__lte=5), name="rating_is_one_to_five"),
            models.CheckConstraint(
                condition=Q(author__isnull=False, api_key__isnull=True)
                | Q(author__isnull=True, api_key__isnull=False),
                name="rating_has_one_author",
            ),
            models.UniqueConstraint(
                fields=["author", "api_key", "idempotency_key"],
                nulls_distinct=False,
                name="rating_once_per_idempotency_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.score}/5 for {self.prediction_id}"
