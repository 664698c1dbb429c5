"""Model versions, their exams, and the slots that point at them."""

from __future__ import annotations

import pghistory
import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from corpus.models import LabelSet, Project


class ModelVersion(models.Model):
    """One trained recogniser on the shelf: a bundle on disk and what is known of it. Never edited.

    A version of no project is a bundled base model, open to all. Version 0 of a name is the blank
    model: it has no bundle and predicts nothing. An external one is a name only: somebody else's model,
    whose answers were imported.
    """

    class Origin(models.TextChoices):
        BUNDLED = "bundled", _("Bundled with nerapp")
        TRAINED = "trained", _("Trained here")
        BLANK = "blank", _("Blank")
        EXTERNAL = "external", _("Made elsewhere, never served")

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, null=True, blank=True, related_name="versions"
    )
    name = models.CharField(max_length=60)
    number = models.PositiveIntegerField()
    family = models.CharField(max_length=30)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    location = models.CharField(
        max_length=300, blank=True, help_text=_("Folder of the bundle, relative to its origin's root.")
    )
    sha256 = models.CharField(max_length=64, blank=True, help_text=_("SHA-256 of the manifest."))
    size_bytes = models.PositiveBigIntegerField(default=0)
    parameters = models.PositiveBigIntegerField(default=0)
    labels = models.JSONField(default=list)
    label_set = models.ForeignKey(
        LabelSet, on_delete=models.PROTECT, null=True, blank=True, related_name="versions"
    )
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    metrics = models.JSONField(default=dict, help_text=_("metrics.json of the bundle."))
    card = models.TextField(blank=True, help_text=_("card.md of the bundle."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("model version")
        verbose_name_plural = _("model versions")
        ordering = ["-created_at", "-id"]
        permissions = [("promote_modelversion", "Can promote and roll back model versions")]
        constraints = [
            models.UniqueConstraint(fields=["name", "number"], name="version_number_once_per_name"),
            models.CheckConstraint(
                condition=Q(origin__in=["blank", "external"], sha256="")
                | (~Q(origin__in=["blank", "external"]) & ~Q(sha256="")),
                name="version_with_bundle_has_its_hash",
            ),
        ]
        triggers = [pgtrigger.Protect(name="never_edited", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.name}@{self.number}"


class Evaluation(models.Model):
    """The certificate of one exam: a version's scores on one frozen set of labelled texts."""

    class Kind(models.TextChoices):
        TEST = "test", _("Project test set")
        GENERAL = "general", _("General set (base labels)")
        GOLDEN = "golden", _("Golden set")

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    project = models.ForeignKey(
        Project,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="evaluations",
        help_text=_("Whose texts; none for the general set."),
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    set_fingerprint = models.CharField(max_length=64)
    documents = models.PositiveIntegerField()
    precision = models.FloatField()
    recall = models.FloatField()
    f1 = models.FloatField()
    report = models.JSONField(help_text=_("ner.evaluate.EvalReport as JSON."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "set_fingerprint"], name="evaluation_once_per_version_and_set"
            ),
        ]
        triggers = [pgtrigger.Protect(name="evaluation_never_edited", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.version}: F1 {self.f1:.3f} on {self.get_kind_display()}"


@pghistory.track()
class Deployment(models.Model):
    """An alias: a slot of a project that points at a version.

    `generation` grows with every move, so that a process can tell by one cheap query whether what it
    serves is still current, and two promotions at once cannot both win.
    """

    class Slot(models.TextChoices):
        CHAMPION = "champion", _("Champion")
        CHALLENGER = "challenger", _("Challenger")
        CHALLENGER_2 = "challenger-2", _("Second challenger")
        CHALLENGER_3 = "challenger-3", _("Third challenger")
        SPEED = "speed", _("Speed")
        BACKUP = "backup", _("Backup")
        SHADOW = "shadow", _("Shadow")

    #: The slots of versions that are tried out on callers.
    CHALLENGERS = (Slot.CHALLENGER, Slot.CHALLENGER_2, Slot.CHALLENGER_3)

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="deployments")
    slot = models.CharField(max_length=12, choices=Slot.choices)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="deployments")
    previous = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Where one click of roll back leads."),
    )
    share = models.FloatField(
        null=True,
        blank=True,
        help_text=_("Percent of the callers; of a shadow, of the answers that it reads again."),
    )
    generation = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("deployment")
        verbose_name_plural = _("deployments")
        ordering = ["project", "slot"]
        constraints = [
            models.CheckConstraint(
                condition=Q(share=None) | (Q(share__gte=0, share__lte=100) & ~Q(slot="champion")),
                name="deployment_share_is_percent",
            ),
            models.UniqueConstraint(fields=["project", "slot"], name="deployment_one_per_slot"),
        ]

    def __str__(self) -> str:
        return f"{self.project} {self.slot}: {self.version}"
