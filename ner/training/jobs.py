"""What a run starts with: sentences as numbers, a vocabulary and first weights.

``fresh_job`` knows nothing; ``ner.training.finetune`` makes the job that continues a champion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ner.config import Architecture, FeatureSettings, TrainConfig
from ner.decode import Transitions
from ner.errors import TrainingFailed
from ner.features import FeatureEncoder
from ner.spans import Example
from ner.training.architectures import family
from ner.training.data import (
    Encoded,
    count_words,
    encode_sentences,
    labels_of,
    read_sentences,
    vocabulary,
    weigh_by_class,
)
from ner.training.embeddings import Vectors, read_vectors
from ner.training.weights import Weights, initial_weights

Draw = Callable[[np.random.Generator], list[Encoded]]


@dataclass(frozen=True, slots=True)
class Job:
    """Everything the loop needs; ``draw`` gives the sentences of one epoch."""

    architecture: Architecture
    features: FeatureSettings
    labels: tuple[str, ...]
    encoder: FeatureEncoder
    vectors: Vectors | None
    weights: Weights
    draw: Draw
    dev: list[Encoded]
    counts: Counter[str]
    epochs: int
    summary: str
    parent: str | None = None
    slower: Mapping[str, NDArray[np.float32] | float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def transitions_of(architecture: Architecture, weights: Weights) -> Transitions:
    """The transitions that go with a network's weights."""
    if architecture.output == "softmax":
        return Transitions.free((len(weights["out.bias"]) - 1) // 2)
    return Transitions.learned(
        *(weights[f"crf.{name}"].astype(np.float64) for name in ("start", "matrix", "end"))
    )


def fresh_job(
    config: TrainConfig,
    *,
    train: Sequence[Example],
    dev: Sequence[Example],
    vectors: Path | None,
) -> Job:
    """A model that starts from nothing but, perhaps, pretrained vectors."""
    chosen = family(config.family)
    sentences = list(read_sentences(train))
    held_back = list(read_sentences(dev))
    labels = tuple(dict.fromkeys((*config.labels, *labels_of([*sentences, *held_back]))))
    if not labels:
        raise TrainingFailed(problem="no text holds an entity")
    pretrained = None
    if chosen.features.vectors:
        if vectors is None:
            raise TrainingFailed(problem=f"the {config.family} needs pretrained vectors")
        pretrained = read_vectors(vectors)
    known = pretrained.words if pretrained else ()
    counts = count_words(sentences, FeatureEncoder(chosen.features, ()))
    words = vocabulary(counts, min_count=config.min_count)
    encoder = FeatureEncoder(chosen.features, words, known)
    weighed = weigh_by_class(sentences) if config.class_weights else sentences
    encoded = encode_sentences(weighed, encoder, labels)
    held_out = encode_sentences(held_back, encoder, labels)
    weights = initial_weights(
        chosen.architecture,
        chosen.features,
        words=len(words),
        tags=1 + 2 * len(labels),
        seed=config.seed,
    )
    return Job(
        architecture=chosen.architecture,
        features=chosen.features,
        labels=labels,
        encoder=encoder,
        vectors=pretrained,
        weights=weights,
        draw=lambda rng: encoded,
        dev=held_out,
        counts=counts,
        epochs=config.epochs,
        summary=f"{len(encoded)} sentences, {len(words)} words, {len(labels)} labels",
        facts={"sentences": len(encoded), "words": len(words)},
    )
