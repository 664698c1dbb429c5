"""The labelled corpus behind a proof: its labels in the base models' words, and which part is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ner.config import BASE_LABELS
from ner.evaluate import EvalReport, evaluate
from ner.formats import Format, ReadReport, read_examples
from ner.spans import Example, Span
from ner.splits import deduplicated, split_of

#: Names of one meaning, in lower case; a label that is not here is new to the base models.
MEANINGS = {
    "person": "per",
    "loc": "geo",
    "location": "geo",
    "organization": "org",
    "organisation": "org",
    "corporation": "org",
    "date": "tim",
    "time": "tim",
    "event": "eve",
}

#: A reviewer's day, not a labelling project: what is beyond it is left out.
MOST_REVIEWED = 400
MOST_HELD_OUT = 300
LONGEST = 4000


@dataclass(frozen=True, slots=True)
class World:
    """What is true: texts to review, texts held out, and the labels that the corpus' authors looked for."""

    name: str
    review: tuple[Example, ...]
    held_out: tuple[Example, ...]
    labels: tuple[str, ...]

    @property
    def project_labels(self) -> list[str]:
        """The base labels and what is new."""
        return list(dict.fromkeys([*BASE_LABELS, *self.labels]))


def world_read(path: Path, format: Format | Literal["auto"]) -> World:
    """Read a corpus; which text is held out depends on the text alone."""
    examples = [
        _renamed(example)
        for example in deduplicated(read_examples(path, format, repair=True, report=ReadReport()))
        if len(example.text) <= LONGEST
    ]
    # In the order of their hashes: a sample of the whole file, the same every time.
    examples.sort(key=lambda example: hashlib.sha256(example.text.encode()).hexdigest())
    held_out = [example for example in examples if split_of(example.text) == "test"]
    review = [example for example in examples if split_of(example.text) != "test"]
    labels = {span.label for example in examples for span in example.spans}
    return World(
        name=path.name,
        review=tuple(review[:MOST_REVIEWED]),
        held_out=tuple(held_out[:MOST_HELD_OUT]),
        labels=tuple(sorted(labels)),
    )


def label_in_our_words(label: str) -> str:
    """The base models' name for a label, or the label in lower case."""
    return MEANINGS.get(label.lower(), label.lower())


def score(examples: Sequence[Example], answers: Iterable[Sequence[Span]]) -> EvalReport:
    """Strict entity scores, over the labels that the examples' authors looked for."""
    asked = {span.label for example in examples for span in example.spans}
    return evaluate(examples, [[span for span in spans if span.label in asked] for spans in answers])


def correct(example: Example, predicted: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[Span]:
    """What the simulated reviewer hands in: the truth, and the machine's answer where the corpus is silent.

    A corpus that does not label dates does not say that a predicted date is wrong.
    """
    silent = [Span(s["start"], s["end"], s["label"]) for s in predicted if s["label"] not in labels]
    kept = [s for s in silent if not any(s.start < t.end and t.start < s.end for t in example.spans)]
    return sorted([*example.spans, *kept])


def _renamed(example: Example) -> Example:
    spans = tuple(Span(s.start, s.end, label_in_our_words(s.label)) for s in example.spans)
    return Example(example.text, spans, example.id, example.source)
