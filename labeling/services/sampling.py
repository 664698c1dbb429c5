"""Which of the texts that arrive are asked about: none twice, and in the diverse stratum the unlike first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Left

from corpus.models import Document, Project
from feedback.models import Stratum
from labeling.models import Cover as StoredCover
from labeling.models import Fingerprint, Standing
from ner.alike import COMPARED_CHARACTERS, SAME, bands_of, resemblance, shingles
from ner.diversity import Cover, Placer

#: The bundle whose word vectors place the texts.
VECTORS_FROM = "flagship"


def repeats_leave_out(
    *, project: Project, documents: Sequence[Document], strata: Mapping[UUID, Stratum]
) -> dict[UUID, UUID]:
    """Mark the documents that nearly repeat another one; returns which repeats which.

    A text of the random stratum is never left out: what it estimates must hold for all texts.
    """
    runs = {document.pk: shingles(document.text) for document in documents}
    key = bytes.fromhex(project.hash_key)
    bands = {pk: bands_of(found, key=key) for pk, found in runs.items()}
    wanted = [band for pk, found in bands.items() if strata[pk] != Stratum.RANDOM for band in found]
    meets: dict[int, list[UUID]] = {}
    if wanted:
        for pk, found in Fingerprint.objects.filter(bands__overlap=wanted).values_list("document", "bands"):
            for band in found:
                meets.setdefault(band, []).append(pk)
    others = {pk for band in wanted for pk in meets.get(band, ())}
    known = Document.objects.filter(pk__in=others, redacted_at=None)
    texts = dict(known.annotate(head=Left("text", COMPARED_CHARACTERS)).values_list("pk", "head"))
    compared = {pk: shingles(head) for pk, head in texts.items()}

    repeats: dict[UUID, UUID] = {}
    for document in documents:
        pk = document.pk
        if strata[pk] != Stratum.RANDOM:
            near = dict.fromkeys(other for band in bands[pk] for other in meets.get(band, ()))
            same = (
                other
                for other in near
                if other in compared and resemblance(runs[pk], compared[other]) >= SAME
            )
            if original := next(same, None):
                repeats[pk] = original
                continue
        compared[pk] = runs[pk]
        for band in bands[pk]:
            meets.setdefault(band, []).append(pk)
    Fingerprint.objects.bulk_create(
        [
            Fingerprint(document_id=pk, bands=found)
            for pk, found in bands.items()
            if pk not in repeats and found
        ],
        ignore_conflicts=True,
    )
    for pk, original in repeats.items():
        Standing.objects.filter(pk=pk).update(state=Standing.State.LEFT_OUT, like=original)
    return repeats


def novelties(*, project: Project, documents: Sequence[Document]) -> dict[UUID, float]:
    """How unlike all that the diverse stratum has seen each document is, 0 to 1; they are seen now."""
    if not documents:
        return {}
    stored = StoredCover.objects.select_for_update().filter(project=project).first()
    cover = Cover.from_bytes(stored.radius, bytes(stored.centres)) if stored else Cover()
    placer = _placer(settings.MODELS_DIR / VECTORS_FROM)
    found = {document.pk: cover.add(placer.place(document.text)) for document in documents}
    StoredCover.objects.update_or_create(
        project=project, defaults={"radius": cover.radius, "centres": cover.to_bytes()}
    )
    return found


@lru_cache(maxsize=1)
def _placer(path: Path) -> Placer:
    return Placer.of_bundle(path)
