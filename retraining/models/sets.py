"""Frozen training sets, and the base corpora that keep a model from forgetting."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from corpus.models import LabelSet, Project
from feedback.models import Correction


class BaseCorpus(models.Model):
    """A labelled corpus imported for rehearsal: it is trained on beside the corrections, never judged with.

    Its examples lie in the data folder under their SHA-256, as JSON Lines.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="base_corpora")
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    examples = models.PositiveIntegerField()
    labels = models.JSONField(default=list)
    imported_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = _("base corpora")
        ordering = ["-imported_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "sha256"], name="base_corpus_once_per_project"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.examples} examples)"


class TrainingSet(models.Model):
    """A frozen choice of corrections, one per document, each in its split for ever.

    The fingerprint covers every item and its split, the labels and the base corpus, so freezing the same
    corrections twice gives the same set.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="training_sets")
    fingerprint = models.CharField(max_length=64)
    test_fingerprint = models.CharField(
        max_length=64, help_text=_("Covers the test items alone: the exam that versions share.")
    )
    label_set = models.ForeignKey(LabelSet, on_delete=models.PROTECT, related_name="training_sets")
    base_corpus = models.ForeignKey(
        BaseCorpus,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="training_sets",
        help_text=_("Rehearsed beside the corrections, where one was imported."),
    )
    counts = models.JSONField(default=dict, help_text=_("Documents per split."))
    frozen_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("training set")
        verbose_name_plural = _("training sets")
        ordering = ["-frozen_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "fingerprint"], name="training_set_once_per_fingerprint"
            ),
        ]
        triggers = [pgtrigger.Protect(name="frozen", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.project} set {self.fingerprint[:8]}"


class TrainingSetItem(models.Model):
    """One correction in a training set, and its split."""

    class Split(models.TextChoices):
        TRAIN = "train", _("Train")
        DEV = "dev", _("Development")
        TEST = "test", _("Test")

    training_set = models.ForeignKey(TrainingSet, on_delete=models.CASCADE, related_name="items")
    correction = models.ForeignKey(Correction, on_delete=models.PROTECT, related_name="+")
    split = models.CharField(max_length=5, choices=Split.choices)

    class Meta:
        ordering = ["training_set", "id"]
        constraints = [
            models.UniqueConstraint(fields=["training_set", "correction"], name="training_set_item_once"),
        ]
        triggers = [pgtrigger.Protect(name="item_frozen", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.split}: {self.correction_id}"
