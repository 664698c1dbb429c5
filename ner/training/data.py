"""From labelled texts to batches of numbers.

A training sentence may be only partly known: a word carries its tag, or ``UNKNOWN`` where nothing is
known about it, and the sentence says which labels an ``O`` of it might hide. What a person labelled
is known completely; what an earlier model labelled may not be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ner.config import TrainConfig
from ner.features import FIRST_WORD, FeatureEncoder, word_key
from ner.spans import Example
from ner.tags import OUTSIDE, encode, split_tag, tag_names
from ner.text import sentences

# The tag of a word nothing is known about, by name and by number.
UNKNOWN, ANY = "?", -1
_RARE = 2


@dataclass(frozen=True, slots=True)
class Sentence:
    """The words of one sentence with their tags; an ``O`` of it may hide the ``hidden`` labels."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    weight: float = 1.0
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sentence as numbers: ``hidden`` are the tags that an ``O`` of it may stand for."""

    features: NDArray[np.int32]
    tags: NDArray[np.int32]
    hidden: NDArray[np.bool_]
    weight: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Sentences of about one length, padded on the right."""

    features: NDArray[np.int32]
    lengths: NDArray[np.int32]
    tags: NDArray[np.int32]
    hidden: NDArray[np.bool_]
    weights: NDArray[np.float32]

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Which tags each word may have, ``[batch, time, tags]``."""
        tags = self.tags[:, :, None]
        same = tags == np.arange(self.hidden.shape[1])[None, None, :]
        return np.asarray(same | (tags == ANY) | ((tags == 0) & self.hidden[:, None, :]))


def read_sentences(examples: Iterable[Example]) -> Iterator[Sentence]:
    """The labelled sentences of some texts; no labelled entity is cut at a sentence's end."""
    for example in examples:
        found = sentences(example.text, keep_whole=example.spans)
        offsets = [(token.start, token.end) for tokens in found for token in tokens]
        tags = encode(offsets, example.spans)
        place = 0
        for tokens in found:
            stop = place + len(tokens)
            yield Sentence(tuple(token.word for token in tokens), tuple(tags[place:stop]))
            place = stop


def labels_of(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    """The labels that occur, the most frequent first."""
    counts = Counter(split_tag(tag)[1] for sentence in sentences for tag in sentence.tags if tag[0] == "B")
    return tuple(label for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def count_words(sentences: Iterable[Sentence], encoder: FeatureEncoder) -> Counter[str]:
    """How often each word occurs, in the form the vocabulary keeps."""
    settings = encoder.settings
    return Counter(word_key(word, settings) for sentence in sentences for word in sentence.words)


def vocabulary(counts: Counter[str], *, min_count: int) -> tuple[str, ...]:
    """The words that occur often enough, the most frequent first."""
    kept = [(word, count) for word, count in counts.items() if count >= min_count]
    return tuple(word for word, _ in sorted(kept, key=lambda item: (-item[1], item[0])))


def encode_sentences(
    sentences: Iterable[Sentence], encoder: FeatureEncoder, labels: Sequence[str]
) -> list[Encoded]:
    """Sentences as numbers."""
    names = tag_names(labels)
    ids = {tag: place for place, tag in enumerate(names)} | {UNKNOWN: ANY}
    return [
        Encoded(
            encoder.encode(sentence.words),
            np.array([ids[tag] for tag in sentence.tags], dtype=np.int32),
            np.array([split_tag(tag)[1] in sentence.hidden for tag in names]),
            sentence.weight,
        )
        for sentence in sentences
        if sentence.words
    ]


def weigh_by_class(sentences: Sequence[Sentence], *, most: float = 4.0) -> list[Sentence]:
    """Sentences with rare labels weigh more: the square root of how much rarer, at most ``most``."""
    counts = Counter(tag[2:] for sentence in sentences for tag in sentence.tags if tag[0] == "B")
    if not counts:
        return list(sentences)
    usual = max(counts.values())
    weights = {label: min((usual / count) ** 0.5, most) for label, count in counts.items()}
    return [
        replace(
            sentence,
            weight=max((weights[tag[2:]] for tag in sentence.tags if tag != OUTSIDE), default=1.0),
        )
        for sentence in sentences
    ]


class WordDropout:
    """Hides words behind the id of an unknown word of their case: rare ones more often."""

    def __init__(self, config: TrainConfig, encoder: FeatureEncoder, counts: Counter[str]) -> None:
        rates = [
            config.rare_dropout if counts[word] <= _RARE else config.word_dropout for word in encoder.words
        ]
        self._rates = np.array([0.0] * FIRST_WORD + rates, dtype=np.float32)

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The batch with some words hidden."""
        features = batch.features
        words = features[:, :, 0]
        hide = rng.random(words.shape, dtype=np.float32) < self._rates[words]
        changed = features.copy()
        changed[:, :, 0] = np.where(hide, 1 + features[:, :, 1], words)
        return replace(batch, features=changed)


def batches(sentences: Sequence[Encoded], *, tokens: int, rng: np.random.Generator | None) -> list[Batch]:
    """Batches by length, hardly padded; shuffled when ``rng`` is given, else in order of length."""
    lengths = np.array([len(sentence.tags) for sentence in sentences], dtype=np.float64)
    jitter = rng.uniform(0.0, 2.0, len(lengths)) if rng is not None else 0.0
    order = np.argsort(lengths + jitter, kind="stable")
    groups: list[list[Encoded]] = []
    longest = 0
    for place in order:
        sentence = sentences[int(place)]
        longest = max(longest, len(sentence.tags))
        if not groups or (len(groups[-1]) + 1) * longest > tokens:
            groups.append([])
            longest = len(sentence.tags)
        groups[-1].append(sentence)
    if rng is not None:
        groups = [groups[int(place)] for place in rng.permutation(len(groups))]
    return [_pad(group) for group in groups]


def _pad(group: Sequence[Encoded]) -> Batch:
    lengths = np.array([len(sentence.tags) for sentence in group], dtype=np.int32)
    time = int(lengths.max())
    features = np.zeros((len(group), time, group[0].features.shape[1]), dtype=np.int32)
    tags = np.zeros((len(group), time), dtype=np.int32)
    for row, sentence in enumerate(group):
        features[row, : lengths[row]] = sentence.features
        tags[row, : lengths[row]] = sentence.tags
    return Batch(
        features,
        lengths,
        tags,
        np.stack([sentence.hidden for sentence in group]),
        np.array([sentence.weight for sentence in group], dtype=np.float32),
    )
