"""Putting model versions and their exams on the shelf. Nothing here is ever edited afterwards."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

from audit.services import SYSTEM, SYSTEM_CHAIN, Actor, event_record
from corpus.models import LabelSet, Project
from corpus.selectors import labels_of
from corpus.services import label_set_freeze
from inference.errors import NumberTaken
from inference.models import Evaluation, ModelVersion
from ner.bundle import MANIFEST, Bundle, open_bundle, rewrite_bundle
from ner.errors import BundleChanged
from ner.evaluate import EvalReport

Origin = ModelVersion.Origin
_ATTEMPTS = 5
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
#: Leaves room for a digest in a name of 60 characters.
_EXTERNAL_SHOWN = 50


def version_register(
    *,
    path: Path,
    name: str,
    number: int | None = None,
    project: Project | None = None,
    origin: str = Origin.TRAINED,
    label_set: LabelSet | None = None,
    parent: ModelVersion | None = None,
    must_be_finite: bool = True,
    actor: Actor,
) -> ModelVersion:
    """Put a bundle on the shelf as the next version of a name.

    The bundle is opened and checked first (BundleRefused) and copied into the store, complete on disk
    before its row exists; the caller may then delete its own copy. The same bundle
    under the same name again is the same version, so a registration cut short can be repeated.

    A candidate need not be finite: the gate refuses it then, and the shelf keeps it with the reason. No
    process would load it.
    """
    bundle = open_bundle(path, must_be_finite=must_be_finite)
    known = ModelVersion.objects.filter(name=name, sha256=bundle.sha256, project=project).first()
    if known is not None:
        return known
    stored = _store(bundle)
    location = path.name if origin == Origin.BUNDLED else stored
    for attempt in range(_ATTEMPTS):
        wanted = number if number is not None else _next_number(name)
        try:
            with transaction.atomic():
                version = ModelVersion.objects.create(
                    project=project,
                    name=name,
                    number=wanted,
                    family=bundle.config.family,
                    origin=Origin(origin),
                    location=location,
                    sha256=bundle.sha256,
                    size_bytes=bundle.size_bytes,
                    parameters=bundle.parameters,
                    labels=list(bundle.config.labels),
                    label_set=label_set,
                    parent=parent,
                    metrics=bundle.metrics,
                    card=bundle.card,
                )
                if label_set is not None:
                    label_set_freeze(label_set=label_set)
                _registered(version, actor)
                return version
        except IntegrityError:
            # Somebody took the number between our look and our insert.
            if number is not None or attempt == _ATTEMPTS - 1:
                raise NumberTaken(name=name, number=wanted) from None
    raise AssertionError("unreachable")


@transaction.atomic
def blank_version_get(*, project: Project, label_set: LabelSet) -> ModelVersion:
    """The blank model of a label set: version 0, which predicts nothing."""
    version, created = ModelVersion.objects.get_or_create(
        name=f"{project.slug}-blank-{label_set.revision}",
        number=0,
        defaults={
            "project": project,
            "family": "blank",
            "origin": Origin.BLANK,
            "labels": [label.name for label in labels_of(label_set=label_set)],
            "label_set": label_set,
            "card": "Predicts nothing: where a project starts before it has a model.",
        },
    )
    if created:
        _registered(version, SYSTEM)
    return version


@transaction.atomic
def external_version_get(*, project: Project, name: str, actor: Actor) -> ModelVersion:
    """The row that stands for somebody else's model, by its name there; registered once per project.

    It has no bundle. Predictions that were imported name it; the engine refuses to load it, so it can
    neither be asked nor deployed.
    """
    shown = _NOT_IN_A_NAME.sub("-", name).strip("-.")[:_EXTERNAL_SHOWN] or "model"
    digest = hashlib.sha256(name.encode()).hexdigest()
    # The digest keeps two names apart that look the same once they are cleaned.
    full = f"{shown}-{digest[:8]}" if shown != name else shown
    # Two imports at once must not register it twice.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    known = ModelVersion.objects.filter(project=project, origin=Origin.EXTERNAL, name=full).first()
    if known is not None:
        return known
    version = ModelVersion.objects.create(
        project=project,
        name=full,
        number=_next_number(full),
        family="external",
        origin=Origin.EXTERNAL,
        card=f"Its answers were imported; the model itself is not here. In the file it was called: {name}",
    )
    _registered(version, actor)
    return version


def base_models_load(*, actor: Actor) -> list[ModelVersion]:
    """Shelve the bundled base models; those already there stay as they are."""
    root = Path(settings.MODELS_DIR)
    found = sorted(path.parent for path in root.glob(f"*/{MANIFEST}")) if root.is_dir() else []
    return [version_register(path=path, name=path.name, origin=Origin.BUNDLED, actor=actor) for path in found]


def evaluation_record(
    *,
    version: ModelVersion,
    kind: str,
    set_fingerprint: str,
    report: EvalReport,
    project: Project | None = None,
) -> Evaluation:
    """Keep the certificate of one exam; the same version on the same set again is the first one.

    Only one that says how unsure the version was of each text takes the place of one that does not.
    """
    if report.uncertainties:
        kept = Evaluation.objects.filter(version=version, set_fingerprint=set_fingerprint)
        kept.exclude(report__has_key="uncertainties").delete()
    evaluation, _ = Evaluation.objects.get_or_create(
        version=version,
        set_fingerprint=set_fingerprint,
        defaults={
            "kind": Evaluation.Kind(kind),
            "project": project,
            "documents": len(report.documents),
            "precision": report.micro.precision,
            "recall": report.micro.recall,
            "f1": report.micro.f1,
            "report": report.to_json(),
        },
    )
    return evaluation


def _store(bundle: Bundle) -> str:
    """Copy a bundle to where versions are served from; its folder there is its SHA-256."""
    target = Path(settings.DATA_DIR) / "bundles" / bundle.sha256
    if not target.exists() and rewrite_bundle(bundle, target, {}) != bundle.sha256:
        raise BundleChanged(path=bundle.path, problem="it changed while it was copied")
    return bundle.sha256


def _next_number(name: str) -> int:
    last = ModelVersion.objects.filter(name=name).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def _registered(version: ModelVersion, actor: Actor) -> None:
    event_record(
        action="version.register",
        actor=actor,
        subject=version,
        chain=version.project.slug if version.project is not None else SYSTEM_CHAIN,
        data={"version": str(version), "origin": version.origin, "sha256": version.sha256},
    )
