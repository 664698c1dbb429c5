"""Freezing what a model may learn from, and reading it back as examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any

from django.db import transaction

from corpus.models import LabelSet, Project
from corpus.selectors import label_set_current, labels_of
from corpus.services import label_set_freeze
from feedback.models import Correction
from feedback.selectors import corrections_newest
from ner.spans import Example, Span
from retraining.errors import NothingToLearn
from retraining.models import TrainingSet, TrainingSetItem
from retraining.selectors import base_corpus_current
from retraining.splits import Split, split_of


@transaction.atomic
def training_set_freeze(*, project: Project) -> TrainingSet:
    """Freeze the newest correction of every document of a project, each in its split.

    The same corrections, labels and base corpus give the same set. A document that was in an earlier set
    keeps its split whatever became of it since: a text that a model was trained on never judges one.
    """
    # Two freezes at once could put a document that was corrected in between into two different splits.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    label_set = label_set_current(project=project)
    base_corpus = base_corpus_current(project=project)
    known = _splits_known(project)
    splits: dict[Correction, Split] = {}
    found = corrections_newest(project).filter(document__redacted_at=None).select_related("document")
    for correction in found.defer("document__text"):
        document = correction.document
        splits[correction] = known.get(document.pk) or split_of(
            text_hash=document.text_hash, stratum=correction.stratum
        )
    if not splits:
        raise NothingToLearn()
    names = sorted(label.name for label in labels_of(label_set=label_set))
    items = sorted((str(correction.pk), split) for correction, split in splits.items())
    fingerprint = _fingerprint([items, names, base_corpus.sha256 if base_corpus else None])
    frozen = TrainingSet.objects.filter(project=project, fingerprint=fingerprint).first()
    if frozen is not None:
        return frozen
    training_set = TrainingSet.objects.create(
        project=project,
        fingerprint=fingerprint,
        test_fingerprint=_fingerprint([[pk for pk, split in items if split == Split.TEST], names]),
        label_set=label_set,
        base_corpus=base_corpus,
        counts={split.value: sum(1 for s in splits.values() if s == split) for split in Split},
    )
    TrainingSetItem.objects.bulk_create(
        (
            TrainingSetItem(training_set=training_set, correction=correction, split=split)
            for correction, split in splits.items()
        ),
        batch_size=2000,
    )
    label_set_freeze(label_set=label_set)
    return training_set


def training_set_examples(
    *, training_set: TrainingSet, split: Split | str, most: int | None = None
) -> list[Example]:
    """The examples of one split, or only the first `most`.

    Spans whose label the set's label set no longer has are left out. An erased document leaves too: what was
    frozen names its correction, but its text is gone.
    """
    names = set(label_names(training_set.label_set))
    items = (
        training_set.items.filter(split=split, correction__document__redacted_at=None)
        .select_related("correction__document")
        .order_by("correction__document_id")
    )
    return [correction_example(item.correction, names) for item in items[:most].iterator(chunk_size=500)]


def label_names(label_set: LabelSet) -> list[str]:
    """The label names of a revision, in the order people see them."""
    return [label.name for label in label_set.labels.all()]


def correction_example(correction: Correction, names: Collection[str]) -> Example:
    """A correction as it is learned from and judged by, with the labels of these names."""
    spans = [Span.from_json(body) for body in correction.spans]
    return Example(
        text=correction.document.text,
        spans=tuple(sorted(Span(s.start, s.end, s.label) for s in spans if s.label in names)),
        id=str(correction.document_id),
        source="correction",
    )


def _splits_known(project: Project) -> dict[Any, Split]:
    """The split of each document of the newest set, which holds every document that an earlier set held."""
    newest = TrainingSet.objects.filter(project=project).first()
    if newest is None:
        return {}
    found = newest.items.values_list("correction__document_id", "split")
    return {document_id: Split(split) for document_id, split in found}


def _fingerprint(content: object) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
