"""What the choice of texts remembers: what is alike, what is covered, how far traffic was read."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from corpus.models import Document, Project


class Fingerprint(models.Model):
    """The MinHash bands of a document that was looked at: texts that share a band may be nearly the same."""

    document = models.OneToOneField(Document, on_delete=models.CASCADE, primary_key=True, related_name="+")
    bands = ArrayField(models.BigIntegerField(), help_text=_("Keyed by the project, so they tell no words."))

    class Meta:
        indexes = [GinIndex(fields=["bands"], name="fingerprint_bands")]

    def __str__(self) -> str:
        return f"bands of {self.document_id}"


class Cover(models.Model):
    """The centres of what a project's diverse stratum has seen so far."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="+")
    radius = models.FloatField()
    centres = models.BinaryField(help_text=_("float32 rows, see ner.diversity."))

    def __str__(self) -> str:
        return f"cover of {self.project_id}, radius {self.radius:.2f}"


class Intake(models.Model):
    """How far callers' predictions and ratings of a project were read for its queue."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="+")
    read_until = models.DateTimeField(help_text=_("`created_at` of the last prediction read."))
    read_prediction = models.UUIDField(
        null=True, blank=True, help_text=_("The last one read of that moment.")
    )
    read_shadow = models.DateTimeField(
        null=True, blank=True, help_text=_("`created_at` of the last comparison with a shadow read.")
    )
    read_rating = models.BigIntegerField(db_default=0)
    day = models.DateField(null=True, blank=True)
    taken = models.PositiveIntegerField(db_default=0, help_text=_("Unsure and badly rated ones on that day."))

    def __str__(self) -> str:
        return f"intake of {self.project_id} until {self.read_until}"
