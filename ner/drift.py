"""Are today's texts like the ones that a model was made from?

A profile keeps counts and no text: how long texts are, which words they hold (as keyed hashes, with the
number of texts that hold each), which labels were found in them and how sure the model was. Profiles add up,
and two of them are compared measure by measure.

Histograms are compared by the population stability index. From 0.25 on it is read as a large shift, the rule
of Lewis, "An Introduction to Credit Scoring" (1992), and Siddiqi, "Credit Risk Scorecards" (2006). Between
two samples of one source it is not zero but about (bins - 1) (1/n + 1/m), and varies as chi square with
bins - 1 degrees of freedom does (Yurdakul, "Statistical Properties of Population Stability Index", 2018):
that much is taken off, and where texts are few the threshold rises to what chance exceeds once in a thousand
comparisons. Under `MIN_TEXTS` nothing is said at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import log
from typing import Any, Self

from ner.certainty import chi_square_high
from ner.spans import Span
from ner.tokens import tokenize

#: Where one bin of the lengths (in tokens) ends and the next begins; each is about half as long again.
LENGTHS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 256, 512)
#: The same for how sure a model is of a text: narrow where models mostly are.
CONFIDENCES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
#: The "label" of a text in which nothing was found.
NO_ENTITY = "-"

#: Fewer texts on either side say nothing about a measure.
MIN_TEXTS = 50
MAX_PSI = 0.25
MIN_OVERLAP = 0.7
MAX_UNKNOWN_RISE = 0.1
#: A word is missed only where the reference should have held it in so many texts.
_EXPECTED_TEXTS = 5


@dataclass(slots=True)
class Profile:
    """What some texts and the answers about them look like, in counts.

    `key` is that of the words' hashes: only profiles of one key can be compared.
    """

    texts: int = 0
    length: list[int] = field(default_factory=lambda: [0] * (len(LENGTHS) + 1))
    confidence: list[int] = field(default_factory=lambda: [0] * (len(CONFIDENCES) + 1))
    labels: dict[str, int] = field(default_factory=dict)
    """Entities by label, and under `NO_ENTITY` the texts without any."""

    words: dict[str, int] = field(default_factory=dict)
    """By the hash of a word, the number of texts that hold it."""

    def add(
        self,
        text: str,
        *,
        spans: Iterable[Span] | None = None,
        confidence: float | None = None,
        key: bytes = b"",
    ) -> None:
        """Count a text; `spans` and `confidence` where a model has answered about it."""
        tokens = tokenize(text)
        self.texts += 1
        self.length[_place(len(tokens), LENGTHS)] += 1
        for word in {_folded(token.word) for token in tokens} - {""}:
            hashed = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=6, key=key).hexdigest()
            self.words[hashed] = self.words.get(hashed, 0) + 1
        if spans is not None:
            for label in [span.label for span in spans] or [NO_ENTITY]:
                self.labels[label] = self.labels.get(label, 0) + 1
        if confidence is not None:
            self.confidence[_place(confidence, CONFIDENCES)] += 1

    def merged(self, other: Self) -> Profile:
        """The profile of the texts of both."""
        return Profile(
            texts=self.texts + other.texts,
            length=[a + b for a, b in zip(self.length, other.length, strict=True)],
            confidence=[a + b for a, b in zip(self.confidence, other.confidence, strict=True)],
            labels=dict(Counter(self.labels) + Counter(other.labels)),
            words=dict(Counter(self.words) + Counter(other.words)),
        )

    @property
    def answered(self) -> int:
        """The texts that a model has answered about."""
        return sum(self.confidence)

    def to_json(self) -> dict[str, Any]:
        """Counts, and hashes instead of words."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**body)


@dataclass(frozen=True, slots=True)
class Measure:
    """One comparison. `value` is None where there are too few texts on either side to say anything."""

    name: str
    value: float | None
    threshold: float
    drifted: bool
    kl: float | None = None
    """Of histograms: the relative entropy of the current texts to the reference, in nats."""

    reference_texts: int = 0
    current_texts: int = 0


def drift(reference: Profile, current: Profile) -> list[Measure]:
    """How far the current texts have moved from the reference, measure by measure."""
    kinds = sorted({*reference.labels, *current.labels})
    texts = (reference.texts, current.texts)
    sizes = (sum(reference.length), sum(current.length))
    answered = (reference.answered, current.answered)
    mixes = [[profile.labels.get(kind, 0) for kind in kinds] for profile in (reference, current)]
    return [
        _histograms("length", reference.length, current.length, texts=sizes),
        _overlap(reference, current, texts),
        _unknown(reference, current, texts),
        _histograms("labels", *mixes, texts=answered),
        _histograms("confidence", reference.confidence, current.confidence, texts=answered),
    ]


def vocabulary_overlap(reference: Profile, current: Profile) -> float | None:
    """Of the words usual in the current texts, the share that the reference holds at all.

    Rare words are left out: two halves of one corpus share hardly half of them. A word counts where as many
    texts as the reference has would hold it `_EXPECTED_TEXTS` times, were they like the current ones.
    """
    usual = [
        word
        for word, count in current.words.items()
        if count >= _EXPECTED_TEXTS and count * reference.texts >= _EXPECTED_TEXTS * current.texts
    ]
    if not usual:
        return None
    return sum(word in reference.words for word in usual) / len(usual)


def unknown_ratio(reference: Profile, current: Profile) -> float:
    """Of the words of the current texts, counted once a text, the share that the reference does not hold."""
    unknown = sum(count for word, count in current.words.items() if word not in reference.words)
    return unknown / max(sum(current.words.values()), 1)


def unknown_ratio_expected(reference: Profile) -> float:
    """The same of one more text of the reference's own kind: the share of words that only one text holds.

    Turing's estimate (Good, "The Population Frequencies of Species", 1953): each text, left out and then
    looked at, would miss just those.
    """
    once = sum(count == 1 for count in reference.words.values())
    return once / max(sum(reference.words.values()), 1)


def psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """Population stability index of two histograms, uncorrected; each bin in use gets half a count more."""
    return sum((q - p) * log(q / p) for p, q in _shares(reference, current))


def kl(reference: Sequence[int], current: Sequence[int]) -> float:
    """Relative entropy of the current histogram to the reference, in nats."""
    return sum(q * log(q / p) for p, q in _shares(reference, current))


def _histograms(
    name: str, reference: Sequence[int], current: Sequence[int], *, texts: tuple[int, int]
) -> Measure:
    if min(texts) < MIN_TEXTS:
        return Measure(name, None, MAX_PSI, False, None, *texts)
    freedom = max(sum(a + b > 0 for a, b in zip(reference, current, strict=True)) - 1, 1)
    # Entities of one text are not independent of each other: no sample counts for more than its texts.
    sampling = sum(
        1 / max(min(sum(counts), n), 1) for counts, n in zip((reference, current), texts, strict=True)
    )
    value = max(psi(reference, current) - freedom * sampling, 0.0)
    threshold = max(MAX_PSI, (chi_square_high(freedom) - freedom) * sampling)
    return Measure(name, value, threshold, value > threshold, kl(reference, current), *texts)


def _overlap(reference: Profile, current: Profile, texts: tuple[int, int]) -> Measure:
    value = vocabulary_overlap(reference, current) if min(texts) >= MIN_TEXTS else None
    return Measure("vocabulary", value, MIN_OVERLAP, value is not None and value < MIN_OVERLAP, None, *texts)


def _unknown(reference: Profile, current: Profile, texts: tuple[int, int]) -> Measure:
    threshold = unknown_ratio_expected(reference) + MAX_UNKNOWN_RISE
    value = unknown_ratio(reference, current) if min(texts) >= MIN_TEXTS else None
    return Measure("unknown_words", value, threshold, value is not None and value > threshold, None, *texts)


def _shares(reference: Sequence[int], current: Sequence[int]) -> list[tuple[float, float]]:
    used = [(a + 0.5, b + 0.5) for a, b in zip(reference, current, strict=True) if a + b > 0]
    whole_a, whole_b = sum(a for a, _ in used), sum(b for _, b in used)
    return [(a / whole_a, b / whole_b) for a, b in used]


def _place(value: float, edges: Sequence[float]) -> int:
    return sum(value >= edge for edge in edges)


def _folded(word: str) -> str:
    """The form in which a word is counted: no case, every digit a zero; empty for punctuation."""
    if not any(map(str.isalnum, word)):
        return ""
    return "".join("0" if char.isdigit() else char for char in word.casefold())
