"""What a training reads: the corrections, and what keeps the candidate from forgetting."""

from __future__ import annotations

from django.conf import settings

from corpus.models import Document
from feedback.models import Correction
from inference.engine import bundle_path, recogniser_for
from ner.bundle import open_bundle
from ner.spans import Example, Span
from retraining.models import TrainingRun
from retraining.services.base_corpora import base_corpus_examples
from retraining.services.sets import label_names, training_set_examples
from retraining.splits import Split

#: So many of the project's unlabelled texts are rehearsed beside the bundled ones.
_REHEARSED_DOCUMENTS = 2000


class Materials:
    """The texts of one run."""

    def __init__(self, run: TrainingRun) -> None:
        self.training_set = run.training_set
        self.project = run.project
        self.version = run.start_from
        path = bundle_path(self.version)  # None for the blank model: a start from scratch
        self.champion = open_bundle(path, expected_sha256=self.version.sha256) if path else None
        asked = set(label_names(self.training_set.label_set))
        self.unasked = frozenset(self.version.labels) - asked

    def examples(self, split: Split) -> list[Example]:
        """The corrections of a split.

        A correction says nothing about labels that the project does not have: there the champion's own
        answer stands in, or training would teach that such entities do not exist.
        """
        found = training_set_examples(training_set=self.training_set, split=split)
        if not self.unasked:
            return found
        answers = recogniser_for(self.version).predict_many([example.text for example in found])
        return [
            _completed(example, [span for span in answer.spans if span.label in self.unasked])
            for example, answer in zip(found, answers, strict=True)
        ]

    def texts(self) -> list[str]:
        """Unlabelled texts on which the candidate must go on answering like the champion."""
        bundled = (settings.CORPORA_DIR / "rehearsal.txt").read_text("utf-8").splitlines()
        corrected = Correction.objects.filter(project=self.project).values("document_id")
        unlabelled = (
            Document.objects.filter(project=self.project, redacted_at=None)
            .exclude(pk__in=corrected)
            .order_by("text_hash")
            .values_list("text", flat=True)[:_REHEARSED_DOCUMENTS]
        )
        return [line for line in bundled if line.strip()] + list(unlabelled)

    def base(self) -> list[Example]:
        """The imported base corpus, where there is one."""
        corpus = self.training_set.base_corpus
        return list(base_corpus_examples(corpus)) if corpus else []


def _completed(example: Example, spans: list[Span]) -> Example:
    free = [
        span for span in spans if not any(span.start < s.end and s.start < span.end for s in example.spans)
    ]
    kept = (*example.spans, *(Span(span.start, span.end, span.label) for span in free))
    return Example(example.text, tuple(sorted(kept)), example.id, example.source)
